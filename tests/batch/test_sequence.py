"""The progress of a batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from rs_superres.batch import run
from rs_superres.batch.cluster import Finished
from rs_superres.batch.job import Job, SceneOutcome
from rs_superres.batch.sequence import State
from rs_superres.engine import Options


def test_the_pixels_of_a_finished_scene_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, each look at the progress counted those of all scenes."""
    calls: list[SceneOutcome] = []

    def pixels(outcome: SceneOutcome) -> int:
        calls.append(outcome)
        return 6

    monkeypatch.setattr(SceneOutcome, "pixels", property(pixels))
    state = State(10)
    for number in range(10):
        job = Job(number=number, name="a", source="a", out=Path("a"), options=Options(scale=2))
        state.running[number] = (0.5, 6)
        assert state.pixels == 6 * number + 3
        state.finish(job, SceneOutcome(name="a", source="a", out="a", status="done"))
        assert state.pixels == 6 * (number + 1)
    failed = SceneOutcome(name="a", source="a", out="a", status="failed")
    state.finish(job, failed)
    assert state.pixels == 60
    assert len(calls) == 10


def test_events_that_arrive_meanwhile_do_not_disturb_the_progress(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before, a batch of thousands ended: "dictionary changed size during iteration"."""
    batch = [
        Job(number=number, name="a", source="a", out=Path("a"), options=Options(scale=2))
        for number in range(3)
    ]
    client, seen = Mock(), list[float]()

    def receive(number: int, share: float) -> None:
        client.subscribe_topic.call_args[0][1]((0.0, (number, share, 8)))

    def as_completed(
        _client: Any, _task: Any, pending: deque[Job], tick: Callable[[], None]
    ) -> Iterator[Finished[Job]]:
        receive(0, 0.5)
        tick()
        for job in pending:
            outcome = SceneOutcome(name="a", source="a", out="a", status="done", size=(2, 4))
            yield Finished(item=job, value=outcome)
            receive(job.number, 1.0)  # too late
            tick()

    def progress(state: State) -> None:
        for number, (share, _) in state.running.items():
            receive(number + 1, share)
        seen.append(state.pixels)

    monkeypatch.setattr(run, "as_completed", as_completed)
    monkeypatch.setattr(run, "processors_of_workers", lambda _: 2)
    monkeypatch.setattr(run, "precision_of_workers", lambda *_: "fp32")
    assert len(run.run_batch(client, batch, progress)) == 3
    assert seen == [4, 8, 12, 16, 20, 24, 28]
