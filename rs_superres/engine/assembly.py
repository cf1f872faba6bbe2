"""Finished cells, put together and into the final format."""

from __future__ import annotations

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
    open_source,
)
from rs_superres.scene.cell import CellResult, blank_cell, is_blank

RESIDUAL_TAG = "SUPERRES_RESIDUAL"
"""What is left between the result, brought back to the source's grid, and the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """What came of it."""

    blank: int
    """Computed cells that hold nothing valid."""
    residual: Residual


def assemble(decided: Plan, store: CellStore, source: Source) -> Assembled:
    """Put finished cells together, under the store's names for the result and its spread.

    Args:
        decided: the plan.
        store: holds every cell of it.
        source: open since before the first cell, so that it may be gone by now.

    Raises:
        RasterError: something cannot be read or written.
    """
    target = decided.target()
    blank = _write(decided, store, target, _result)
    left = _residual(decided, store.assembled, source)
    add_tags(store.assembled, {RESIDUAL_TAG: str(left)})
    _finish(decided, store, target, store.result)
    if decided.recipe.uncertainty_factor is not None:
        target = decided.std_target()
        _write(decided, store, target, _spread)
        _finish(decided, store, target, store.uncertainty)
    return Assembled(blank=blank, residual=left)


Piece = Callable[[CellResult], CellResult]
"""What of a cell goes into a file."""


def _result(made: CellResult) -> CellResult:
    """Its pixels."""
    return made


def _spread(made: CellResult) -> CellResult:
    """The deviation of its samples."""
    if made.std is None:
        raise ValueError("a cell without the deviation of its samples")
    return CellResult(made.std, None)


def _write(decided: Plan, store: CellStore, target: Target, piece: Piece) -> int:
    """Put cells together, and read them back.

    Returns:
        How many of them hold nothing valid.
    """
    blank = 0
    with creating(store.assembled, target) as writer:
        for part, computed in _parts(decided, store, piece):
            writer.write(part)
            blank += computed and is_blank(decided.recipe, part.values, part.mask)
    check_written(store.assembled, (part for part, _ in _parts(decided, store, piece)))
    return blank


def _finish(decided: Plan, store: CellStore, target: Target, name: Path) -> None:
    """Bring what is assembled into the final format."""
    finish(
        store.assembled,
        name,
        target=target,
        driver=DRIVERS[decided.options.format],
        options=decided.options.creation,
    )
    store.assembled.unlink()


def _residual(decided: Plan, path: Path, source: Source) -> Residual:
    """How far an assembled result lies from the source."""
    kernel = decided.pixels.model.config.consistency
    with open_source(path) as made:
        return residual(source, made, decided.recipe, decided.window, kernel)


def _parts(decided: Plan, store: CellStore, piece: Piece) -> Iterator[tuple[OutputBlock, bool]]:
    """The result cell by cell, and whether each was computed or lies outside the area."""
    needed = set(decided.cells)
    for cell, in_cell, in_window in decided.recipe.lattice.parts(decided.window):
        computed = cell in needed
        made = piece(store.get(cell) if computed else blank_cell(decided.recipe, cell))
        part = OutputBlock(
            in_window,
            made.values[:, *in_cell.slices],
            None if made.mask is None else made.mask[in_cell.slices],
        )
        yield part, computed
