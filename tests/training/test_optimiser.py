"""Fitting: it minimises, averages, clips, follows its pace, and goes on where it stopped."""

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
    """y = w x, to be fitted to y = 3 x."""

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


def test_a_loss_falls() -> None:
    line = Line()
    fit = fitting(line)
    advance(line, fit, 200)
    fit.settle()
    assert line.w.tolist() == pytest.approx([3, 3], abs=0.05)
    assert (fit.step, len(fit.recent)) == (200, 200)
    assert fit.recent[-1] < fit.recent[0] / 100


def test_the_rate_rises_and_falls() -> None:
    fit = fitting(Line(), learning_rate=0.5, warmup=10)
    rates = []
    for fit.step in range(200):
        rates.append(fit.rate(fit.step / 200))
    assert rates[0] == pytest.approx(0.05, rel=0.01)
    assert max(rates) == pytest.approx(0.5, rel=0.01)
    assert rates.index(max(rates)) == 9
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert fit.rate(1.0) == pytest.approx(0.001)


def test_pace_is_whichever_ends_first() -> None:
    assert Pace(100, None).progress(25, 1e9) == 0.25
    assert Pace(100, 60).progress(25, 30) == 0.5
    assert Pace(100, 60).progress(75, 30) == 0.75
    assert Pace(100, 60).progress(101, 70) == 1
    assert Pace(0, None).progress(0, 0) == 0


def test_the_average_follows_the_weights() -> None:
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
    fit.settle()
    assert torch.allclose(line.w, average, atol=1e-5)


def test_the_average_is_put_back_after_an_error() -> None:
    line = Line()
    fit = fitting(line)
    advance(line, fit, 5)
    trained = line.w.detach().clone()
    with pytest.raises(KeyError), fit.averaged():
        raise KeyError
    assert torch.equal(line.w, trained)


def test_gradients_are_clipped() -> None:
    """Ten thousand times the loss, no longer a step: the gradient's norm is 1 at most."""
    line = Line()
    fit = fitting(line)
    fit.advance(10_000 * line.loss(), 0.0)
    assert line.w.grad is not None
    assert line.w.grad.norm().item() == pytest.approx(1, rel=1e-3)


def test_it_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
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
        one.settle()
    assert torch.equal(first.w, again.w)
    assert fit.recent == resumed.recent


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_a_loss_that_is_no_number_leaves_the_weights(factor: float) -> None:
    line = Line()
    fit = fitting(line)
    advance(line, fit, 3)
    before = line.w.detach().clone()
    with pytest.raises(TrainingError, match=f"the loss of iteration 4 is {factor}"):
        fit.advance(line.loss() * factor, 0.0)
    assert torch.equal(line.w, before)
    assert fit.step == 3


def test_a_gradient_that_is_no_number_leaves_the_weights() -> None:
    """sqrt(0): its value is sound, its slope is not."""
    line = Line()
    fit = fitting(line)
    with pytest.raises(TrainingError, match=r"iteration 1 is 0\.0, its gradient's norm nan"):
        fit.advance((0 * line.w.sum()).sqrt(), 0.0)
    assert line.w.tolist() == [0, 0]


def test_a_device_that_is_not_waited_for_tells_an_iteration_later() -> None:
    line = Line()
    fit = fitting(line)
    fit.behind = 1
    advance(line, fit, 2)
    assert (fit.step, len(fit.recent)) == (2, 1)
    fit.heed()
    assert len(fit.recent) == 2
    fit.advance(line.loss() * math.nan, 0.0)
    with pytest.raises(TrainingError, match="the loss of iteration 3 is nan"):
        fit.heed()
    with pytest.raises(TrainingError, match="the loss of iteration 4 is nan"):
        advance(line, fit, 2)
