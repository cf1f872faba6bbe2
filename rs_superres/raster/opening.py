"""Rasters that are opened: found, described, and refused where they are of the wrong kind."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.enums import Interleaving

from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Grid
from rs_superres.image.radiometry import DTYPES
from rs_superres.raster.gdal import opened, reading, telling
from rs_superres.raster.metadata import Description, describe, grid_of
from rs_superres.raster.selection import Selection
from rs_superres.raster.source import Paths, Source
from rs_superres.raster.stack import stacked
from rs_superres.system.memory import check_memory
from rs_superres.types import Values


def open_source(paths: Paths, selection: Selection | None = None) -> Source:
    """Open a raster, or several on one grid as one, and check that it can be super-resolved.

    Args:
        paths: what is opened.
        selection: which bands, and as what; all as they are where None.

    Raises:
        RasterError: it cannot be opened.
        InputError: it is of a kind that is not super-resolved, or holds no bands of its own.
    """
    single = isinstance(paths, str | Path)
    names = [str(paths)] if single else [str(p) for p in paths]  # type: ignore[union-attr]
    with ExitStack() as until_whole:
        parts = []
        datasets = []
        for name in names:
            dataset = until_whole.enter_context(_opened(name))
            datasets.append(dataset)
            parts.append(describe(name, dataset))
            _check(parts[-1])
            _check_blocks(name, dataset)
        source = Source(datasets, stacked(parts), selection)
        until_whole.pop_all()
    return source


def inspect(path: str | Path) -> tuple[Description, str | None]:
    """Describe a raster of any kind, and say why its kind is refused; None where it is not.

    Raises:
        RasterError: it cannot be opened.
        InputError: it is a directory, or holds no bands of its own.
    """
    with _opened(str(path)) as dataset:
        description = describe(str(path), dataset)
    try:
        _check(description)
    except InputError as refusal:
        return description, str(refusal)
    return description, None


def _opened(path: str) -> Any:
    """An open dataset.

    Raises:
        RasterError: it cannot be opened.
        InputError: it is a directory.
    """
    if Path(path).is_dir():
        raise InputError(f"{path} is a directory, expected a raster file")
    try:
        with telling(f"cannot open {path}"), reading():
            return opened(path)
    except RasterError as error:
        if not path.lower().endswith(".zip"):
            raise
        raise RasterError(
            f"{error}; a raster in an archive opens as /vsizip/ARCHIVE.zip/NAME.tif"
        ) from error


def read_tags(path: str | Path) -> dict[str, str]:
    """The tags of a raster of any kind, those of its default domain.

    Raises:
        RasterError: it cannot be opened.
        InputError: it is a directory.
    """
    with _opened(str(path)) as dataset, telling(f"cannot read the tags of {path}"):
        return dict(dataset.tags())


def read_small(path: str | Path, side: int) -> Values:
    """A raster thinned out to at most ``side`` pixels a side, from its overviews: (band, y, x).

    Raises:
        RasterError: it cannot be read.
        InputError: it is a directory.
    """
    with _opened(str(path)) as dataset, telling(f"cannot read {path}"):
        bands = [1, 2, 3] if dataset.count >= 3 else [1]
        shrink = max(1.0, max(dataset.shape) / side)
        shape = [len(bands), *(max(1, round(s / shrink)) for s in dataset.shape)]
        pixels: Values = dataset.read(bands, out_shape=shape)
        return pixels


def read_grid(path: str | Path) -> Grid:
    """The grid of a raster of any kind.

    Raises:
        RasterError: it cannot be opened.
        InputError: it is a directory.
    """
    with _opened(str(path)) as dataset, telling(f"cannot read the grid of {path}"):
        return grid_of(dataset)


def _check(description: Description) -> None:
    """Refuse what cannot be super-resolved, in a line that names the way out."""
    path = description.path
    dtypes = sorted({b.dtype for b in description.bands})
    if len(dtypes) > 1:
        raise InputError(
            f"{path} has bands of dtypes {', '.join(dtypes)}, expected one dtype, as a GeoTIFF "
            "holds; take bands of one dtype into a file each (gdal_translate -b N) and upscale "
            "these"
        )
    if dtypes[0] not in DTYPES:
        hint = (
            "super-resolve amplitude and phase apart (gdal_translate DERIVED_SUBDATASET:AMPLITUDE:"
            f"{path})"
            if "complex" in dtypes[0]
            else "convert it first (gdal_translate -ot Float64)"
        )
        raise InputError(f"{path} has dtype {dtypes[0]}, supported are {', '.join(DTYPES)}; {hint}")


def _check_blocks(path: str, dataset: Any) -> None:
    """Refuse blocks that memory does not hold: GDAL reads no less than one, whatever it says."""
    height, width = max(dataset.block_shapes, key=lambda shape: shape[0] * shape[1])
    size = height * width * np.dtype(dataset.dtypes[0]).itemsize
    if dataset.interleaving == Interleaving.pixel:
        size *= dataset.count
    check_memory(
        size,
        f"{path} is stored in blocks of {width} x {height} pixels, one of which",
        "store it in small ones first (gdal_translate -co TILED=YES)",
    )


SUFFIXES = (
    *(".tif", ".tiff", ".gtiff", ".cog", ".btf", ".jp2", ".j2k", ".img", ".vrt", ".png"),
    *(".jpg", ".jpeg", ".webp", ".bil", ".bsq", ".bip", ".ntf"),
)
"""Ends of their names."""


def is_raster(path: Path) -> bool:
    """Whether a file is taken for one; hidden files are not."""
    named = path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    return named and path.is_file()


def rasters_below(folder: Path) -> list[Path]:
    """Find the rasters in a folder, at any depth, and return their paths sorted.

    Hidden folders, in which unfinished runs keep their files, are left out. Linked folders are
    searched too, after all real ones; a folder that several paths lead to is searched once, so
    links in a circle end.
    """
    rasters: list[Path] = []
    visited: set[Path] = set()
    pending = [folder]
    while pending:
        for root, folders, files in os.walk(pending.pop(0)):
            real = Path(root).resolve()
            if real in visited:
                folders.clear()
                continue
            visited.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            children = (Path(root, name) for name in folders)
            pending += [child for child in children if child.is_symlink()]
            rasters += [path for path in (Path(root, name) for name in files) if is_raster(path)]
    return sorted(rasters)
