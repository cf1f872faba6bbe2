"""Samplers: solve the probability-flow ODE from noise to an image, with the network as a function.

:func:`ddim` and :func:`dpm_solver` serve the published NeurOp-Diff, :func:`rotate` our own models.
All are deterministic: the only random input is the noise that they start from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from rs_superres.diffusion.schedule import LinearSchedule


class NoisePredictor(Protocol):
    """A network that predicts the noise e in x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) e."""

    def __call__(self, x: Tensor, level: Tensor) -> Tensor:
        """Predict the noise in an image.

        Args:
            x: (b, c, h, w) noisy image x_t.
            level: (b, 1) signal level sqrt(a_t), between 0 and 1.

        Returns:
            (b, c, h, w) predicted noise.
        """
        ...


class Velocity(Protocol):
    """A network that predicts the velocity cos(t) z - sin(t) x of a mixture of data and noise."""

    def __call__(self, x: Tensor, angle: float) -> Tensor:
        """Predict the velocity.

        Args:
            x: (b, c, h, w) mixture cos(t) x + sin(t) z of data x and noise z.
            angle: the angle t, 0 to pi/2.

        Returns:
            (b, c, h, w) velocity.
        """
        ...


def ddim(predict: NoisePredictor, x: Tensor, schedule: LinearSchedule, steps: int) -> Tensor:
    """Sample with DDIM, eta = 0 (Song et al. 2021, eq. 12, arXiv 2010.02502).

    From time t to the next time t', with e the predicted noise,

        c = (x_t - sqrt(1 - a_t) e) / sqrt(a_t),    x_t' = sqrt(a_t') c + sqrt(1 - a_t') e.

    The last step has a_t' = 1 and returns c. The network is evaluated ``steps`` times.

    Args:
        predict: the network.
        x: (b, c, h, w) standard normal noise.
        schedule: schedule of the forward process.
        steps: number of times to visit, evenly spaced in t.

    Returns:
        (b, c, h, w) image.
    """
    signal = schedule.signal()
    times = schedule.subsequence(steps)
    for time, following in pairwise([*times, None]):
        a = signal[time]
        a_next = torch.ones(()) if following is None else signal[following]
        noise = predict(x, a.sqrt().to(x).expand(len(x), 1))
        clean = (x - (1 - a).sqrt() * noise) / a.sqrt()
        x = a_next.sqrt() * clean + (1 - a_next).sqrt() * noise
    return x


def dpm_solver(predict: NoisePredictor, x: Tensor, schedule: LinearSchedule, steps: int) -> Tensor:
    """Sample with DPM-Solver++(2M) (Lu et al. 2022, algorithm 2, arXiv 2211.01095).

    It solves the same ODE as DDIM, to second order: each step extrapolates the clean image from the
    last two estimates. With l = ln(sqrt(a / (1 - a))), h the step in l, s = sqrt(1 - a), and c the
    estimate of the clean image,

        D = c + h / (2 h_before) (c - c_before),    x' = s' / s x + sqrt(a') (1 - exp(-h)) D.

    The last step returns c. The levels are evenly spaced in l, because with evenly spaced times
    nearly all of the change falls into the last step. The network is evaluated ``steps`` times.

    Args:
        predict: the network.
        x: (b, c, h, w) standard normal noise.
        schedule: schedule of the forward process.
        steps: number of levels to visit.

    Returns:
        (b, c, h, w) image.
    """
    levels = schedule.even_half_logs(steps)
    signals, noises = (2 * levels).sigmoid().sqrt(), (-2 * levels).sigmoid().sqrt()
    before, step_before = x, math.inf  # so the first step does not extrapolate
    for i in range(steps):
        g, s = signals[i].to(x), noises[i].to(x)
        clean = (x - s * predict(x, g.expand(len(x), 1))) / g
        if i == steps - 1:
            return clean
        step = float(levels[i + 1] - levels[i])
        estimate = clean + step / (2 * step_before) * (clean - before)
        kept, added = noises[i + 1] / noises[i], -signals[i + 1] * math.expm1(-step)
        x = kept.to(x) * x + added.to(x) * estimate
        before, step_before = clean, step
    return x


def rotate(velocity: Velocity, x: Tensor, angles: Sequence[float]) -> Tensor:
    """Sample by rotating from noise to data (TrigFlow: Lu and Song 2024, arXiv 2410.11081).

    It solves dx/dt = v(x, t), with v constant during each step. So data and noise of unit variance
    keep it in any number of steps if the network knows nothing and v is 0; DDIM would shrink them.

    Args:
        velocity: the network, evaluated at each angle but the last.
        x: (b, c, h, w) standard normal noise.
        angles: decreasing angles, from pi/2 for pure noise to 0 for data.

    Returns:
        (b, c, h, w) data.
    """
    for angle, following in pairwise(angles):
        x = x + (following - angle) * velocity(x, angle)
    return x
