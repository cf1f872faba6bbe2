"""Noise schedules: the variance-preserving one of NeurOp-Diff, and the noise levels of EDM."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearSchedule:
    """The schedule of NeurOp-Diff (arXiv 2501.09054), with betas that rise linearly.

    At time t the forward process (Ho et al. 2020, eq. 4, arXiv 2006.11239) gives

        x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) e,    a_t = (1 - beta_0) ... (1 - beta_t),

    with x_0 the clean image, e standard normal noise, and t from 0 to T - 1.
    """

    timesteps: int = 2000
    """T, the number of steps of the forward process."""
    beta_start: float = 1e-6
    """Beta of the first step."""
    beta_end: float = 1e-2
    """Beta of the last step."""

    def signal(self) -> Tensor:
        """Return a_0 .. a_{T-1}, (T,) float32: the signal's share of the variance at each time."""
        betas = torch.linspace(
            self.beta_start, self.beta_end, self.timesteps, dtype=torch.float64
        ).float()
        return (1 - betas).cumprod(0)

    def subsequence(self, steps: int) -> list[int]:
        """Return the times floor(i T / steps), i = steps - 1 .. 0: evenly spaced, noisiest first.

        If ``steps`` does not divide T, each time is rounded down separately. A constant spacing of
        T // steps would give another number of times, or leave out the noisiest ones.

        Raises:
            ValueError: ``steps`` is not between 1 and T.
        """
        if not 1 <= steps <= self.timesteps:
            raise ValueError(f"{steps} steps, expected 1 to {self.timesteps}")
        return [i * self.timesteps // steps for i in range(steps)][::-1]

    def even_half_logs(self, steps: int) -> Tensor:
        """Return levels l = ln(a / (1 - a)) / 2 that are evenly spaced, noisiest first.

        l is half the logarithm of the signal-to-noise ratio (lambda in Lu et al. 2022). The levels
        run from that of time T - 1 to that of time 0; a single level is the noisiest.

        Returns:
            (steps,) float64, increasing.

        Raises:
            ValueError: ``steps`` is not between 1 and T.
        """
        if not 1 <= steps <= self.timesteps:
            raise ValueError(f"{steps} steps, expected 1 to {self.timesteps}")
        a = self.signal().double()
        levels = (a / (1 - a)).log() / 2
        return torch.linspace(float(levels[-1]), float(levels[0]), steps, dtype=torch.float64)


def karras_sigmas(steps: int, *, sigma_min: float, sigma_max: float, rho: float) -> list[float]:
    """Return the noise levels of EDM and a final 0 (Karras et al. 2022, eq. 5, arXiv 2206.00364).

    With n steps,

        sigma_i = (sigma_max^(1/rho) + i / (n - 1) (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho,

    for i = 0 .. n - 1. A single step goes from ``sigma_max`` to 0.

    Args:
        steps: number n of evaluations of the denoiser, 1 or more.
        sigma_min: noise level of the last evaluation, above 0.
        sigma_max: noise level of the first evaluation.
        rho: exponent; larger values put more levels near ``sigma_min``.

    Returns:
        n + 1 decreasing levels, the last 0.
    """
    if steps == 1:
        return [sigma_max, 0.0]
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return [(high + i / (steps - 1) * (low - high)) ** rho for i in range(steps)] + [0.0]
