"""Samplers: functions from noise and a network to an image. Schedules come in as data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from rs_superres.diffusion.schedule import LinearSchedule


class NoisePredictor(Protocol):
    """The paper's network: predicts the noise in ``x``."""

    def __call__(self, x: Tensor, level: Tensor) -> Tensor:
        """(b, c, h, w) and the level g = sqrt(a), (b, 1), to the noise (b, c, h, w)."""
        ...


class Denoiser(Protocol):
    """A network preconditioned to estimate the clean image (Karras et al. 2022, D)."""

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """(b, c, h, w) with noise of deviation ``sigma`` to the clean (b, c, h, w)."""
        ...


Draw: TypeAlias = Callable[[int], Tensor]
"""Standard normal noise for the i-th step of a sampler, shaped like the image."""


def ddim(predict: NoisePredictor, x: Tensor, schedule: LinearSchedule, steps: int) -> Tensor:
    """DDIM with eta 0 (Song et al. 2021, eq. 12), ``steps`` evaluations of the network.

    Args:
        predict: the network.
        x: (b, c, h, w) standard normal noise.
        schedule: of the forward process.
        steps: how many times of it are visited; the last step lands on x_0.
    """
    signal = schedule.signal()
    times = schedule.subsequence(steps)
    for time, following in pairwise([*times, None]):
        a = signal[time]
        a_next = torch.ones(()) if following is None else signal[following]
        noise = predict(x, _level(a, x))
        clean = (x - (1 - a).sqrt() * noise) / a.sqrt()
        x = a_next.sqrt() * clean + (1 - a_next).sqrt() * noise
    return x


def dpm_solver(predict: NoisePredictor, x: Tensor, schedule: LinearSchedule, steps: int) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, algorithm 2), ``steps`` evaluations.

    The same flow as DDIM's to second order, each step with the clean image foretold from the last
    two estimates. With half the logarithm of the signal-to-noise ratio, l = log(sqrt(a / (1 - a))),
    and h the step in it,

        x' = s' / s x + sqrt(a') (1 - exp(-h)) D,    D = c + h / (2 h_before) (c - c_before),

    s = sqrt(1 - a) and c the estimate of the clean image. The last step lands on c. The levels are
    even in l: evenly spaced times leave nearly all of the flow to their last step.

    Args:
        predict: the network.
        x: (b, c, h, w) standard normal noise.
        schedule: of the forward process.
        steps: how many levels of it are visited.
    """
    levels = schedule.even_half_logs(steps)
    signals, noises = (2 * levels).sigmoid().sqrt(), (-2 * levels).sigmoid().sqrt()
    before, step_before = x, math.inf  # the first step has no estimate before it
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


def ddpm(
    predict: NoisePredictor, x: Tensor, schedule: LinearSchedule, steps: int, draw: Draw
) -> Tensor:
    """Ancestral sampling over a subsequence (Ho et al. 2020, eq. 6 and 7), x_0 clipped.

    Args:
        predict: the network.
        x: (b, c, h, w) standard normal noise.
        schedule: of the forward process.
        steps: how many times of it are visited.
        draw: the noise that a step adds; the last adds none.
    """
    signal = schedule.signal()
    times = schedule.subsequence(steps)
    for i, (time, following) in enumerate(pairwise([*times, None])):
        a = signal[time]
        a_next = torch.ones(()) if following is None else signal[following]
        noise = predict(x, _level(a, x))
        clean = ((x - (1 - a).sqrt() * noise) / a.sqrt()).clamp(-1, 1)
        beta = 1 - a / a_next
        x = (a_next.sqrt() * beta * clean + (1 - beta).sqrt() * (1 - a_next) * x) / (1 - a)
        if following is not None:
            x = x + beta.sqrt() * draw(i)
    return x


def euler(denoise: Denoiser, x: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Euler steps of the probability-flow ODE (Karras et al. 2022, algorithm 1, first order).

    Args:
        denoise: the network.
        x: (b, c, h, w) noise of deviation ``sigmas[0]``.
        sigmas: falling noise levels, the last 0; one evaluation for each but that.
    """
    for sigma, following in pairwise(sigmas):
        clean = denoise(x, sigma)
        x = clean + (following / sigma) * (x - clean)
    return x


def _level(signal: Tensor, x: Tensor) -> Tensor:
    """g = sqrt(a) as the network is told it: (b, 1)."""
    return signal.sqrt().to(x).expand(len(x), 1)
