"""Test the time limit: what is kept aside for calibration and scoring."""

from __future__ import annotations

import math

import pytest

from rs_superres.training.limit import FEWEST_CROPS, WRITING_SECONDS, TimeLimit


def test_without_a_limit_nothing_is_reduced() -> None:
    limit = TimeLimit()
    assert not limit.is_set
    assert math.isinf(limit.remaining())
    assert limit.calibration_crops(64, required=False) == 64
    limit.crop_seconds, limit.window_seconds = 9.0, 30.0
    assert limit.calibration_crops(64, required=True) == 64
    assert limit.scoring_seconds(24) == 24 * 30 + WRITING_SECONDS


def test_elapsed_time_includes_that_before_a_resume() -> None:
    limit = TimeLimit(seconds=100.0)
    limit.add_elapsed(30.0)
    assert 30 <= limit.elapsed() < 60
    assert 40 < limit.remaining() <= 70
    limit.add_elapsed(1e6)
    assert limit.remaining() == 0


@pytest.mark.parametrize(
    ("crop_seconds", "required", "crops"),
    [
        (0.0, True, 64),
        (0.1, True, 64),
        (1.0, True, 10),
        (1.0, False, 10),
        (5.0, True, FEWEST_CROPS),
        (5.0, False, 0),
    ],
)
def test_calibration_crops_fit_their_share(crop_seconds: float, required: bool, crops: int) -> None:
    limit = TimeLimit(seconds=100.0, crop_seconds=crop_seconds)
    assert limit.calibration_crops(64, required=required) == crops


@pytest.mark.parametrize(
    ("seconds", "window", "elapsed", "scored"),
    [
        (60, 20, 65, True),  # ends at 85 s
        (60, 20, 75, False),
        (60, 0, 1e4, False),
        (7200, 600, 7200, True),
        (7200, 800, 7200, False),
    ],
)
def test_a_run_is_scored_if_that_ends_shortly_after_the_limit(
    seconds: float, window: float, elapsed: float, scored: bool
) -> None:
    limit = TimeLimit(seconds=seconds, window_seconds=window)
    limit.add_elapsed(elapsed)
    assert limit.has_time_to_score() is scored
    assert TimeLimit(window_seconds=window).has_time_to_score()


@pytest.mark.parametrize(("window", "kept"), [(0.0, 0), (0.5, 12), (2.0, 15), (40.0, 40)])
def test_scoring_fits_its_share_or_one_window(window: float, kept: float) -> None:
    limit = TimeLimit(seconds=100.0, window_seconds=window)
    assert limit.scoring_seconds(24) == pytest.approx(kept + WRITING_SECONDS)
