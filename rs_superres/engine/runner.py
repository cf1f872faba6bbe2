"""The engine: runs a plan cell by cell, and assembles a georeferenced result.

``plan`` decides everything before a pixel is computed, ``run`` does what was planned, and
``upscale`` does both.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rs_superres.engine.assembly import Assembled, assemble
from rs_superres.engine.compute import Compute, compute_here
from rs_superres.engine.outputs import check_disk, check_unchanged
from rs_superres.engine.planning import Plan, plan
from rs_superres.engine.preview import save_preview
from rs_superres.engine.report import Report, Subject
from rs_superres.engine.stac import write_item
from rs_superres.engine.store import CellStore, opened_store
from rs_superres.errors import RasterError, SuperResError
from rs_superres.options import Options
from rs_superres.raster import Paths, block_cache
from rs_superres.system.progress import ProgressOption, counted, shown_progress

__all__ = ["Options", "Plan", "assemble", "plan", "run", "upscale"]

logger = logging.getLogger(__name__)

KEPT = "finished cells are kept, run the same command again to resume"
"""What a user needs to know after a failure."""


def upscale(
    source: Paths,
    out: str | Path,
    options: Options,
    *,
    progress: ProgressOption = None,
) -> Report:
    """Super-resolve a raster file into another: plan the run, and run the plan.

    Args:
        source: one raster, or several on one grid whose bands are stacked in that order.
        out: the name of the result.
        options: the options of the run.
        progress: called after each cell, with the numbers of finished cells and of all cells; or
            whether to show a bar. None shows one in a Jupyter notebook.

    Raises:
        SuperResError: see :func:`plan` and :func:`run`.
    """
    return run(plan(source, out, options), progress=progress)


def run(plan: Plan, *, progress: ProgressOption = None, compute: Compute = compute_here) -> Report:
    """Compute what was planned; the result appears under its name when it is complete.

    Args:
        plan: the plan of the run.
        progress: called after each cell, with the numbers of finished cells and of all cells; or
            whether to show a bar. None shows one in a Jupyter notebook.
        compute: computes the missing cells, in this process or elsewhere.

    Raises:
        InputError: the memory limit does not hold one cell.
        RasterError: the source cannot be read, the result cannot be written, or another run is
            writing it. Finished cells are kept for the next run.
    """
    started = time.monotonic()
    settings = plan.settings()
    _log_plan(plan)
    with _disk_errors(plan):
        _check_disks(plan, settings)
        with (
            block_cache(plan.block_cache),
            plan.open_source() as source,
            opened_store(plan.scratch) as store,
        ):
            dropped = store.begin(settings, resume=plan.options.resume)
            if store.finished:
                store.drop_damaged(plan.cells)
            missing = [cell for cell in plan.cells if not store.has(cell)]
            total = len(plan.cells)
            resumed = total - len(missing)
            logger.debug("%d of %d cells are finished already", resumed, total)
            with shown_progress(
                progress, plan.out.name, unit="cell", total=total, done=resumed
            ) as shown:
                if shown is not None:
                    shown(resumed, total)
                if missing:
                    compute(plan, store, missing, counted(shown, total, resumed))
            computed = time.monotonic()
            logger.debug("computed %d cells in %.1f s", len(missing), computed - started)
            check_unchanged(settings["source file"], plan.pixels.description.files)
            try:
                assembled = assemble(plan, store, source)
            except RasterError as error:  # a damaged cell too: the next run computes it again
                raise RasterError(f"{error}; {KEPT}") from error
            logger.debug("assembled the result in %.1f s", time.monotonic() - computed)
            _publish(plan, store, assembled)
    return Report(
        out=plan.out,
        cells=total,
        resumed=resumed,
        blank=assembled.blank,
        residual=assembled.residual,
        dropped=dropped,
        seconds=time.monotonic() - started,
        subject=Subject.of(plan),
    )


def _log_plan(plan: Plan) -> None:
    """Log sizes, scale, cells, and how the network computes."""
    pixels, cell = plan.pixels, plan.recipe.lattice.cell
    source = pixels.description.grid.shape
    logger.debug(
        "upscaling %s (%d x %d, %d bands of %s) by %.6g to %s (%d x %d)",
        ", ".join(plan.sources),
        source.width,
        source.height,
        len(pixels.description.bands),
        pixels.description.dtype,
        pixels.zoom.scale,
        plan.out,
        plan.window.width,
        plan.window.height,
    )
    logger.debug(
        "%d cells of %d x %d, model %s, %d steps, %s on %s; cells in %s",
        len(plan.cells),
        cell.width,
        cell.height,
        pixels.model.name,
        pixels.steps,
        pixels.precision,
        pixels.device,
        plan.scratch,
    )


def _check_disks(plan: Plan, settings: dict[str, Any]) -> None:
    """Refuse a run that does not fit on the disks that it writes to.

    What an earlier run left in the scratch folder is subtracted: it is used, replaced or deleted.
    A run whose cells are all finished is tried in any case: the limits are for uncompressed files.

    Raises:
        RasterError: too little is free, or the output's folder was deleted.
    """
    if not plan.out.parent.is_dir():
        raise RasterError(f"cannot write {plan.out}: its folder does not exist")
    store = CellStore(plan.scratch)
    if plan.options.resume and store.fits(settings) and all(map(store.has, plan.cells)):
        return
    for folder, needed in plan.disk_needs().items():
        held = store.used_bytes if folder == plan.scratch else 0
        check_disk(folder, needed - held, plan.out)


def _publish(plan: Plan, store: CellStore, assembled: Assembled) -> None:
    """Give the assembled files their names, the result last, and delete the store."""
    files, preview = assembled.files, plan.options.preview
    if preview is not None:
        *_, result = files
        picture = store.new_file("preview", preview.name)
        save_preview(plan, result, picture)
        files = {picture: preview, **files}
    if plan.item is not None:
        described = store.new_file("item", plan.item.name)
        write_item(plan, described, plan.item)
        files = {described: plan.item, **files}
    store.publish(files)
    store.remove()


@contextmanager
def _disk_errors(plan: Plan) -> Iterator[None]:
    """Turn a failed write into an error of one line that says what is kept."""
    try:
        yield
    except OSError as error:
        if isinstance(error, SuperResError):
            raise
        raise RasterError(
            f"cannot write {plan.out}: {error.strerror or error}"
            + (f"; {KEPT}" if plan.scratch.is_dir() else "")
        ) from error
