"""The sources of virtual rasters, looked at before GDAL reads a pixel.

GDAL 3.10 raises an error for a source that is missing, but not always: once a process has read a
virtual raster that contains another one, it may read zeros instead. So sources that are missing,
circles, and hosts that the user has not named, are refused by their names.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.sax.saxutils import unescape

from rs_superres.errors import RasterError
from rs_superres.raster.gdal import allows_hosts, host_refusal, refers_to_host

_SOURCE = re.compile(
    r"<(SourceFilename|SourceDataset)\b(?P<attributes>[^>]*)>(?P<name>[^<]*)</", re.IGNORECASE
)

_RELATIVE = re.compile(r"relativeToVRT\s*=\s*[\"']1[\"']")

_PREFIXED = re.compile(r"/vsi|<|[A-Za-z_0-9]{2,}:")
"""Names that are no path of a file: of a virtual file system, a sub-dataset, or a VRT as text."""


def check_sources(path: str) -> None:
    """Refuse a virtual raster that GDAL cannot read, by the names of its sources.

    Args:
        path: A virtual raster. Those among its sources that end in ``.vrt`` are looked at too.

    Raises:
        RasterError: A source is missing, is the raster itself, or lies on another host.
    """
    file = Path(path).absolute()
    _follow(file.parent.resolve() / file.name, path, (), set())


def _follow(file: Path, name: str, above: tuple[Path, ...], sound: set[Path]) -> None:
    """Check a virtual raster and those that it contains.

    Args:
        file: The virtual raster.
        name: The name of the outermost one, as the user gave it.
        above: The virtual rasters that contain it, outermost first.
        sound: Virtual rasters that are sound, to which those are added that turn out to be.

    Raises:
        RasterError: A source cannot be read.
    """
    if file in above:
        raise RasterError(f"cannot read {name}: {file} contains itself")
    if file in sound:
        return
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):  # not a file of its own; GDAL looks at it
        return
    for match in _SOURCE.finditer(text):
        source = unescape(match["name"].strip())
        if refers_to_host(source):
            if not allows_hosts(name):
                raise host_refusal(name)
        elif source and not _PREFIXED.match(source):
            relative = _RELATIVE.search(match["attributes"]) is not None
            member = file.parent / source if relative else Path(source).absolute()
            if not os.path.lexists(member):
                raise RasterError(f"cannot read {name}: its source {source} does not exist")
            if source.lower().endswith(".vrt"):
                _follow(member.parent.resolve() / member.name, name, (*above, file), sound)
    sound.add(file)
