"""The preconditioning of Karras et al. (2022, table 1 and eq. 7, 8) for data of unit deviation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Preconditioning:
    """How a network F becomes a denoiser: D(x) = skip x + out F(inner x; noise)."""

    skip: Tensor
    """c_skip: how much of the noisy image is kept."""
    out: Tensor
    """c_out: the size of what the network adds."""
    inner: Tensor
    """c_in: brings the noisy image to unit deviation."""
    noise: Tensor
    """c_noise: the noise level as the network is told it."""

    @classmethod
    def at(cls, sigma: Tensor) -> Preconditioning:
        """The factors for noise of deviation ``sigma``, any shape; data of deviation 1."""
        total = 1 + sigma**2
        return cls(1 / total, sigma / total.sqrt(), 1 / total.sqrt(), sigma.log())


def training_sigmas(normal: Tensor, *, mean: float = -0.3, deviation: float = 1.3) -> Tensor:
    """Noise levels to train at, log-normal; ``normal`` are standard normal draws."""
    return torch.exp(mean + deviation * normal)
