"""Checks of what a run may write: names, room on the disks, and a source that does not change."""

from __future__ import annotations

import math
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePath

import numpy as np

from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Window
from rs_superres.raster import BLOCK, Description, owner, result_stem, sidecars
from rs_superres.system.names import check_folder, check_replaced, is_one_of

SUFFIXES = (".tif", ".tiff", ".gtiff", ".cog", ".btf")
"""File name extensions of a GeoTIFF."""

OVERVIEWS = 1 / 3
"""Share of a raster's pixels that its overviews add at most."""


PREVIEW = 6 * 2**20
"""Upper limit of a preview's bytes: three pictures of at most 640 x 640 pixels in three colours."""


def stored_pixels(window: Window) -> int:
    """Return the number of pixels in the tiles that hold a window: a GeoTIFF stores whole tiles."""
    return math.prod(-(-side // BLOCK) * BLOCK for side in (window.height, window.width))


def pixel_bytes(description: Description, *, masked: bool) -> int:
    """Return the bytes of one uncompressed pixel of a result: all bands, and its mask."""
    return len(description.bands) * np.dtype(description.dtype).itemsize + masked


def existing_folder(folder: Path) -> Path:
    """Return the nearest folder that exists, the given one or one above it."""
    folder = folder.absolute()
    return next((path for path in (folder, *folder.parents) if path.is_dir()), folder)


def file_system(folder: Path) -> int:
    """Return the number of the file system on which a folder lies, or will lie.

    Raises:
        OSError: the folder cannot be examined.
    """
    return existing_folder(folder).stat().st_dev


def check_disk(folder: Path, needed: int, out: Path) -> None:
    """Refuse a run whose files do not fit on a disk.

    Args:
        folder: where the files are written; it need not exist yet.
        needed: bytes, an upper limit.
        out: the name of the result, for the message.

    Raises:
        RasterError: too little is free, or the folder cannot be examined.
    """
    try:
        free = shutil.disk_usage(existing_folder(folder)).free
    except OSError as error:
        raise RasterError(f"cannot write {out}: {error.strerror or error}") from error
    if needed > free:
        raise RasterError(
            f"cannot write {out}: the run needs up to {needed / 1e9:.3g} GB of disk in {folder}, "
            f"{free / 1e9:.3g} GB are free; use bounds= for a part of the scene, or scratch= for "
            "a folder on a larger disk"
        )


def sizes_and_times(files: Sequence[str]) -> dict[str, list[int]]:
    """Return the size in bytes and the modification time in ns of a source's local files."""
    # Statistics and overviews come and go without changing the pixels.
    paths = [Path(f) for f in files if not f.endswith((".aux.xml", ".ovr"))]
    stats = {str(path.absolute()): path.stat() for path in paths if path.is_file()}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}


def check_unchanged(earlier: dict[str, list[int]], files: Sequence[str]) -> None:
    """Refuse a result whose source changed while it was read.

    A file that was deleted meanwhile is accepted: it was open, and could be read to its end.

    Args:
        earlier: sizes and times of the source's files when the run began.
        files: the source's files.

    Raises:
        RasterError: a file has another size or time.
    """
    for name, now in sizes_and_times(files).items():
        if earlier.get(name) != now:
            raise RasterError(
                f"{name} changed while it was being read; no output was written. Run again when "
                "nothing else writes to it"
            )


def result_path(out: str | Path, sources: Sequence[str | Path]) -> Path:
    """Return the name of a result: in a folder, the source's with the ending .tif, as in a batch.

    Args:
        out: a file; or a folder, which exists or ends with a slash.
        sources: the sources of the result.

    Raises:
        InputError: a folder is given for the result of several sources.
    """
    if not (str(out).endswith(("/", os.sep)) or os.path.isdir(out)):  # noqa: PTH112 (never raises)
        return Path(out)
    if len(sources) > 1:
        raise InputError(
            f"the output {out} is a folder, expected a file name for the result of "
            f"{len(sources)} sources"
        )
    source = PurePath(sources[0])
    stem = result_stem(source if source.name else PurePath(Path(source).absolute()))
    return Path(out, f"{stem}.tif")


def check_name(name: str) -> None:
    """Refuse an output name that no GeoTIFF can have.

    Raises:
        InputError: not a local file, a folder, in a missing folder, or another extension.
    """
    out = Path(name)
    if name.startswith("/vsi") or re.match(r"\w{2,}:/", name):
        raise InputError(
            f"the output {name} is not a local file; write one and copy it there afterwards"
        )
    check_folder(out)
    if out.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"the output {out}, expected a name that ends in {', '.join(SUFFIXES)}: a GeoTIFF is "
            "written, gdal_translate converts it to other formats"
        )


def check_raster_replaced(out: Path, files: Sequence[str], *, overwrite: bool) -> None:
    """Refuse to replace a raster, or files that GDAL would read as part of it.

    Args:
        out: the name of an output, which need not exist.
        files: the source's files.
        overwrite: whether existing files may be replaced or deleted.

    Raises:
        InputError: a file may not be replaced or deleted.
        RasterError: the output's folder cannot be read.
    """
    found = sidecars(out)
    for file in found:
        other = "the source" if is_one_of(file, files) else owner(file, out)
        if other is not None:
            raise InputError(
                f"{file} belongs to {other}, and GDAL would read it as part of the output {out} "
                "too; choose another name"
            )
    if found and not overwrite and not is_one_of(out, files):
        names = ", ".join(file.name for file in found)
        raise InputError(
            f"{out} exists already, with sidecar files: {names}; overwrite=True replaces {out} and "
            "deletes its sidecars"
            if out.exists()
            else f"GDAL would read {names}, left from an earlier {out}, as part of the output; "
            "overwrite=True deletes such files"
        )
    check_replaced(out, files, overwrite=overwrite)
