"""Noise schedules: the paper's variance-preserving one, and the deviations of Karras et al."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearSchedule:
    """The paper's schedule: x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) e, a_t the product of 1 - beta."""

    timesteps: int = 2000
    """T, how many steps the forward process has."""
    beta_start: float = 1e-6
    """beta of the first step."""
    beta_end: float = 1e-2
    """beta of the last step."""

    def signal(self) -> Tensor:
        """a_0 .. a_{T-1}, (T,) float32: the share of the signal's variance after each step."""
        betas = torch.linspace(
            self.beta_start, self.beta_end, self.timesteps, dtype=torch.float64
        ).float()
        return (1 - betas).cumprod(0)

    def subsequence(self, steps: int) -> list[int]:
        """The times 0, k, 2 k, ... below T, k = T / steps, last first.

        Where ``steps`` does not divide T, each is rounded down: to take k = T // steps instead
        would give another number of them, or leave out the noisiest.

        Raises:
            ValueError: ``steps`` is not between 1 and T.
        """
        if not 1 <= steps <= self.timesteps:
            raise ValueError(f"{steps} steps, expected 1 to {self.timesteps}")
        return [i * self.timesteps // steps for i in range(steps)][::-1]

    def even_half_logs(self, steps: int) -> Tensor:
        """Levels from the noisiest to the cleanest, evenly spaced: (steps,) float64.

        A level is half the logarithm of the signal's variance over the noise's; a single one is
        the noisiest.

        Raises:
            ValueError: ``steps`` is not between 1 and T.
        """
        if not 1 <= steps <= self.timesteps:
            raise ValueError(f"{steps} steps, expected 1 to {self.timesteps}")
        a = self.signal().double()
        levels = (a / (1 - a)).log() / 2
        return torch.linspace(float(levels[-1]), float(levels[0]), steps, dtype=torch.float64)


def karras_sigmas(steps: int, *, sigma_min: float, sigma_max: float, rho: float) -> list[float]:
    """Noise levels from ``sigma_max`` to ``sigma_min``, then 0 (Karras et al. 2022, eq. 5).

    Returns:
        ``steps + 1`` levels; a single step goes from ``sigma_max`` to 0.
    """
    if steps == 1:
        return [sigma_max, 0.0]
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return [(high + i / (steps - 1) * (low - high)) ** rho for i in range(steps)] + [0.0]
