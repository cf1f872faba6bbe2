"""How many threads a network call takes: a constant, since it decides the last bits of a result.

Kernels share out their sums by threads. What more cores bring is more cells at once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

THREADS = 2
"""Of every network call on a CPU."""

Task = TypeVar("Task")

_lock = threading.Lock()
_inside: list[int] = []
"""For each call that goes on, how many threads torch had before the first of them."""


@contextmanager
def fixed_threads() -> Iterator[None]:
    """Let torch compute with :data:`THREADS` threads, whatever the environment says.

    Part of torch's setting belongs to the calling thread and part to the process, so each call sets
    it, and the last of those that overlap puts it back.
    """
    with _lock:
        now = _set(THREADS)
        _inside.append(_inside[0] if _inside else now)
    try:
        yield
    finally:
        with _lock:
            before = _inside.pop()
            if not _inside:
                torch.set_num_threads(before)


def _set(threads: int) -> int:
    """Set torch's threads of this thread; how many it had.

    Asking comes first: in a thread's first parallel call torch would take over what any other has
    set for the process meanwhile.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    return before


def share_out(tasks: Iterable[Task], do: Callable[[Task], None]) -> None:
    """Do small tasks side by side, :data:`THREADS` at once and each by a single thread.

    Where kernels take less than a millisecond the threads of one kernel mostly wait for each other,
    and for as long as the machine pleases where others use it too. Tasks do not wait.
    """

    def alone(task: Task) -> None:
        with torch.inference_mode():
            do(task)

    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(THREADS, initializer=_set, initargs=(1,)) as pool:
            for _ in pool.map(alone, tasks):
                pass
    finally:
        torch.set_num_threads(before)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
