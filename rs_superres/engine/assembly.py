"""Assembling finished cells into a raster in its final format."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rs_superres.engine.planning import DRIVERS, Plan
from rs_superres.engine.residual import Residual, residual
from rs_superres.engine.store import CellStore
from rs_superres.grid import Window
from rs_superres.raster import (
    Source,
    Target,
    Tile,
    finish,
    keep_crs,
    open_source,
    tile_bytes,
    write_mosaic,
)
from rs_superres.scene.cell import blank_cell

logger = logging.getLogger(__name__)

RESIDUAL_TAG = "SUPERRES_RESIDUAL"
"""The tag of the residual: the downsampled result minus the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """An assembled result."""

    files: dict[Path, Path]
    """Final names by present names: the standard deviation, if there is one, and the result."""
    blank: int
    """Number of computed cells that hold nothing valid."""
    residual: Residual
    """The downsampled result minus the source."""


def assemble(plan: Plan, store: CellStore, source: Source) -> Assembled:
    """Write the result, and the samples' standard deviation, into the store.

    Args:
        plan: the plan of the run.
        store: holds every cell of the plan.
        source: opened before the first cell was computed; its file may have been deleted since.

    Raises:
        RasterError: a file cannot be read or written.
    """
    target = plan.target()
    with _mosaic_folder(store) as folder:
        tiles = _tiles(plan, store, folder / "blank.tif", std=False)
        mosaic = folder / "mosaic.vrt"
        write_mosaic(mosaic, target, tiles)
        left = _residual(plan, mosaic, source)
        target = replace(target, tags={**target.tags, RESIDUAL_TAG: str(left)})
        write_mosaic(mosaic, target, tiles)
        result = store.new_file("result", plan.out.name)
        _finish(plan, target, mosaic, result)
    blank = sum(map(store.is_blank, plan.cells))
    logger.debug("assembled %d cells, %d of them blank; residual: %s", len(plan.cells), blank, left)
    files = {result: plan.out}
    uncertainty = plan.options.uncertainty
    if uncertainty is not None:
        target = plan.std_target()
        std = store.new_file("uncertainty", uncertainty.name)
        with _mosaic_folder(store) as folder:
            mosaic = folder / "mosaic.vrt"
            write_mosaic(mosaic, target, _tiles(plan, store, folder / "blank.tif", std=True))
            _finish(plan, target, mosaic, std)
        files = {std: uncertainty, **files}
    return Assembled(files=files, blank=blank, residual=left)


@contextmanager
def _mosaic_folder(store: CellStore) -> Iterator[Path]:
    """Yield a folder for a mosaic, which has another name in each run.

    As long as a process has any VRT open, GDAL remembers the names of sources that it could not
    open, and does not try again. The mosaic names cells by their paths from this folder.
    """
    with TemporaryDirectory(prefix="mosaic-", dir=store.folder) as folder:
        yield Path(folder)


def _tiles(plan: Plan, store: CellStore, nothing: Path, *, std: bool) -> list[Tile]:
    """Return the tiles of a mosaic: the finished cells, and one file for all other cells.

    Args:
        plan: the plan of the run.
        store: holds every cell of the plan.
        nothing: the file to write for cells outside the area, which were not computed.
        std: whether the tiles hold the expected errors, instead of the result.
    """
    size = plan.recipe.lattice.cell
    blank = blank_cell(plan.recipe, Window(0, 0, size.height, size.width))
    if std:
        if blank.std is None:
            raise ValueError("the plan has no expected errors")
        nothing.write_bytes(tile_bytes(blank.std, None))
    else:
        nothing.write_bytes(tile_bytes(blank.values, blank.mask))
    computed = set(plan.cells)
    tile = store.std_tile if std else store.tile
    return [
        Tile(tile(cell) if cell in computed else nothing, size, in_cell, in_window)
        for cell, in_cell, in_window in plan.recipe.lattice.parts(plan.window)
    ]


def _finish(plan: Plan, target: Target, mosaic: Path, path: Path) -> None:
    """Write a file in its final format."""
    driver, options = DRIVERS[plan.options.format], plan.options.creation
    finish(mosaic, path, target=target, driver=driver, options=options)
    keep_crs(path, target)


def _residual(plan: Plan, mosaic: Path, source: Source) -> Residual:
    """Downsample a result and subtract the source."""
    with open_source(mosaic) as result:
        return residual(source, result, plan.recipe, plan.window)
