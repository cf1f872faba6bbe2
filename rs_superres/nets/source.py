"""Networks that know their source: its blur and its noise change the features of the prior.

:class:`Modulation` turns what is known about a source into a factor and an offset for each channel
of the encoder's blocks. They are the same for all pixels of a scene, so the encoder is folded with
them before it runs, and they cost nothing. :class:`Estimator` estimates blur and noise from an
image.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rs_superres.config import SourceQuality

LEAST_NOISE = 0.004
"""Noise in network values below which networks hardly distinguish: half of an 8-bit number."""

LEAST_POWER = 1e-6
"""Added to the power of details before its logarithm: an image may be flat."""


class Qualities(NamedTuple):
    """Blur and noise of the images of a batch; NaN where they are unknown."""

    mtf: Tensor
    """(b,) modulation transfer at the Nyquist frequency; see :class:`SourceQuality`."""
    noise: Tensor
    """(b,) standard deviation in network values."""

    @classmethod
    def of(cls, quality: SourceQuality) -> Qualities:
        """Return the quality of a single image."""
        values = (quality.mtf, quality.noise)
        mtf, noise = (torch.tensor([math.nan if v is None else v]) for v in values)
        return cls(mtf, noise)

    def to(self, device: torch.device) -> Qualities:
        """Return the same qualities on a device."""
        return Qualities(self.mtf.to(device), self.noise.to(device))

    def coded(self) -> Tensor:
        """Return (b, 2) blur and noise as networks take them: of about unit size, NaN if unknown.

        ln(mtf) + 1, limited to -2 and 3, and ln(1 + noise / :data:`LEAST_NOISE`) - 1.
        """
        blur = (self.mtf.log() + 1).clamp(-2, 3)
        return torch.stack((blur, (self.noise / LEAST_NOISE).log1p() - 1), dim=1)


class Modulation(nn.Module):
    """From scale, blur and noise to a factor and an offset for each channel of each block.

    At first the factors are 1 and the offsets 0, whatever the source.

    Args:
        blocks: number of residual blocks.
        channels: channels of each.
        hidden: hidden channels.
        extra: how many further numbers factors and offsets depend on.
    """

    def __init__(self, blocks: int, channels: int, hidden: int = 64, *, extra: int = 0) -> None:
        super().__init__()
        self.shape = blocks, 2, channels
        self.first = nn.Linear(5 + extra, hidden)
        self.second = nn.Linear(hidden, math.prod(self.shape))
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, qualities: Qualities, scale: float, extra: Tensor | None = None) -> Tensor:
        """Compute the factors, less 1, and the offsets.

        Args:
            qualities: blur and noise of b images.
            scale: the factor between source and result pixels.
            extra: (b, extra) further numbers, of about unit size; None if there are none.

        Returns:
            (b, blocks, 2, channels).
        """
        coded = qualities.coded()
        known = ~coded.isnan()
        size = coded.new_full((len(coded), 1), math.log2(scale) - 1.5)
        inputs = torch.cat((coded.where(known, coded.new_zeros(())), known.to(coded), size), dim=1)
        if extra is not None:
            inputs = torch.cat((inputs.expand(len(extra), -1), extra), dim=1)
        with torch.autocast(coded.device.type, enabled=False):
            out: Tensor = self.second(F.gelu(self.first(inputs)))
        return out.reshape(-1, *self.shape)


class Estimator(nn.Module):
    """Estimate blur and noise from an image.

    Linear filters without mean measure the local power of details. A pointwise network of its
    logarithms then says at each pixel what can be read there (noise where the ground is flat, blur
    at edges), and several weighted means over all pixels decide.

    Args:
        channels: number of filters.
        width: channels of the pointwise network.
        heads: number of weighted means.
    """

    def __init__(self, channels: int = 32, width: int = 64, heads: int = 8) -> None:
        super().__init__()
        self.filters = nn.Conv2d(3, channels, 5, bias=False)
        self.first = nn.Linear(channels, width)
        self.second = nn.Linear(width, width)
        self.score = nn.Linear(width, heads)
        self.hidden = nn.Linear(heads * width, width)
        self.output = nn.Linear(width, 4)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Estimate blur and noise as :meth:`Qualities.coded` gives them.

        Args:
            image: (b, 3, h, w) in network values, 8 pixels or more on each side.

        Returns:
            The estimates, (b, 2), and the logarithms of their variances, (b, 2).
        """
        with torch.autocast(image.device.type, enabled=False):
            filters = self.filters.weight
            details = F.conv2d(image, filters - filters.mean((2, 3), keepdim=True))
            power = F.avg_pool2d(details.square(), 3, 1)
            level = ((power + LEAST_POWER).log() + 8) / 3  # of about unit size
            found = level.flatten(2).transpose(1, 2)
            found = F.gelu(self.second(F.gelu(self.first(found))))
            weights = self.score(found).softmax(1)
            pooled = (weights.transpose(1, 2) @ found).flatten(1)
            out = self.output(F.gelu(self.hidden(pooled)))
        return out[:, :2], out[:, 2:].clamp(-8, 4)

    def loss(self, image: Tensor, qualities: Qualities) -> Tensor:
        """Return the negative log-likelihood of the true qualities, a scalar, for training."""
        estimate, log_variance = self(image)
        error = (estimate - qualities.coded()).square()
        loss: Tensor = 0.5 * (error * (-log_variance).exp() + log_variance).mean()
        return loss

    @torch.no_grad()
    def pooled(self, images: list[Tensor]) -> tuple[float, float]:
        """Estimate blur and noise of a scene from several of its windows.

        The estimates are weighted by their precision.

        Args:
            images: (1, 3, h, w) windows in network values, 8 pixels or more on each side.

        Returns:
            The modulation transfer, and the standard deviation of the noise in network values; see
            :class:`SourceQuality`.
        """
        results = [self(image) for image in images]
        estimates, log_variances = (torch.cat(part).double() for part in zip(*results, strict=True))
        weights = (-log_variances).exp()
        blur, level = ((weights * estimates).sum(0) / weights.sum(0)).tolist()
        return math.exp(blur - 1), max(0.0, LEAST_NOISE * math.expm1(level + 1))
