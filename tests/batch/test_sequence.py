"""The progress of a batch."""

from __future__ import annotations

from pathlib import Path

import pytest

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
