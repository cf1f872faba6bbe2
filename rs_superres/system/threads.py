"""How many threads a network call takes: a constant, since it decides the last bits of a result.

Kernels share out their sums by threads. What more cores bring is more cells at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeVar

import torch

from rs_superres.system.settings import ScopedSetting

THREADS = 2
"""Of every network call on a CPU."""

Task = TypeVar("Task")

# Asked before every setting: see :func:`_single`.
_threads = ScopedSetting(torch.get_num_threads, torch.set_num_threads)


def fixed_threads() -> AbstractContextManager[None]:
    """Let torch compute with :data:`THREADS` threads, whatever the environment says.

    Part of torch's setting belongs to the calling thread and part to the process: each call sets
    it, also where another holds it already.
    """
    return _threads.held(THREADS)


def _single() -> None:
    """Let this thread of torch's compute alone.

    Asking comes first: in a thread's first parallel call torch would take over what any other has
    set for the process meanwhile.
    """
    torch.get_num_threads()
    torch.set_num_threads(1)


def parallel_map(tasks: Iterable[Task], do: Callable[[Task], None]) -> None:
    """Do small tasks side by side, :data:`THREADS` at once and each by a single thread.

    Where kernels take less than a millisecond the threads of one kernel mostly wait for each other,
    and for as long as the machine pleases where others use it too. Tasks do not wait.
    """

    def alone(task: Task) -> None:
        with torch.inference_mode():
            do(task)

    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(THREADS, initializer=_single) as pool:
            for _ in pool.map(alone, tasks):
                pass
    finally:
        torch.set_num_threads(before)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
