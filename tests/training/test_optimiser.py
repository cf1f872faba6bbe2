"""Test the optimiser: it minimises, averages, clips, follows the pace, and resumes exactly."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rs_superres.errors import TrainingError
from rs_superres.training.config import PriorPhase
from rs_superres.training.distributed import World
from rs_superres.training.optimiser import Fitting, Pace


class Line(nn.Module):
    """A model y = w x that is fitted to y = 3 x."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2))

    def loss(self) -> Tensor:
        return (self.w - 3).square().sum()


def fitting(line: nn.Module, **more: float) -> Fitting:
    settings = {"learning_rate": 0.1, "warmup": 1, "ema": 0.9} | more
    return Fitting(line, PriorPhase(steps=200, **settings), World())  # type: ignore[arg-type]  # of mixed types


def advance(line: Line, fit: Fitting, steps: int) -> None:
    for _ in range(steps):
        fit.advance(line.loss(), fit.step / 200)


def test_loss_decreases() -> None:
    line = Line()
    fit = fitting(line)
    advance(line, fit, 200)
    fit.load_average()
    assert line.w.tolist() == pytest.approx([3, 3], abs=0.05)
    assert (fit.step, len(fit.recent)) == (200, 200)
    assert fit.recent[-1] < fit.recent[0] / 100


def test_learning_rate_warms_up_and_decays() -> None:
    fit = fitting(Line(), learning_rate=0.5, warmup=10)
    rates = []
    for fit.step in range(200):
        rates.append(fit.learning_rate(fit.step / 200))
    assert rates[0] == pytest.approx(0.05, rel=0.01)
    assert max(rates) == pytest.approx(0.5, rel=0.01)
    assert rates.index(max(rates)) == 9
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert fit.learning_rate(1.0) == pytest.approx(0.001)


def test_the_warm_up_takes_a_tenth_of_a_short_phase() -> None:
    fit = fitting(Line(), learning_rate=0.5, warmup=50)
    assert fit.learning_rate(0) == pytest.approx(0.5 / 50)
    assert fit.learning_rate(0.05) == pytest.approx(0.25, rel=0.01)
    assert fit.learning_rate(0.1) == pytest.approx(0.5 * 0.9756, rel=0.01)
    fit.step = 19  # of 1000 iterations: the warm-up is a twentieth of the phase
    assert fit.learning_rate(0.019) == pytest.approx(0.5 * 20 / 50, rel=0.01)


def test_pace_ends_by_steps_or_time_whichever_comes_first() -> None:
    assert Pace(100, None).progress(25, 1e9) == 0.25
    assert Pace(100, 60).progress(25, 30) == 0.5
    assert Pace(100, 60).progress(75, 30) == 0.75
    assert Pace(100, 60).progress(101, 70) == 1
    assert Pace(0, None).progress(0, 0) == 0


def test_average_is_exponential_after_a_short_start() -> None:
    line = Line()
    fit = fitting(line)
    average = torch.zeros(2)
    for step in range(1, 30):
        advance(line, fit, 1)
        keep = min(0.9, step / (step + 9))
        average = keep * average + (1 - keep) * line.w.detach()
    trained = line.w.detach().clone()
    with fit.averaged():
        assert torch.allclose(line.w, average, atol=1e-5)
        assert not torch.allclose(line.w, trained, atol=1e-3)
    assert torch.equal(line.w, trained)
    fit.load_average()
    assert torch.allclose(line.w, average, atol=1e-5)


def test_trained_weights_are_restored_after_an_error() -> None:
    line = Line()
    fit = fitting(line)
    advance(line, fit, 5)
    trained = line.w.detach().clone()
    with pytest.raises(KeyError), fit.averaged():
        raise KeyError
    assert torch.equal(line.w, trained)


def test_gradients_are_clipped() -> None:
    """The gradient's norm is at most 1, even for a loss that is 10,000 times larger."""
    line = Line()
    fit = fitting(line)
    fit.advance(10_000 * line.loss(), 0.0)
    assert line.w.grad is not None
    assert line.w.grad.norm().item() == pytest.approx(1, rel=1e-3)


def test_resumed_fitting_equals_an_unbroken_one(tmp_path: Path) -> None:
    first = Line()
    fit = fitting(first)
    advance(first, fit, 13)
    fit.seconds = 4.5
    torch.save({"network": first.state_dict(), "fitting": fit.state()}, tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    again = Line()
    again.load_state_dict(state["network"])
    resumed = fitting(again)
    resumed.restore(state["fitting"])
    assert (resumed.step, resumed.seconds, len(resumed.recent)) == (13, 4.5, 13)
    for line, one in ((first, fit), (again, resumed)):
        advance(line, one, 20)
        one.load_average()
    assert torch.equal(first.w, again.w)
    assert fit.recent == resumed.recent


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_nan_or_infinite_loss_leaves_the_weights(factor: float) -> None:
    line = Line()
    fit = fitting(line)
    advance(line, fit, 3)
    before = line.w.detach().clone()
    with pytest.raises(TrainingError, match=f"the loss of iteration 4 is {factor}"):
        fit.advance(line.loss() * factor, 0.0)
    assert torch.equal(line.w, before)
    assert fit.step == 3


def test_nan_gradient_leaves_the_weights() -> None:
    """sqrt(0) has a finite value and an infinite slope."""
    line = Line()
    fit = fitting(line)
    with pytest.raises(TrainingError, match=r"iteration 1 is 0\.0, its gradient's norm nan"):
        fit.advance((0 * line.w.sum()).sqrt(), 0.0)
    assert line.w.tolist() == [0, 0]


def test_gpu_losses_are_checked_an_iteration_later() -> None:
    line = Line()
    fit = fitting(line)
    fit.max_pending = 1
    advance(line, fit, 2)
    assert (fit.step, len(fit.recent)) == (2, 1)
    fit.check_losses()
    assert len(fit.recent) == 2
    fit.advance(line.loss() * math.nan, 0.0)
    with pytest.raises(TrainingError, match="the loss of iteration 3 is nan"):
        fit.check_losses()
    with pytest.raises(TrainingError, match="the loss of iteration 4 is nan"):
        advance(line, fit, 2)
