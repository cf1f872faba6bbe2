"""Samplers, with networks for which the exact result is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rs_superres.diffusion.samplers import ddim, dpm_solver
from rs_superres.diffusion.schedule import LinearSchedule

SCHEDULE = LinearSchedule()
SIGNAL = SCHEDULE.signal()


def images(seed: int) -> tuple[Tensor, Tensor]:
    """Draw a clean image in [-1, 1] and standard normal noise, (2, 3, 4, 5) each."""
    generator = torch.Generator().manual_seed(seed)
    clean = 2 * torch.rand(2, 3, 4, 5, generator=generator) - 1
    return clean, torch.randn(2, 3, 4, 5, generator=generator)


class PointMass:
    """The exact network for data that consist of one image; it records its noise levels."""

    def __init__(self, clean: Tensor) -> None:
        self.clean = clean
        self.levels: list[float] = []

    def noise(self, x: Tensor, level: Tensor) -> Tensor:
        assert level.shape == (len(x), 1)
        self.levels.append(float(level[0]))
        # Look a up in the schedule: in float32, 1 - level^2 cancels where a is nearly 1.
        a = SIGNAL[(SIGNAL.sqrt() - level[0]).abs().argmin()]
        return (x - a.sqrt() * self.clean) / (1 - a).sqrt()


@pytest.mark.parametrize("steps", [1, 7, 50])
def test_ddim_reaches_a_point_mass(steps: int) -> None:
    clean, noise = images(1)
    exact = PointMass(clean)
    torch.testing.assert_close(ddim(exact.noise, noise, SCHEDULE, steps), clean, rtol=0, atol=1e-3)
    assert exact.levels == [float(SIGNAL[t].sqrt()) for t in SCHEDULE.subsequence(steps)]


class Gaussian:
    """The exact network for normally distributed data, and the exact solution of the ODE."""

    def __init__(self, mean: float, deviation: float) -> None:
        self.mean, self.deviation, self.evaluations = mean, deviation, 0

    def noise(self, x: Tensor, level: Tensor) -> Tensor:
        self.evaluations += 1
        g = level[:, :, None, None].double()
        s = (1 - g**2).sqrt()
        return (x - g * self.mean) * s / (g**2 * self.deviation**2 + s**2)

    def end(self, x: Tensor) -> Tensor:
        """The solution: (x - g mean) / (standard deviation of x) is constant along the ODE."""
        a = SIGNAL[-1].double()
        scale = self.deviation / (a * self.deviation**2 + 1 - a).sqrt()
        return self.mean + (x - a.sqrt() * self.mean) * scale


@pytest.mark.parametrize("deviation", [0.1, 0.3, 0.6])
def test_dpm_solver_is_second_order_on_gaussian_data(deviation: float) -> None:
    x = images(6)[1].double()
    errors = []
    for steps in (20, 40, 80):
        exact = Gaussian(0.3, deviation)
        out = dpm_solver(exact.noise, x, SCHEDULE, steps)
        assert exact.evaluations == steps
        errors.append(float((out - exact.end(x)).norm() / (exact.end(x) - 0.3).norm()))
    assert errors[0] < 0.03
    assert errors[0] / errors[1] > 3
    assert errors[1] / errors[2] > 2
    by_ddim = ddim(exact.noise, x, SCHEDULE, 50)
    assert errors[0] < float((by_ddim - exact.end(x)).norm() / (exact.end(x) - 0.3).norm()) / 2


def test_dpm_solver_and_ddim_converge_to_the_same_image() -> None:
    x, exact = images(7)[1].double(), Gaussian(-0.2, 0.4)
    ours, theirs = (f(exact.noise, x, SCHEDULE, 2000) for f in (dpm_solver, ddim))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=5e-3)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_dpm_solver_reaches_a_point_mass(steps: int) -> None:
    clean, noise = images(8)

    def exact(x: Tensor, level: Tensor) -> Tensor:
        g = level[:, :, None, None].double()
        return (x - g * clean) / (1 - g**2).sqrt()

    out = dpm_solver(exact, noise.double(), SCHEDULE, steps)
    torch.testing.assert_close(out, clean.double(), rtol=0, atol=1e-3)


def test_a_sample_does_not_depend_on_its_batch() -> None:
    clean, noise = images(4)
    alone = ddim(PointMass(clean[:1]).noise, noise[:1], SCHEDULE, 5)
    assert torch.equal(ddim(PointMass(clean).noise, noise, SCHEDULE, 5)[:1], alone)
