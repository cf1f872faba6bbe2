"""The number of threads per network call, and tasks that run in parallel."""

from __future__ import annotations

import os
from threading import Thread, get_ident

import pytest
import torch

from rs_superres.system.threads import THREADS, cores, fixed_threads, parallel_map


def test_fixed_threads_hold_for_the_block_alone() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS + 1)
    try:
        with fixed_threads():
            assert torch.get_num_threads() == THREADS
        assert torch.get_num_threads() == THREADS + 1
    finally:
        torch.set_num_threads(before)


def test_fixed_threads_apply_in_every_thread() -> None:
    counts = []

    def count() -> None:
        with fixed_threads():
            counts.append(torch.get_num_threads())

    with fixed_threads():
        thread = Thread(target=count)
        thread.start()
        thread.join()
    assert counts == [THREADS]


def test_parallel_map_runs_every_task_with_one_thread() -> None:
    tasks = {}

    def do(task: int) -> None:
        tasks[task] = get_ident(), torch.get_num_threads(), torch.is_inference_mode_enabled()

    before = torch.get_num_threads()
    parallel_map(range(20), do)
    assert sorted(tasks) == list(range(20))
    workers, counts, inference = map(set, zip(*tasks.values(), strict=True))
    assert get_ident() not in workers
    assert len(workers) <= THREADS
    assert counts == {1}
    assert inference == {True}
    assert torch.get_num_threads() == before


def test_parallel_map_raises_the_error_of_a_task() -> None:
    def do(task: int) -> None:
        raise ValueError(f"task {task}")

    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="task 0"):
        parallel_map(range(3), do)
    assert torch.get_num_threads() == before


def test_cores_are_those_that_the_process_may_use() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
