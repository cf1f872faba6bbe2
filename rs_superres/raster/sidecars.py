"""Find the files next to a raster that GDAL reads as part of it, such as masks and world files."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import rasterio
from PIL import Image

from rs_superres.errors import RasterError
from rs_superres.raster.gdal import open_dataset, raster_errors
from rs_superres.raster.search import is_raster

logger = logging.getLogger(__name__)

_ERDAS = (".aux", ".rrd")
"""Suffixes of Erdas files, which GDAL attaches only to a raster of the same size."""

_ERDAS_HEADER = b"EHFA_HEADER_TAG"
"""The first bytes of an Erdas file. LaTeX writes other files with the suffix ``.aux``."""


def sidecars(path: Path) -> list[Path]:
    """Find the files that GDAL would read as part of a raster of a certain name.

    GDAL itself is asked, so the answer does not depend on a list of names, and includes the files
    of a raster that was deleted.

    Args:
        path: The name of a raster, whose folder exists.

    Returns:
        Statistics (``.aux.xml``), masks, overviews, world files, RPCs and others, sorted.

    Raises:
        RasterError: A file or the folder cannot be read.
    """
    with raster_errors(f"cannot look for files next to {path}"):
        stem = path.stem.lower()
        neighbours = [
            file
            for file in path.absolute().parent.iterdir()
            if file.name.lower().startswith(stem) and file.name != path.name and file.is_file()
        ]
        if not neighbours:
            return []
        owned = {f"{path.name}{suffix}" for suffix in (".aux.xml", ".ovr", ".msk", ".msk.ovr")}
        owned |= {file.name for file in neighbours if _is_erdas(file, path)}
        try:
            owned |= _attached_to_name(path.name, neighbours)
        except OSError as error:  # no folder for temporary files, or one without links
            logger.debug("GDAL cannot be asked for the files of %s: %s", path, error)
    return sorted(path.parent / file.name for file in neighbours if file.name in owned)


def delete_sidecars(path: Path) -> None:
    """Delete the files that GDAL would read as part of a raster that is about to be written.

    Raises:
        RasterError: A file or the folder cannot be read, or a file cannot be deleted.
    """
    for file in sidecars(path):
        with raster_errors(f"cannot delete {file}"):
            file.unlink()


def _attached_to_name(name: str, neighbours: Sequence[Path]) -> set[str]:
    """Return which files GDAL attaches to a raster of one pixel with a name."""
    with tempfile.TemporaryDirectory() as folder:
        for file in neighbours:
            (Path(folder) / file.name).symlink_to(file)
        probe = Path(folder) / name
        Image.new("L", (1, 1)).save(probe, "PNG" if name.lower().endswith(".png") else "TIFF")
        return _attached(probe)


def check_alone(path: Path, own: Collection[str]) -> None:
    """Check that GDAL reads a raster from its own files alone.

    Args:
        path: The raster, under its final name.
        own: The names of the files that were written for it.

    Raises:
        RasterError: GDAL reads it from others too, or cannot read it.
    """
    with raster_errors(f"cannot read {path} back"):
        stem = path.stem.lower()
        # Landsat's metadata are a file of the whole scene, with a name of its own.
        read = {name for name in _attached(path) if name.lower().startswith(stem)}
        others = sorted(read - {*own})
    if others:
        raise RasterError(
            f"{', '.join(others)} appeared next to {path} while it was written, and became part of "
            "it; delete these files and run again"
        )


def owner(file: Path, path: Path) -> Path | None:
    """Find another raster that a file belongs to.

    Args:
        file: One of the files that :func:`sidecars` found for ``path``.
        path: The name of a raster.

    Returns:
        The other raster, which has the same name but for the extension; None if there is none.
    """
    if file.name.startswith(path.name):
        return None
    for other in sorted(path.absolute().parent.iterdir()):
        alike = other.stem.lower() == path.stem.lower() and other.name != path.name
        if alike and is_raster(other):
            try:
                with raster_errors(f"cannot open {other}"):
                    attached = _attached(other)
            except RasterError as error:
                logger.debug("not the owner of %s: %s", file, error)
                continue
            if file.name in attached:
                return other
    return None


def _attached(path: Path) -> set[str]:
    """Return the names of the files from which GDAL reads a raster."""
    # The environment may tell GDAL not to look at the folder. Other programs look at it.
    with (
        rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="FALSE", GDAL_PAM_ENABLED="YES"),
        open_dataset(path) as dataset,
    ):
        return {Path(file).name for file in dataset.files}


def _is_erdas(file: Path, path: Path) -> bool:
    """Return whether a file holds Erdas statistics or overviews of a raster."""
    names = {name.lower() + suffix for name in (path.stem, path.name) for suffix in _ERDAS}
    if file.name.lower() not in names:
        return False
    with file.open("rb") as opened:
        return opened.read(len(_ERDAS_HEADER)) == _ERDAS_HEADER
