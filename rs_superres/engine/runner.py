"""The engine: cell by cell what was planned, put together into a georeferenced result.

``plan`` decides everything before a pixel is computed, ``run`` computes cell by cell, and
``upscale`` is both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rs_superres.engine.assembly import assemble
from rs_superres.engine.compute import Compute, compute_here
from rs_superres.engine.outputs import check_disk, check_unchanged
from rs_superres.engine.planning import Plan, plan
from rs_superres.engine.preview import save_preview
from rs_superres.engine.residual import Residual
from rs_superres.engine.store import CellStore, opened_store
from rs_superres.errors import RasterError
from rs_superres.options import Options
from rs_superres.raster import Paths, block_cache

__all__ = ["Options", "Plan", "Progress", "Report", "assemble", "plan", "run", "upscale"]

Progress = Callable[[int, int], None]
"""Told how many cells are done, of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run did."""

    out: Path
    cells: int
    """Cells that the result is made of."""
    resumed: int
    """Of those, how many an earlier run had finished."""
    blank: int
    """Of those, how many hold nothing valid and were not computed."""
    residual: Residual
    """What is left between the result, brought back to the source's grid, and the source."""
    dropped: str | None
    """Why an earlier run's cells were not used."""
    seconds: float


def upscale(
    source: Paths,
    out: str | Path,
    options: Options,
    *,
    progress: Progress | None = None,
) -> Report:
    """Super-resolve a raster file into another.

    Raises:
        SuperResError: see :func:`plan` and :func:`run`.
    """
    return run(plan(source, out, options), progress=progress)


def run(
    decided: Plan, *, progress: Progress | None = None, compute: Compute = compute_here
) -> Report:
    """Compute what was planned; the result appears under its name when it is whole.

    Args:
        decided: the plan.
        progress: told of finished cells.
        compute: computes the cells that are missing, here or elsewhere.

    Raises:
        InputError: the memory that was granted does not hold a cell.
        RasterError: the source cannot be read, the result not written, or another run of the
            same result is going on. Finished cells stay for the next run.
    """
    started = time.monotonic()
    check_disk(decided.out, decided.disk_bytes)
    with (
        _disk_errors(decided),
        block_cache(decided.block_cache),
        decided.open_source() as source,
        opened_store(decided.scratch) as store,
    ):
        settings = decided.settings()
        dropped = store.begin(settings, resume=decided.options.resume)
        missing = [cell for cell in decided.cells if not store.has(cell)]
        total = len(decided.cells)
        resumed = total - len(missing)
        finished = _counting(progress, resumed, total)
        if missing:
            compute(decided, store, missing, finished)
        check_unchanged(settings["source file"], decided.pixels.description.files)
        made = assemble(decided, store, source)
        _publish(decided, store)
    return Report(
        out=decided.out,
        cells=total,
        resumed=resumed,
        blank=made.blank,
        residual=made.residual,
        dropped=dropped,
        seconds=time.monotonic() - started,
    )


def _counting(progress: Progress | None, done: int, total: int) -> Callable[[], None]:
    """What is called after each cell: tells how many are done, those from before at once."""

    def tell() -> None:
        if progress is not None:
            progress(done, total)

    def finished() -> None:
        nonlocal done
        done += 1
        tell()

    tell()
    return finished


def _publish(decided: Plan, store: CellStore) -> None:
    """Give what was assembled, and what goes with it, the names that were asked for."""
    results = {}
    if decided.options.uncertainty is not None:
        results[store.uncertainty] = decided.options.uncertainty
    if decided.options.preview is not None:
        save_preview(decided, store.result, store.preview)
        results[store.preview] = decided.options.preview
    store.publish({**results, store.result: decided.out})
    store.remove()


@contextmanager
def _disk_errors(decided: Plan) -> Iterator[None]:
    """Tell a failed write in a line that says what is kept."""
    try:
        yield
    except OSError as error:
        if isinstance(error, RasterError):
            raise
        kept = "; finished cells are kept, the same command goes on from them"
        raise RasterError(
            f"cannot write {decided.out}: {error.strerror or error}"
            + (kept if decided.scratch.is_dir() else "")
        ) from error
