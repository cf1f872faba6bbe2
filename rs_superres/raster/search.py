"""Finds the rasters in folders: every file that GDAL reads, and what is passed over instead."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rs_superres.errors import RasterError, SuperResError
from rs_superres.raster.opening import read_grid, read_tags
from rs_superres.raster.products import is_product, others_in, result_stem

logger = logging.getLogger(__name__)

GEOTIFF = (".tif", ".tiff", ".gtiff", ".cog", ".btf")
"""Suffixes, in lower case, of GeoTIFFs."""

SUFFIXES = (
    *GEOTIFF,
    *(".jp2", ".j2k", ".img", ".vrt", ".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"),
    *(".bil", ".bsq", ".bip", ".ntf", ".asc", ".nc", ".hgt", ".mbtiles", ".ers", ".pix", ".mrf"),
    *(".hdf", ".h4", ".he4", ".h5", ".hdf5", ".he5", ".grb", ".grb2", ".grib", ".grib2", ".bag"),
    *(".dt0", ".dt1", ".dt2", ".kea", ".ecw", ".sid", ".jxl", ".sdat", ".rsw", ".ppm", ".pgm"),
)
"""Suffixes, in lower case, of files that are rasters: one that cannot be opened is an error.

A file with any other suffix is a raster if GDAL opens it.
"""

SIDECARS = (
    *(".xml", ".ovr", ".msk", ".hdr", ".prj", ".rrd", ".aux", ".stx", ".clr", ".ige", ".rde"),
    *(".rpb", ".rpc", "_rpc.txt", ".imd", ".qml", ".qmd", ".lyr", ".rdc", ".gri", ".sgrd"),
    *(".mgrd", ".idx", ".ppg", ".pjg", ".lrc", ".md5", ".sha256", ".json", ".html", ".htm"),
    *(".wld", ".tfw", ".tifw", ".tiffw", ".tfwx", ".jgw", ".jpgw", ".jpegw", ".pgw", ".pngw"),
    *("_udm2.tif", "_udm2_clip.tif", "_udm.tif", "_udm_clip.tif"),
    *(".j2w", ".jp2w", ".gfw", ".gifw", ".bpw", ".bmpw", ".blw", ".bilw", ".igw", ".imgw"),
)
"""Ends, in lower case, of the names of files that describe a raster, or report on a run."""

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
"""Suffixes, in lower case, of files that may hold a product."""

CONTAINERS = (".zarr", ".gdb")
"""Suffixes, in lower case, of folders that are data sets of many files."""

NAMES_SHOWN = 3
"""Number of files that :func:`lines_about` names on one line."""


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file of a folder that cannot be used."""

    path: Path
    reason: str
    """A sentence on one line."""
    is_raster: bool = True
    """Whether it was taken for a raster; other files are passed over."""


class FoundRasters(NamedTuple):
    """What a search in a folder has found."""

    rasters: list[Path]
    """The rasters, sorted. Links that lead nowhere are among them: whoever opens them fails."""
    passed_over: list[SkippedFile]
    """Other files and folders, but no hidden ones, no sidecars and no results of rs-sr."""
    results: list[Path]
    """Results of earlier runs of rs-sr; empty if the folder has no other rasters."""


def rasters_below(folder: Path, *, without: Collection[Path] = ()) -> FoundRasters:
    """Find the rasters in a folder, at any depth.

    Hidden folders, in which unfinished runs keep their files, are left out. Linked folders are
    searched too, after all real ones; a folder that several paths lead to is searched once, so
    links in a circle end. Results of rs-sr are left out if there are other rasters.

    Args:
        folder: the folder.
        without: folders that are not searched, if they lie below it.
    """
    rasters: list[Path] = []
    passed_over: list[SkippedFile] = []

    def pass_over(path: Path, reason: str) -> None:
        logger.debug("passed over %s: %s", path, reason)
        passed_over.append(SkippedFile(path, reason, is_raster=False))

    visited = {path.resolve() for path in without} - {folder.resolve()}
    for path in _files_below(folder, visited, pass_over):
        if not path.name.startswith(".") and not is_sidecar(path):
            reason = reason_to_pass_over(path)
            if reason is None:
                rasters.append(path)
            else:
                pass_over(path, reason)
    for archive in archives_of_folders(rasters):
        rasters.remove(archive.path)
        pass_over(archive.path, archive.reason)
    results = [path for path in rasters if _is_result(path)]
    if len(results) == len(rasters):
        results = []
    for path in results:
        logger.debug("passed over %s: it is a result of rs-sr", path)
    return FoundRasters(sorted({*rasters} - {*results}), passed_over, results)


def _files_below(
    folder: Path, visited: set[Path], pass_over: Callable[[Path, str], None]
) -> Iterator[Path]:
    """Yield the files of a folder and its subfolders; see :func:`rasters_below`.

    Args:
        folder: the folder.
        visited: real paths of folders that are not searched; those that are searched are added.
        pass_over: called with a folder that cannot be searched, and the reason.
    """

    def report(error: OSError) -> None:
        pass_over(Path(error.filename), f"{error.filename} cannot be searched: {error.strerror}")

    pending, above = [folder], folder.resolve().parents
    while pending:
        for root, folders, files in os.walk(pending.pop(0), onerror=report):
            real = Path(root).resolve()
            # A link to a folder above the first one is a circle too.
            is_new = real not in visited and real not in above
            visited.add(real)
            if is_new and is_product(Path(root)):
                yield Path(root)
                yield from others_in(Path(root), files)
                is_new = False
            if is_new and root.lower().endswith(CONTAINERS):
                pass_over(Path(root), f"{root} is a folder of one data set, not of rasters")
                is_new = False
            if not is_new:
                folders.clear()
                continue
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            pending += [child for name in folders if (child := Path(root, name)).is_symlink()]
            yield from (Path(root, name) for name in sorted(files))


def archives_of_folders(paths: Iterable[Path]) -> list[SkippedFile]:
    """Find archives of products whose unpacked folder is there too, to skip them.

    Args:
        paths: rasters and products.

    Returns:
        Each archive among them whose folder, with the same product, is among them too.
    """
    folders, archives = {}, {}
    for path in paths:
        place = path.parent.resolve() / result_stem(path)
        if path.is_dir():
            folders[place] = path
        elif path.name.lower().endswith(ARCHIVES):
            archives[path] = place
    return [
        SkippedFile(path, f"{path} holds the same product as {folders[place]}", is_raster=False)
        for path, place in archives.items()
        if place in folders
    ]


def is_sidecar(path: Path) -> bool:
    """Return whether a file's name says that it belongs to a raster, or reports on a run."""
    name = path.name.lower()
    # An Arc/Info grid is a folder of .adf files, each of which GDAL opens as the entire grid.
    return name.endswith(SIDECARS) or (name.endswith(".adf") and name != "hdr.adf")


def is_raster(path: Path) -> bool:
    """Return whether a search takes a file for a raster."""
    hidden = path.name.startswith(".")
    return not hidden and not is_sidecar(path) and reason_to_pass_over(path) is None


def reason_to_pass_over(path: Path) -> str | None:
    """Say why a file is no raster, in a sentence on one line; None if it is one.

    A raster has one of :data:`SUFFIXES`, or is a product, or GDAL opens it. A link that leads
    nowhere counts as a raster, because nobody knows what is missing.
    """
    if path.is_symlink() and not path.exists():
        return None
    if is_product(path):
        return None
    if not path.is_file():
        return f"{path} is not a regular file"
    if path.suffix.lower() in SUFFIXES:
        return None
    try:
        read_grid(path)
    except RasterError as error:
        return str(error)
    return None


def lines_about(skipped: Sequence[SkippedFile]) -> Iterator[str]:
    """Say what is not used: a line for each raster, and one line for all other files."""
    for file in skipped:
        if file.is_raster:
            yield f"skipped: {file.reason}"
    others = [file.path.name for file in skipped if not file.is_raster]
    if others:
        names = ", ".join(others[:NAMES_SHOWN])
        more = f" and {len(others) - NAMES_SHOWN} more" if len(others) > NAMES_SHOWN else ""
        count = (
            "1 file that is no raster"
            if len(others) == 1
            else (f"{len(others)} files that are no rasters")
        )
        yield f"passed over {count}: {names}{more}"


def _is_result(path: Path) -> bool:
    """Return whether a raster is a result of rs-sr, by its tags."""
    if path.suffix.lower() not in GEOTIFF:
        return False
    try:
        return any(name.startswith("SUPERRES_") for name in read_tags(path))
    except SuperResError:
        return False
