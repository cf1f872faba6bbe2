"""The denoiser of the shipped models: a few steps of diffusion draw what the prior misses.

The diffusion models (truth - prior) / std, with std a stored function of the scale. So it sees data
of about unit standard deviation at every scale, and adds nothing but detail to the prior.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rs_superres.diffusion.preconditioning import Preconditioning
from rs_superres.diffusion.samplers import euler
from rs_superres.nets.prior import interpolate_scales
from rs_superres.nets.unet import UNet


class ResidualDenoiser(nn.Module):
    """A local U-Net with the preconditioning of Karras et al. (2022, arXiv 2206.00364).

    Args:
        unet: takes a noisy residual and the prior, 6 channels, and two conditions: noise and scale.
        scales: increasing scales at which the residual's standard deviation is stored.
    """

    deviations: Tensor
    """(scales,): standard deviation of truth - prior at each scale, in network values."""
    deviation_scales: Tensor
    """(scales,): the scales."""

    def __init__(self, unet: UNet, scales: Sequence[float]) -> None:
        super().__init__()
        self.unet = unet
        # With an output of 0, D(x) = c_skip x is the best estimate that uses no image.
        nn.init.zeros_(unet.head.conv.weight)
        self.scales = tuple(scales)
        self.register_buffer("deviations", torch.full((len(scales),), 0.15))
        self.register_buffer("deviation_scales", torch.tensor(self.scales))

    @property
    def multiple(self) -> int:
        """Images must be multiples of it in size."""
        return self.unet.multiple

    @staticmethod
    def measured(error: Tensor) -> Tensor:
        """Return the standard deviation to store for truth minus prior, (b, 3, h, w): a scalar."""
        return error.square().mean().sqrt()

    def deviation(self, scale: float) -> Tensor:
        """Return the standard deviation of truth - prior at a scale: a scalar, network values."""
        return interpolate_scales(self.deviations, self.scales, scale)

    def denoise(self, x: Tensor, prior: Tensor, sigma: Tensor, scale: float) -> Tensor:
        """Estimate the clean residual: D(x) of Karras et al. (2022), eq. 7.

        Args:
            x: (b, 3, h, w) noisy residual, in units of the residual's standard deviation.
            prior: (b, 3, h, w) in network values.
            sigma: (b,) standard deviation of the noise, in the unit of ``x``.
            scale: the factor between source and result pixels.

        Returns:
            (b, 3, h, w) clean residual, in the unit of ``x``.
        """
        c = Preconditioning.at(sigma[:, None, None, None])
        conditions = torch.stack((c.noise.flatten(), _scale_condition(scale, sigma)), dim=1)
        output: Tensor = self.unet(c.inner * x, prior, conditions)
        return c.skip * x + c.out * output.to(x.dtype)

    def sample(
        self, prior: Tensor, noise: Tensor, sigmas: Sequence[float], scale: float, kept: Tensor
    ) -> Tensor:
        """Add drawn detail to the prior.

        Args:
            prior: (b, 3, h, w) in network values.
            noise: (b, 3, h, w) standard normal.
            sigmas: falling noise levels that end with 0; each other level takes one evaluation.
            scale: the factor between source and result pixels.
            kept: (b, 1, h, w) in [0, 1], the share of the detail to keep; see :func:`detail_kept`.

        Returns:
            (b, 3, h, w) in network values.
        """

        def denoise(x: Tensor, sigma: float) -> Tensor:
            return self.denoise(x, prior, x.new_full((len(x),), sigma), scale)

        # In training, a residual of std 1 plus noise of std sigma has this std.
        residual = euler(denoise, noise * math.hypot(1.0, sigmas[0]), sigmas)
        return prior + self.deviation(scale).to(prior) * kept * residual


def detail_kept(image: Tensor, flat: float) -> Tensor:
    """Return the share of drawn detail to keep around each source pixel, 0 on constant ground.

    The share is c^2 / (c^2 + flat^2). The contrast c is the root mean square of the second
    differences along rows and columns, over 5 x 5 pixels and all channels, divided by the square
    root of 6. So white noise has its own standard deviation as contrast, and an even slope has a
    contrast of 0.

    Args:
        image: (b, 3, h, w) in network values.
        flat: contrast at which half of the detail is kept, in network values.

    Returns:
        (b, 1, h, w) in [0, 1].
    """
    down = F.pad(image.diff(dim=2, n=2), (0, 0, 1, 1))
    across = F.pad(image.diff(dim=3, n=2), (1, 1, 0, 0))
    energy = (down.square() + across.square()).mean(1, keepdim=True)
    # 12 = 2 directions x 6, the variance of the second difference of unit white noise.
    squared = F.avg_pool2d(energy, 5, stride=1, padding=2) / 12
    return squared / (squared + flat**2)


def _scale_condition(scale: float, like: Tensor) -> Tensor:
    """Return 2 log2(scale) for each image of the batch, in the shape of ``like``."""
    return 2 * torch.full_like(like, scale).log2()
