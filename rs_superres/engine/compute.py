"""Computes the cells of a run in this process; :mod:`rs_superres.batch` does so elsewhere."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice

import torch

from rs_superres.engine.planning import Plan
from rs_superres.engine.store import CellStore
from rs_superres.errors import InputError
from rs_superres.grid import Window
from rs_superres.raster import Source, block_cache
from rs_superres.scene.cell import CellResult, compute_cell, is_blank
from rs_superres.scene.halo import source_windows
from rs_superres.scene.reader import Reader
from rs_superres.system.memory import forget_peak, peak, resident, return_large_blocks
from rs_superres.system.threads import THREADS, cores
from rs_superres.types import Valid, Values

logger = logging.getLogger(__name__)

SHARE = 0.9
"""Share of the memory that cells side by side may use: cells differ a little."""

SHORT = 1_500_000_000
"""Memory limit in bytes below which saving memory is worth the time that it costs."""

Compute = Callable[[Plan, CellStore, Sequence[Window], Callable[[], None]], None]
"""Computes the given cells, puts them into the store, and calls back after each."""


def compute_here(
    plan: Plan,
    store: CellStore,
    cells: Sequence[Window],
    finished: Callable[[], None],
    *,
    processors: int | None = None,
) -> None:
    """Compute cells, as many at once as processors and memory allow; see :data:`Compute`.

    The memory of a cell is measured: the first cell that holds a valid pixel is computed alone. If
    the memory of a GPU runs out nevertheless, half as many are computed at once.

    Args:
        plan: the plan of the run.
        store: takes the cells.
        cells: the cells that are missing.
        finished: called after each cell.
        processors: how many may be used; all of the machine's if None.

    Raises:
        InputError: the memory limit, or the GPU's memory, is too small for one cell.
        RasterError: a file cannot be read or written.
    """
    forget_peak()  # that of earlier runs in this process
    if torch.device(plan.pixels.device).type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(plan.pixels.device)
    todo, before = deque(cells), resident()
    with _refusing_small_gpus(plan), plan.open_source() as source:
        blank = True
        while todo and blank:
            blank = _compute(plan, store, todo.popleft(), source)
            finished()
        if not todo:
            return
        _check_memory(plan, peak())
        at_once = cells_at_once(plan, before, peak(), cores() if processors is None else processors)
        while todo:
            computed = (
                _in_turn(plan, store, todo, source)
                if at_once == 1
                else _side_by_side(plan, store, todo, at_once)
            )
            for _ in computed:
                finished()
            if todo:  # the GPU's memory ran out; the threads that failed have freed theirs by now
                torch.cuda.empty_cache()
                at_once = max(1, at_once // 2)
                logger.debug("the GPU's memory ran out: continuing with %d cells at once", at_once)


@contextmanager
def _refusing_small_gpus(plan: Plan) -> Iterator[None]:
    """Turn a GPU's failure to hold one cell into an error of one line."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        pixels = plan.pixels
        finer = "precision='bf16' or " if pixels.precision == "fp32" else ""
        raise InputError(
            f"the memory of {pixels.device} does not hold one cell of this scene; "
            f"use {finer}device='cpu'"
        ) from error


def compute_one(plan: Plan, store: CellStore, cell: Window) -> None:
    """Compute one cell with a newly opened source: an open raster belongs to its thread."""
    with block_cache(plan.block_cache), plan.open_source() as source:
        _compute(plan, store, cell, source)


def _compute(plan: Plan, store: CellStore, cell: Window, source: Source) -> bool:
    """Compute a cell and keep it.

    Returns:
        Whether it holds nothing valid.
    """
    limit = plan.options.memory
    if limit is not None and limit < SHORT:
        return_large_blocks()
    result = _timed(plan, source, cell)
    return _keep(plan, store, cell, result)


def _keep(plan: Plan, store: CellStore, cell: Window, result: CellResult) -> bool:
    """Put a cell into the store, and return whether it holds nothing valid."""
    blank = is_blank(plan.recipe, result.values, result.mask)
    store.put(cell, result, blank=blank)
    return blank


def _timed(plan: Plan, reader: Reader, cell: Window) -> CellResult:
    """Compute a cell and log how long it took."""
    started = time.perf_counter()
    result = compute_cell(plan.recipe, reader, cell)
    seconds = time.perf_counter() - started
    logger.debug("cell at row %d, column %d: %.3f s", cell.row, cell.column, seconds)
    return result


def cells_at_once(plan: Plan, before: int, most: int, processors: int) -> int:
    """Return how many cells are computed at once after the first, by processors and memory.

    Args:
        plan: the plan of the run.
        before: bytes that the process held before the first cell.
        most: the most bytes that it has held since.
        processors: how many may be used.
    """
    device = torch.device(plan.pixels.device)
    if device.type not in ("cpu", "cuda"):
        logger.debug("computing one cell at once: the device is %s", device.type)
        return 1
    spare = int(SHARE * plan.memory_limit) - most
    limits = {"memory": 1 + spare // max(most - before, 1)}
    if device.type == "cpu":
        limits["processors"] = processors // THREADS
    else:
        # The GPU is fast: reading for it, and correcting its results, takes a processor a cell.
        limits["processors"] = processors
        limits["GPU memory"] = _cells_on(device)
    at_once = max(1, min(limits.values()))
    logger.debug(
        "computing %d cells at once; limits: %s (one cell took %.2f GB, %.2f GB are spare)",
        at_once,
        ", ".join(f"{name} {limit}" for name, limit in limits.items()),
        (most - before) / 1e9,
        spare / 1e9,
    )
    return at_once


def _cells_on(device: torch.device) -> int:
    """Return how many cells a GPU's memory holds, by the most that the first cell took."""
    free, _ = torch.cuda.mem_get_info(device)
    # Twice, because torch keeps the memory that a stream has used for that stream.
    return 1 + int(SHARE * free) // max(2 * torch.cuda.max_memory_allocated(device), 1)


def _own_stream(device: torch.device) -> None:
    """Let this thread wait only for its own work on a GPU.

    The network, which all streams read, is ready: the first cell was computed and fetched.
    """
    if device.type == "cuda":
        torch.cuda.set_stream(torch.cuda.Stream(device))  # type: ignore[no-untyped-call] # torch's


def _check_memory(plan: Plan, most: int) -> None:
    """Refuse to continue if the memory limit does not hold one cell.

    Args:
        plan: the plan of the run.
        most: the most bytes that the process has held with one cell.

    Raises:
        InputError: that is more than the limit.
    """
    limit = plan.options.memory
    if limit is not None and most > limit:
        raise InputError(
            f"with one cell of this scene the process has held {most / 1e9:.2f} GB of memory, "
            f"allowed are {limit / 1e9:.2f} GB; use memory={most * 1.1 / 1e9:.1f}GB, or choose "
            "fewer bands with bidx="
        )


class _ReadAhead:
    """A reader of the windows that one cell is computed from, which were read ahead."""

    def __init__(self, source: Source, windows: Sequence[Window]) -> None:
        self._read = {window: source.read_mirrored(window) for window in windows}

    def read_mirrored(self, window: Window) -> tuple[Values, Valid]:
        """Return a window that was read; see :class:`rs_superres.scene.reader.Reader`."""
        return self._read[window]


def _in_turn(plan: Plan, store: CellStore, todo: deque[Window], source: Source) -> Iterator[None]:
    """Compute cells one by one while the next is read and the last is written."""

    def read(cell: Window) -> _ReadAhead:
        return _ReadAhead(source, source_windows(plan.recipe, cell))

    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        ahead = [reader.submit(read, cell) for cell in islice(todo, 1)]
        written: list[Future[bool]] = []
        while todo:
            cell, halo = todo.popleft(), ahead.pop().result()
            ahead = [reader.submit(read, following) for following in islice(todo, 1)]
            result = _timed(plan, halo, cell)
            for last in written:
                last.result()
                yield
            written = [writer.submit(_keep, plan, store, cell, result)]
        for last in written:
            last.result()
            yield


def _side_by_side(
    plan: Plan, store: CellStore, todo: deque[Window], at_once: int
) -> Iterator[None]:
    """Compute cells on threads, handing out only as many as they need soon.

    Returns early, with cells left in ``todo``, if the memory of a GPU runs out.
    """
    pool = ThreadPoolExecutor(
        at_once, initializer=_own_stream, initargs=(torch.device(plan.pixels.device),)
    )
    running: dict[Future[None], Window] = {}
    full = False
    try:
        while True:
            while todo and not full and len(running) < 2 * at_once:
                cell = todo.popleft()
                running[pool.submit(compute_one, plan, store, cell)] = cell
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                cell = running.pop(future)
                if isinstance(future.exception(), torch.OutOfMemoryError):
                    full = True
                    todo.append(cell)
                else:
                    future.result()
                    yield
    finally:
        pool.shutdown(cancel_futures=True)
