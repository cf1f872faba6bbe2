"""Assembling finished cells into a raster, and bringing it into its final format."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rs_superres.engine.planning import DRIVERS, Plan
from rs_superres.engine.residual import Residual, residual
from rs_superres.engine.store import CellStore
from rs_superres.raster import (
    OutputBlock,
    Source,
    Target,
    add_tags,
    check_written,
    creating,
    finish,
    keep_crs,
    open_source,
)
from rs_superres.scene.cell import CellResult, blank_cell, is_blank

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
    path, blank = _write(plan, store, target, _values)
    left = _residual(plan, path, source)
    logger.debug("assembled %d cells, %d of them blank; residual: %s", len(plan.cells), blank, left)
    add_tags(path, {RESIDUAL_TAG: str(left)})
    result = store.new_file("result", plan.out.name)
    _finish(plan, target, path, result)
    files = {result: plan.out}
    uncertainty = plan.options.uncertainty
    if uncertainty is not None:
        target = plan.std_target()
        path, _ = _write(plan, store, target, _std)
        std = store.new_file("uncertainty", uncertainty.name)
        _finish(plan, target, path, std)
        files = {std: uncertainty, **files}
    return Assembled(files=files, blank=blank, residual=left)


Layer = Callable[[CellResult], CellResult]
"""Selects what of a cell goes into a file."""


def _values(cell: CellResult) -> CellResult:
    """Select the pixels of a cell and their mask."""
    return cell


def _std(cell: CellResult) -> CellResult:
    """Select the standard deviation of a cell's samples."""
    if cell.std is None:
        raise ValueError("the cell has no standard deviation of its samples")
    return CellResult(cell.std, None)


def _write(plan: Plan, store: CellStore, target: Target, layer: Layer) -> tuple[Path, int]:
    """Write all cells into one plain GeoTIFF, and compare it with them.

    Returns:
        The file, and the number of computed cells that hold nothing valid.
    """
    blank, path = 0, store.new_file("assembled", "assembled.tif")
    with creating(path, target) as writer:
        for block, computed in _blocks(plan, store, layer):
            writer.write(block)
            blank += computed and is_blank(plan.recipe, block.values, block.mask)
    check_written(path, (block for block, _ in _blocks(plan, store, layer)))
    return path, blank


def _finish(plan: Plan, target: Target, assembled: Path, path: Path) -> None:
    """Bring the assembled raster into the final format, and delete it."""
    keep_crs(assembled, target)  # so that GDAL copies the coordinate epoch, which rasterio hides
    finish(
        assembled,
        path,
        target=target,
        driver=DRIVERS[plan.options.format],
        options=plan.options.creation,
    )
    assembled.unlink()
    keep_crs(path, target)


def _residual(plan: Plan, path: Path, source: Source) -> Residual:
    """Downsample an assembled result and subtract the source."""
    with open_source(path) as result:
        return residual(source, result, plan.recipe, plan.window)


def _blocks(plan: Plan, store: CellStore, layer: Layer) -> Iterator[tuple[OutputBlock, bool]]:
    """Yield the result cell by cell, and whether the cell was computed or lies outside the area."""
    needed = set(plan.cells)
    for cell, in_cell, in_window in plan.recipe.lattice.parts(plan.window):
        computed = cell in needed
        result = layer(store.get(cell) if computed else blank_cell(plan.recipe, cell))
        block = OutputBlock(
            in_window,
            result.values[:, *in_cell.slices],
            None if result.mask is None else result.mask[in_cell.slices],
        )
        yield block, computed
