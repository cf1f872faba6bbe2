"""The cells of a run, computed in this process; others may compute them elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from rs_superres.grid import Window
from rs_superres.planning import Plan
from rs_superres.raster import open_source
from rs_superres.scene import compute_cell
from rs_superres.store import CellStore
from rs_superres.threads import THREADS, cores

Compute = Callable[[Plan, CellStore, Sequence[Window], Callable[[], None]], None]
"""Puts the given cells into the store, and calls back after each."""


def compute_here(
    decided: Plan, store: CellStore, cells: Sequence[Window], finished: Callable[[], None]
) -> None:
    """Compute cells, as many at once as there are processors for; see :data:`Compute`."""
    at_once = min(len(cells), cores() // THREADS) if decided.device == "cpu" else 1
    if at_once < 2:
        with open_source(decided.sources, decided.roles.selection) as source:
            for cell in cells:
                store.put(cell, compute_cell(decided.recipe, source, cell))
                finished()
        return

    pool = ThreadPoolExecutor(at_once)
    try:
        for future in as_completed(
            [pool.submit(compute_one, decided, store, cell) for cell in cells]
        ):
            future.result()
            finished()
    finally:
        pool.shutdown(cancel_futures=True)


def compute_one(decided: Plan, store: CellStore, cell: Window) -> None:
    """Compute one cell with a source of its own: an open raster belongs to its thread."""
    with open_source(decided.sources, decided.roles.selection) as source:
        store.put(cell, compute_cell(decided.recipe, source, cell))
