"""Names that GDAL opens: paths, sub-datasets, archives and addresses, made absolute."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePath

from rs_superres.raster import result_stem

_PREFIX = re.compile(r"[A-Za-z]\w+:")
"""The beginning of a name that is no path: ``NETCDF:...``, ``https://...``. A drive is shorter."""

_ADDRESS = re.compile(r"[A-Za-z]\w*://")

_ARCHIVE = re.compile(r"(/vsi(?:zip|tar|gzip|7z|rar)/)(.+)")


@dataclass(frozen=True, slots=True)
class Name:
    """A scene by the name that GDAL opens, and what its result can be named after."""

    source: str
    """An absolute path, or anything else that GDAL opens from any folder."""
    stem: PurePath
    """Where the scene lies, without suffix; a sub-dataset's name is added to that of its file."""
    suffix: str = ""
    """The suffix of the file; empty for a sub-dataset."""


def exists(path: str | Path) -> bool:
    """Return whether a path exists; a link that leads nowhere does."""
    return os.path.lexists(path)  # unlike Path.exists, it accepts any text


def read_name(text: str, folder: Path) -> Name:
    """Read a name that GDAL opens.

    Args:
        text: a path, a sub-dataset such as ``NETCDF:"a.nc":red``, a path in an archive such as
            ``/vsizip/a.zip/b.tif``, or an address.
        folder: the folder that relative paths start from, absolute.
    """
    if exists(folder / text) or not (text.startswith("/vsi") or _PREFIX.match(text)):
        return _file(str(folder / text))
    archive = _ARCHIVE.fullmatch(text)
    if archive is not None and _is_in_file(archive[2], folder):
        return _file(f"{archive[1]}{folder / archive[2]}")
    if text.startswith("/vsi"):
        return _file(text)
    if _ADDRESS.match(text) and not text.startswith("vrt://"):
        return _file("/" + re.sub(r"[?#].*", "", text), text)
    return _sub_dataset(text, folder)


def _file(path: str, source: str | None = None) -> Name:
    """Return the name of a file, which GDAL opens by its path or by another text."""
    place = PurePath(path)
    return Name(source or path, place.with_name(result_stem(place)), place.suffix)


def _is_in_file(path: str, folder: Path) -> bool:
    """Return whether a path leads into a file: an archive."""
    return any((folder / parent).is_file() for parent in (PurePath(path), *PurePath(path).parents))


def _sub_dataset(text: str, folder: Path) -> Name:
    """Read the name of a sub-dataset: ``NETCDF:"a.nc":red``, ``GTIFF_DIR:2:a.tif``."""
    span = _file_in(text, folder)
    if span is None:
        return Name(text, PurePath(folder / _plain(text)))
    before, path, after = text[: span[0]], str(folder / text[slice(*span)]), text[span[1] :]
    part = _plain(f"{before.partition(':')[2]}_{after}")
    place = _file(path).stem
    return Name(before + path + after, place.with_name(f"{place.name}_{part}"))


def _file_in(text: str, folder: Path) -> tuple[int, int] | None:
    """Find the file in a sub-dataset's name: where it starts and ends in the text."""
    quoted = re.search(r'"([^"]+)"', text)
    if quoted is not None:
        return quoted.span(1)
    ends = [match.start() for match in re.finditer(r"[:?,]|$", text)]
    for start in (match.end() for match in re.finditer(r"://|:", text)):
        for end in reversed(ends):
            if end > start and exists(folder / text[start:end]):
                return start, end
    return None


def _plain(text: str) -> str:
    """Return a text with which a file can be named."""
    return re.sub(r"(?:[^\w.-]|_)+", "_", text).strip("_.") or "scene"
