"""The cells of a run, computed in this process; others may compute them elsewhere."""

from __future__ import annotations

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
from rs_superres.scene.cell import compute_cell, is_blank
from rs_superres.scene.halo import source_window
from rs_superres.system.memory import forget_peak, peak, resident, return_large_blocks
from rs_superres.system.threads import THREADS, cores
from rs_superres.types import Valid, Values

SHARE = 0.9
"""Of the memory that is used by cells side by side: they are not quite alike."""

SHORT = 1_500_000_000
"""Bytes of granted memory below which it is worth time to hold no more than is used."""

Compute = Callable[[Plan, CellStore, Sequence[Window], Callable[[], None]], None]
"""Puts the given cells into the store, and calls back after each."""


def compute_here(
    decided: Plan,
    store: CellStore,
    cells: Sequence[Window],
    finished: Callable[[], None],
    *,
    processors: int | None = None,
) -> None:
    """Compute cells, as many at once as processors and memory bear; see :data:`Compute`.

    What a cell takes of memory is measured: the first that holds something valid is computed alone.
    Where a GPU's memory runs out all the same, half as many go on.

    Args:
        decided: the plan.
        store: takes the cells.
        cells: those that are missing.
        finished: called after each.
        processors: that may be used; all that there are where None.

    Raises:
        InputError: the memory that was granted, or the GPU's, does not hold one.
        RasterError: a file cannot be read or written.
    """
    forget_peak()  # of runs before in this process
    if torch.device(decided.pixels.device).type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(decided.pixels.device)
    todo, before = deque(cells), resident()
    with (
        _holding_one(decided),
        decided.open_source() as source,
    ):
        blank = True
        while todo and blank:
            blank = _compute(decided, store, todo.popleft(), source)
            finished()
        if not todo:
            return
        _check_memory(decided, peak())
        at_once = cells_at_once(
            decided, before, peak(), cores() if processors is None else processors
        )
        while todo:
            computed = (
                _in_turn(decided, store, todo, source)
                if at_once == 1
                else _side_by_side(decided, store, todo, at_once)
            )
            for _ in computed:
                finished()
            if todo:  # for want of a GPU's memory, which what failed has given back by now
                torch.cuda.empty_cache()
                at_once = max(1, at_once // 2)


@contextmanager
def _holding_one(decided: Plan) -> Iterator[None]:
    """Tell in one line that a GPU does not hold a cell."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        finer = "--precision bf16, or " if decided.pixels.precision == "fp32" else ""
        raise InputError(
            f"the memory of {decided.pixels.device} does not hold one cell of this scene; "
            f"use {finer}--device cpu"
        ) from error


def compute_one(decided: Plan, store: CellStore, cell: Window) -> None:
    """Compute one cell with a source of its own: an open raster belongs to its thread."""
    with (
        block_cache(decided.block_cache),
        decided.open_source() as source,
    ):
        _compute(decided, store, cell, source)


def _compute(decided: Plan, store: CellStore, cell: Window, source: Source) -> bool:
    """Compute a cell and keep it; whether it holds nothing valid."""
    granted = decided.options.memory
    if granted is not None and granted < SHORT:
        return_large_blocks()
    made = compute_cell(decided.recipe, source, cell)
    store.put(cell, made)
    return is_blank(decided.recipe, made.values, made.mask)


def cells_at_once(decided: Plan, before: int, most: int, processors: int) -> int:
    """How many cells are computed at once after a first one, by processors and memory.

    Args:
        decided: the plan.
        before: bytes that the process held before the first cell.
        most: bytes that it held at most since.
        processors: that may be used.
    """
    device = torch.device(decided.pixels.device)
    if device.type not in ("cpu", "cuda"):
        return 1
    spare = int(SHARE * decided.memory_limit) - most
    bearable = 1 + spare // max(most - before, 1)
    if device.type == "cpu":
        return max(1, min(processors // THREADS, bearable))
    # The GPU is quick: what feeds it, and brings results to the source, takes a processor a cell.
    return max(1, min(processors, bearable, _cells_on(device)))


def _cells_on(device: torch.device) -> int:
    """How many cells a GPU's memory holds at once, by what it held at most with the first."""
    free, _ = torch.cuda.mem_get_info(device)
    # Twice, since what a stream has used is kept for it.
    return 1 + int(SHARE * free) // max(2 * torch.cuda.max_memory_allocated(device), 1)


def _own_stream(device: torch.device) -> None:
    """Let this thread wait for its own work on a GPU alone.

    What other streams read, the network, is there: the first cell was computed and fetched.
    """
    if device.type == "cuda":
        torch.cuda.set_stream(torch.cuda.Stream(device))  # type: ignore[no-untyped-call] # torch's


def _check_memory(decided: Plan, most: int) -> None:
    """Refuse to go on where the memory that was granted does not hold a cell.

    Raises:
        InputError: it does not.
    """
    granted = decided.options.memory
    if granted is not None and most > granted:
        raise InputError(
            f"with one cell of this scene the process has held {most / 1e9:.2f} GB of memory, "
            f"allowed are {granted / 1e9:.2f} GB; use --memory {most * 1.1 / 1e9:.1f}GB, or fewer "
            "bands by --bidx"
        )


class _Read:
    """The surroundings of one cell, read ahead."""

    def __init__(self, window: Window, read: tuple[Values, Valid]) -> None:
        self._window, self._read = window, read

    def read_mirrored(self, window: Window) -> tuple[Values, Valid]:
        """See :class:`rs_superres.scene.reader.Reader`."""
        if window != self._window:
            raise ValueError(f"{self._window} was read, not {window}")
        return self._read


def _in_turn(
    decided: Plan, store: CellStore, todo: deque[Window], source: Source
) -> Iterator[None]:
    """Compute cells one by one: meanwhile the next one is read, and the last one written."""

    def read(cell: Window) -> _Read:
        window = source_window(decided.recipe, cell)
        return _Read(window, source.read_mirrored(window))

    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        ahead = [reader.submit(read, cell) for cell in islice(todo, 1)]
        written: list[Future[None]] = []
        while todo:
            cell, around = todo.popleft(), ahead.pop().result()
            ahead = [reader.submit(read, following) for following in islice(todo, 1)]
            made = compute_cell(decided.recipe, around, cell)
            for last in written:
                last.result()
                yield
            written = [writer.submit(store.put, cell, made)]
        for last in written:
            last.result()
            yield


def _side_by_side(
    decided: Plan, store: CellStore, todo: deque[Window], at_once: int
) -> Iterator[None]:
    """Compute cells on threads, handing out no more than they are about to need.

    Ends with cells still to do where a GPU's memory ran out.
    """
    pool = ThreadPoolExecutor(
        at_once, initializer=_own_stream, initargs=(torch.device(decided.pixels.device),)
    )
    running: dict[Future[None], Window] = {}
    full = False
    try:
        while True:
            while todo and not full and len(running) < 2 * at_once:
                cell = todo.popleft()
                running[pool.submit(compute_one, decided, store, cell)] = cell
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
