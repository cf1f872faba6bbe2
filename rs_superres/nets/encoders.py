"""Feature encoders: EDSR and RDN, with padding and without.

They turn a low-resolution image into features of the same height and width. These are the encoders
that NeurOp-Diff (arXiv 2501.09054) can be configured with, without mean shift and without their
upsampling tails.

Every convolution pads with zeros, so a feature depends on the pixels within ``radius`` of it. Each
network also has a method ``valid``, which pads nothing and returns only the features that no
padding reaches. It is for evaluation: it does less work and overwrites its own intermediate
results. :func:`valid_features` applies it strip by strip.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from itertools import pairwise
from typing import TypeAlias, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rs_superres.config import SourceQuality
from rs_superres.nets.source import Modulation, Qualities

STRIP = 448
"""Largest number of feature rows computed at once by :func:`valid_features`. Each strip computes
the encoder's radius in extra rows on both sides. A cell of 768 output pixels is a single strip at
scales of about 1.8 and above (1.95 with diffusion steps)."""


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """Build a 3x3 convolution that pads with zeros and keeps height and width."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _valid(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply a convolution without padding: a 3x3 kernel shortens height and width by 2."""
    return F.conv2d(x, layer.weight, layer.bias)


def _cropped(x: Tensor, border: int) -> Tensor:
    """Return a view of an image without ``border`` pixels on each side."""
    return x[:, :, border : x.shape[2] - border, border : x.shape[3] - border]


class ResidualBlock(nn.Module):
    """The residual block of EDSR: x + scale * conv(relu(conv(x)))."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.first = conv3x3(channels, channels)
        self.second = conv3x3(channels, channels)
        self.scale = scale

    def forward(self, x: Tensor, modulation: Tensor | None = None) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w).

        Args:
            x: the features.
            modulation: (b, 2, c) factor, less 1, and offset of each channel after the first
                convolution; None leaves it as it is.
        """
        first: Tensor = self.first(x)
        if modulation is not None:
            factor, offset = modulation[..., None, None].to(first).unbind(1)
            first = torch.addcmul(offset, first, factor + 1)
        branch: Tensor = self.second(torch.relu(first))
        return torch.add(x, branch, alpha=self.scale)

    def fold(self, modulation: Tensor) -> None:
        """Change the weights so that the block computes what it did with a modulation, (2, c)."""
        factor, offset = modulation
        self.first.weight.mul_((1 + factor)[:, None, None, None])
        assert self.first.bias is not None  # noqa: S101 (for type checkers)
        self.first.bias.mul_(1 + factor).add_(offset)

    def valid(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h - 4, w - 4) without padding."""
        branch = _valid(self.second, _valid(self.first, x).relu_())
        if self.scale != 1:
            branch.mul_(self.scale)
        return branch.add_(_cropped(x, 2))


class ResidualBlocks(nn.ModuleList):
    """Residual blocks in a row, with a modulation for each if they depend on their source.

    Args:
        channels: feature channels.
        count: number of blocks.
        scale: factor on each block's branch.
    """

    def __init__(self, channels: int, count: int, scale: float = 1.0) -> None:
        super().__init__(ResidualBlock(channels, scale) for _ in range(count))

    @property
    def each(self) -> Iterable[ResidualBlock]:
        """The blocks, in order."""
        return cast("Iterable[ResidualBlock]", self)

    def forward(self, x: Tensor, modulation: Tensor | None = None) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w).

        Args:
            x: the features.
            modulation: (b, blocks, 2, c); see :class:`ResidualBlock`.
        """
        rows = [None] * len(self) if modulation is None else modulation.unbind(1)
        for block, row in zip(self.each, rows, strict=True):
            x = block(x, row)
        return x

    def fold(self, modulation: Tensor) -> None:
        """Change the weights so that the blocks compute what they did with a modulation.

        Args:
            modulation: (blocks, 2, c).
        """
        for block, row in zip(self.each, modulation, strict=True):
            block.fold(row)


class Edsr(nn.Module):
    """EDSR (Lim et al. 2017, arXiv 1707.02921) without mean shift and upsampling tail.

    Args:
        channels: feature channels (64 in ``edsr-baseline``, 256 in ``edsr``).
        blocks: residual blocks (16 and 32).
        residual_scale: factor on each block's branch (1 and 0.1).
        source_aware: whether the features depend on the scale, and on blur and noise of the source.
    """

    def __init__(
        self,
        channels: int = 64,
        blocks: int = 16,
        residual_scale: float = 1.0,
        *,
        source_aware: bool = False,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.radius = 2 * blocks + 2
        self.head = conv3x3(3, channels)
        self.blocks = ResidualBlocks(channels, blocks, residual_scale)
        self.tail = conv3x3(channels, channels)
        self.modulation = Modulation(blocks, channels) if source_aware else None

    def forward(
        self, image: Tensor, qualities: Qualities | None = None, scale: float = 1.0
    ) -> Tensor:
        """Map an image (b, 3, h, w) in network values to features (b, channels, h, w).

        Args:
            image: the image.
            qualities: blur and noise of each image. None for an encoder that is not source-aware,
                or to leave the modulation out.
            scale: the factor between source and result pixels, for a source-aware encoder.
        """
        modulation = None
        if self.modulation is not None and qualities is not None:
            modulation = self.modulation(qualities, scale)
        head: Tensor = self.head(image)
        tail: Tensor = self.tail(self.blocks(head, modulation))
        return head + tail

    @torch.no_grad()
    def folded(self, quality: SourceQuality, scale: float) -> Edsr:
        """Return the encoder for one quality and scale, without modulation.

        Args:
            quality: blur and noise of the source.
            scale: the factor between source and result pixels.

        Returns:
            The encoder itself if it is not source-aware.
        """
        if self.modulation is None:
            return self
        qualities = Qualities.of(quality).to(self.head.weight.device)
        modulation = self.modulation(qualities, scale)[0]
        folded = copy.deepcopy(self)
        folded.modulation = None
        folded.blocks.fold(modulation)
        return folded

    def valid(self, image: Tensor) -> Tensor:
        """Map (b, 3, h, w) to (b, channels, h - 2 radius, w - 2 radius) without padding."""
        head = _valid(self.head, image)
        x = head
        for block in self.blocks.each:
            x = block.valid(x)
        tail = _valid(self.tail, x)
        return tail.add_(_cropped(head, self.radius - 1))


class DenseBlock(nn.Module):
    """The residual dense block of RDN.

    Each convolution sees the block's input and all earlier outputs. A 1x1 convolution fuses them,
    and the input is added.
    """

    def __init__(self, channels: int, growth: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(conv3x3(channels + i * growth, growth) for i in range(layers))
        self.fusion = nn.Conv2d(channels + layers * growth, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w)."""
        outputs = x
        for layer in self.layers:
            outputs = torch.cat((outputs, torch.relu(layer(outputs))), dim=1)
        fused: Tensor = self.fusion(outputs)
        return x + fused

    def valid(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h - 2 layers, w - 2 layers) without padding."""
        outputs = x
        for layer in cast("Iterable[nn.Conv2d]", self.layers):
            new = _valid(layer, outputs).relu_()
            outputs = torch.cat((_cropped(outputs, 1), new), dim=1)
        fused: Tensor = self.fusion(outputs)
        return fused.add_(_cropped(x, len(self.layers)))


class Rdn(nn.Module):
    """RDN (Zhang et al. 2018, arXiv 1802.08797) without its upsampling tail.

    The default sizes are the paper's configuration B.

    Args:
        channels: feature channels (G0 in the paper).
        blocks: residual dense blocks (D).
        layers: convolutions of a block (C).
        growth: channels that each of them adds (G).
    """

    def __init__(
        self, channels: int = 64, blocks: int = 16, layers: int = 8, growth: int = 64
    ) -> None:
        super().__init__()
        self.channels = channels
        self.radius = 2 + blocks * layers + 1
        self.shallow = conv3x3(3, channels)
        self.entry = conv3x3(channels, channels)
        self.blocks = nn.ModuleList(DenseBlock(channels, growth, layers) for _ in range(blocks))
        self.fusion = nn.Conv2d(blocks * channels, channels, 1)
        self.tail = conv3x3(channels, channels)

    def forward(self, image: Tensor) -> Tensor:
        """Map an image (b, 3, h, w) in network values to features (b, channels, h, w)."""
        shallow: Tensor = self.shallow(image)
        x: Tensor = self.entry(shallow)
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        deep: Tensor = self.tail(self.fusion(torch.cat(outputs, dim=1)))
        return shallow + deep

    def valid(self, image: Tensor) -> Tensor:
        """Map (b, 3, h, w) to (b, channels, h - 2 radius, w - 2 radius) without padding."""
        shallow = _valid(self.shallow, image)
        x = _valid(self.entry, shallow)
        outputs = []
        for block in cast("Iterable[DenseBlock]", self.blocks):
            x = block.valid(x)
            outputs.append(x)
        smallest = x.shape[2]
        outputs = [_cropped(output, (output.shape[2] - smallest) // 2) for output in outputs]
        deep = _valid(self.tail, self.fusion(torch.cat(outputs, dim=1)))
        return deep.add_(_cropped(shallow, self.radius - 1))


Encoder: TypeAlias = Edsr | Rdn
"""Any of the encoders."""


def valid_features(encoder: Encoder, image: Tensor) -> Tensor:
    """Compute the features that depend on no padding, in strips of at most :data:`STRIP` rows.

    Args:
        encoder: the network.
        image: (b, 3, h, w) in network values, larger than twice the encoder's radius.

    Returns:
        (b, channels, h - 2 radius, w - 2 radius). Equals the encoder's result without its border,
        up to rounding.
    """
    image = image.contiguous(memory_format=torch.channels_last)
    overlap = 2 * encoder.radius
    rows = image.shape[2] - overlap
    count = max(1, -(-rows // STRIP))
    edges = [rows * i // count for i in range(count + 1)]
    strips = [encoder.valid(image[:, :, top : end + overlap]) for top, end in pairwise(edges)]
    return strips[0] if count == 1 else torch.cat(strips, dim=2)
