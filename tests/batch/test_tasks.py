"""Tasks are submitted together, and their values fetched side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from distributed import Client, LocalCluster

from rs_superres.batch.cluster import LEAST_TASKS, _Tasks, as_completed


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def half(number: int) -> int:
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number // 2


def test_values_and_errors_arrive(client: Client) -> None:
    pending = deque(range(20))
    finished = {done.item: done for done in as_completed(client, half, pending, lambda: None)}
    assert sorted(finished) == list(range(20))
    for number, done in finished.items():
        assert (done.error is None) == (number % 2 == 0)
        assert done.value == (None if number % 2 else number // 2)


def test_a_value_that_arrives_late_holds_up_no_other(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, the client waited for each value in turn, and submitted nothing meanwhile."""
    late = asyncio.Event()
    gather: Any = client.gather

    async def gather_late(future: Any, asynchronous: bool) -> Any:
        value = await gather(future, asynchronous=asynchronous)
        if value == 0:
            await late.wait()
        return value

    monkeypatch.setattr(client, "gather", gather_late)
    numbers = range(0, 40, 2)
    finished = as_completed(client, half, deque(numbers), lambda: None)
    others = [next(finished).item for _ in numbers[1:]]
    assert sorted(others) == list(numbers[1:])
    assert client.loop is not None
    client.loop.add_callback(late.set)
    assert [done.item for done in finished] == [0]


def test_tasks_are_submitted_several_at_a_time(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted: list[int] = []
    submit = client.map

    def count(function: Any, items: list[int], **chosen: Any) -> Any:
        submitted.append(len(items))
        return submit(function, items, **chosen)

    monkeypatch.setattr(client, "map", count)
    assert len(list(as_completed(client, half, deque(range(40)), lambda: None))) == 40
    assert sum(submitted) == 40
    assert max(submitted) <= LEAST_TASKS
    assert min(submitted) >= 2


def test_values_that_nobody_needs_are_not_fetched(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Client, "gather")
    finished = as_completed(client, half, deque([2, 3]), lambda: None, fetch=False)
    by_item = {done.item: done for done in finished}
    assert by_item[2].value is None
    assert by_item[2].error is None
    assert isinstance(by_item[3].error, ValueError)


@pytest.mark.parametrize("fetch", [True, False])
def test_a_value_whose_worker_died_is_no_lost_scheduler(fetch: bool) -> None:
    """Before, the batch ended if a worker died whose last outcome was not fetched yet."""
    client, future = Mock(status="running"), Mock(status="lost")

    async def gather(*_: Any, asynchronous: bool) -> str:
        return f"computed again {asynchronous}"

    client.gather = gather
    client.loop.add_callback = lambda receive, future: asyncio.run(receive(future))
    tasks = _Tasks[str](client, half, fetch=fetch)  # type: ignore[arg-type] # never called
    tasks.running[future] = "a"
    tasks._finish(future)
    done = tasks.finished(timeout=1)
    assert (done.item, done.error) == ("a", None)
    assert done.value == ("computed again True" if fetch else None)
