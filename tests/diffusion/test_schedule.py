"""Noise schedules: their ends, their spacing, and the paper's subsequences."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rs_superres.diffusion.schedule import LinearSchedule


def test_signal_is_the_cumulative_product_of_one_minus_beta() -> None:
    signal = LinearSchedule(timesteps=3, beta_start=0.1, beta_end=0.3).signal()
    torch.testing.assert_close(signal, torch.tensor((0.9, 0.9 * 0.8, 0.9 * 0.8 * 0.7)))


def test_paper_schedule_ends_in_noise() -> None:
    signal = LinearSchedule().signal()
    assert signal.shape == (2000,)
    assert signal.dtype == torch.float32
    assert signal[0].item() == pytest.approx(1 - 1e-6)
    assert bool((signal.diff() < 0).all())
    assert signal[-1].item() == pytest.approx(math.exp(-10), rel=0.1)


@pytest.mark.parametrize(
    ("steps", "first", "stride"), [(10, 1800, 200), (50, 1960, 40), (1, 0, 2000), (2000, 1999, 1)]
)
def test_subsequence_matches_the_paper(steps: int, first: int, stride: int) -> None:
    times = LinearSchedule().subsequence(steps)
    assert times == list(range(first, -1, -stride))
    assert len(times) == steps


@given(st.integers(1, 2000))
def test_subsequence_has_the_requested_length(steps: int) -> None:
    times = LinearSchedule().subsequence(steps)
    assert len(times) == steps
    assert times[-1] == 0
    assert all(a > b for a, b in pairwise(times))
    # The first time is within one stride of T, so sampling starts from nearly pure noise.
    assert 2000 - times[0] <= math.ceil(2000 / steps)


@pytest.mark.parametrize("steps", [0, -1, 2001])
def test_invalid_step_counts_are_refused(steps: int) -> None:
    for method in (LinearSchedule().subsequence, LinearSchedule().even_half_logs):
        with pytest.raises(ValueError, match=f"{steps} steps, expected 1 to 2000"):
            method(steps)


@pytest.mark.parametrize("steps", [2, 7, 2000])
def test_half_logs_are_evenly_spaced_from_noisiest_to_cleanest(steps: int) -> None:
    schedule = LinearSchedule()
    levels = schedule.even_half_logs(steps)
    signal = schedule.signal().double()
    ends = [float((a / (1 - a)).sqrt().log()) for a in (signal[-1], signal[0])]
    assert [float(levels[0]), float(levels[-1])] == pytest.approx(ends)
    assert levels.diff().tolist() == pytest.approx(
        [(ends[1] - ends[0]) / (steps - 1)] * (steps - 1)
    )


def test_a_single_half_log_is_the_noisiest() -> None:
    schedule = LinearSchedule()
    assert float(schedule.even_half_logs(1)) == float(schedule.even_half_logs(2)[0])
