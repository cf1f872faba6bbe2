"""What a run may write, and from what: names, room on the disk, sources that stand still."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Window
from rs_superres.raster import Description

SUFFIXES = (".tif", ".tiff", ".gtiff", ".cog", ".btf")
"""Ends of names that a GeoTIFF goes by."""


def disk_bytes(description: Description, window: Window, *, cell_pixels: int) -> int:
    """What a run writes at most: cells, the assembled raster, and the result.

    Its overviews count twice: GDAL makes them apart.
    """
    band_bytes = len(description.bands) * np.dtype(description.dtype).itemsize
    overviews = 1 / 3
    return int(band_bytes * (cell_pixels + window.height * window.width * (2 + 2 * overviews)))


def check_disk(out: Path, needed: int) -> None:
    """Refuse a run whose files the disk cannot hold."""
    try:
        free = shutil.disk_usage(out.parent).free
    except OSError as error:
        raise RasterError(f"cannot write {out}: {error.strerror or error}") from error
    if needed > free:
        raise RasterError(
            f"cannot write {out}: the run needs up to {needed / 1e9:.3g} GB of disk, "
            f"{free / 1e9:.3g} GB are free; use --bounds for a part of the scene"
        )


def sizes_and_times(files: Sequence[str]) -> dict[str, list[int]]:
    """Size and modification time of the local ones among a source's files, by name."""
    # Statistics and overviews come and go without a word on the pixels.
    paths = [Path(f) for f in files if not f.endswith((".aux.xml", ".ovr"))]
    stats = {str(path.absolute()): path.stat() for path in paths if path.is_file()}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}


def check_unchanged(earlier: dict[str, list[int]], files: Sequence[str]) -> None:
    """Refuse a result of a source that was another when its first cells were read.

    A file that is gone was read to its end: it was open.
    """
    for name, now in sizes_and_times(files).items():
        if earlier.get(name) != now:
            raise RasterError(
                f"{name} was changed while it was read, so nothing is written; run again when it "
                "stands still"
            )


def check_name(name: str) -> None:
    """Refuse an output name that no result can have."""
    out = Path(name)
    if name.startswith("/vsi") or re.match(r"\w{2,}:/", name):
        raise InputError(
            f"the output {name} is not a local file; write one and copy it there afterwards"
        )
    check_folder(out)
    if out.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"the output {out}, expected a name that ends in {', '.join(SUFFIXES)}: a GeoTIFF is "
            "written, gdal_translate turns it into other formats"
        )


def check_folder(out: Path) -> None:
    """Refuse the name of a file that is a folder, or in a folder that is not there."""
    try:
        here, parent = out.is_dir(), out.parent.is_dir()
    except OSError as error:
        raise InputError(f"the output {out} cannot be written: {error.strerror}") from error
    if here:
        raise InputError(f"the output {out} is a directory, expected a file name")
    if not parent:
        raise InputError(f"the output's folder {out.parent} does not exist")


def check_replaced(out: Path, files: Sequence[str], *, overwrite: bool) -> None:
    """Refuse to replace a file that the source is read from, or any without being asked."""
    if not out.exists():
        return
    if any(Path(file).exists() and out.samefile(file) for file in files):
        raise InputError(f"the output {out} is the source, choose another name")
    if not overwrite:
        raise InputError(f"{out} exists already; use --overwrite to replace it")
