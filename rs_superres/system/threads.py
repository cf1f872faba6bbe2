"""The number of threads per network call, and tasks that run in parallel within a call.

Kernels divide their sums among threads, so the number of threads changes the last bits of a result.
Therefore it is a constant, and more cores compute more cells at once instead.
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
"""Number of threads of every network call on a CPU."""

Task = TypeVar("Task")

# It reads before it writes, which torch needs: see _use_one_thread.
_threads = ScopedSetting(torch.get_num_threads, torch.set_num_threads)


def fixed_threads() -> AbstractContextManager[None]:
    """Make torch compute with :data:`THREADS` threads while the block runs.

    The environment (``OMP_NUM_THREADS`` and others) has no effect on the block. torch keeps one
    part of this setting per thread and one per process, so every call sets it, even if another
    thread has already done so.
    """
    return _threads.held(THREADS)


def _use_one_thread() -> None:
    """Make torch compute with one thread in the calling thread."""
    # Read before writing. Otherwise this thread's first parallel call would replace the number by
    # the process-wide one, which another thread may have changed.
    torch.get_num_threads()
    torch.set_num_threads(1)


def parallel_map(tasks: Iterable[Task], do: Callable[[Task], None]) -> None:
    """Call ``do`` for every task in inference mode, :data:`THREADS` tasks at once.

    Each task computes with a single thread. Threads that share a kernel of less than a millisecond
    mostly wait for each other, and wait much longer if other programs use the machine. Tasks do not
    wait for each other.

    Args:
        tasks: arguments of ``do``, small and independent of each other.
        do: called once per task; an exception is raised here.
    """

    def infer(task: Task) -> None:
        with torch.inference_mode():
            do(task)

    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(THREADS, initializer=_use_one_thread) as pool:
            for _ in pool.map(infer, tasks):
                pass
    finally:
        torch.set_num_threads(before)


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
