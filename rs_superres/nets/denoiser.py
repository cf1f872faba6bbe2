"""The shipped denoiser: what the prior misses, drawn by a few steps of diffusion.

It models (truth - prior) / deviation, the deviation a stored function of the scale, so that the
diffusion sees data of about unit size at any scale and adds nothing but detail to the prior.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rs_superres.diffusion.preconditioning import Preconditioning
from rs_superres.diffusion.samplers import euler
from rs_superres.nets.prior import interpolated
from rs_superres.nets.unet import UNet


class ResidualDenoiser(nn.Module):
    """A local U-Net under the preconditioning of Karras et al., told the noise and the scale.

    Args:
        unet: takes (noisy residual, prior), 6 channels, and two conditions.
        scales: the magnifications at which the residual's deviation is stored, increasing.
    """

    deviations: Tensor
    """(scales,): the deviation of truth - prior at each scale, in network values."""
    deviation_scales: Tensor
    """(scales,): the magnifications."""

    def __init__(self, unet: UNet, scales: Sequence[float]) -> None:
        super().__init__()
        self.unet = unet
        nn.init.zeros_(unet.head.conv.weight)  # begins as the best guess without a network
        self.scales = tuple(scales)
        self.register_buffer("deviations", torch.full((len(scales),), 0.15))
        self.register_buffer("deviation_scales", torch.tensor(self.scales))

    def deviation(self, scale: float) -> Tensor:
        """The deviation of truth - prior at a scale: a scalar."""
        return interpolated(self.deviations, self.scales, scale)

    def denoise(self, x: Tensor, prior: Tensor, sigma: Tensor, scale: float) -> Tensor:
        """Estimate the clean residual.

        Args:
            x: (b, 3, h, w) residual with noise, in units of its deviation.
            prior: (b, 3, h, w) in network values.
            sigma: (b,) deviation of the noise.
            scale: the magnification.

        Returns:
            (b, 3, h, w), in units of the residual's deviation.
        """
        c = Preconditioning.at(sigma[:, None, None, None])
        told = torch.stack((c.noise.flatten(), _told_scale(scale, sigma)), dim=1)
        network: Tensor = self.unet(c.inner * x, prior, told)
        return c.skip * x + c.out * network.to(x.dtype)

    def sample(
        self, prior: Tensor, noise: Tensor, sigmas: Sequence[float], scale: float, kept: Tensor
    ) -> Tensor:
        """The prior with drawn detail.

        Args:
            prior: (b, 3, h, w) in network values.
            noise: (b, 3, h, w) standard normal.
            sigmas: falling noise levels, the last 0; one evaluation for each but that.
            scale: the magnification.
            kept: (b, 1, h, w) share of the detail that is kept; see :func:`detail_kept`.

        Returns:
            (b, 3, h, w) in network values.
        """

        def denoise(x: Tensor, sigma: float) -> Tensor:
            return self.denoise(x, prior, x.new_full((len(x),), sigma), scale)

        # The deviation of what the first level stands for: a residual of unit deviation, and noise.
        residual = euler(denoise, noise * math.hypot(1.0, sigmas[0]), sigmas)
        return prior + self.deviation(scale).to(prior) * kept * residual


def detail_kept(image: Tensor, flat: float) -> Tensor:
    """How much drawn detail each source pixel's surroundings bear: 0 where they are constant.

    c^2 / (c^2 + flat^2), c the root mean square second difference along rows and columns over
    5 x 5 pixels, over the square root of 6: white noise has its own deviation as c, an even slope
    has none. Where the source shows nothing, nothing is invented.

    Args:
        image: (b, 3, h, w) in network values.
        flat: the contrast at which half of the detail is kept.

    Returns:
        (b, 1, h, w).
    """
    bent = image.diff(dim=2, n=2), image.diff(dim=3, n=2)
    down, across = F.pad(bent[0], (0, 0, 1, 1)), F.pad(bent[1], (1, 1, 0, 0))
    energy = (down.square() + across.square()).mean(1, keepdim=True)
    contrast = F.avg_pool2d(energy, 5, stride=1, padding=2) / 12
    return contrast / (contrast + flat**2)


def _told_scale(scale: float, like: Tensor) -> Tensor:
    """The scale as the network is told it, for each of the batch."""
    return 2 * torch.full_like(like, scale).log2()
