"""Preconditioning of a denoiser and its training noise levels (EDM: Karras et al. 2022, table 1).

EDM is arXiv 2206.00364. All formulas are for data of standard deviation 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Preconditioning:
    """The factors that turn a network F into a denoiser D (Karras et al. 2022, eq. 7).

    For a noisy image x = y + n, with y of standard deviation 1 and n of standard deviation sigma,

        D(x; sigma) = c_skip x + c_out F(c_in x; c_noise)

    estimates y. The factors keep the input and the training target of F at standard deviation 1.
    """

    skip: Tensor
    """c_skip = 1 / (1 + sigma^2): the share of the noisy image that is kept."""
    out: Tensor
    """c_out = sigma / sqrt(1 + sigma^2): the factor on the network's output."""
    inner: Tensor
    """c_in = 1 / sqrt(1 + sigma^2): the factor on the network's input."""
    noise: Tensor
    """c_noise = ln(sigma): the noise level as the network receives it. EDM uses a quarter of it."""

    @classmethod
    def at(cls, sigma: Tensor) -> Preconditioning:
        """Return the factors for a noise level.

        Args:
            sigma: standard deviation of the noise, above 0, of any shape.

        Returns:
            Factors of the shape of ``sigma``.
        """
        total = 1 + sigma**2
        return cls(1 / total, sigma / total.sqrt(), 1 / total.sqrt(), sigma.log())


def training_sigmas(normal: Tensor, *, mean: float = -0.3, deviation: float = 1.3) -> Tensor:
    """Turn standard normal draws into log-normal noise levels (Karras et al. 2022, table 1).

    ln(sigma) is normally distributed.

    Args:
        normal: standard normal draws, of any shape.
        mean: mean of ln(sigma).
        deviation: standard deviation of ln(sigma).

    Returns:
        exp(mean + deviation x normal), of the shape of ``normal``.
    """
    return torch.exp(mean + deviation * normal)
