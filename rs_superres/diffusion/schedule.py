"""The noise schedule of NeurOp-Diff, which preserves the variance."""

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
