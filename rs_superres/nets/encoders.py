"""Feature encoders: a low-resolution image in, features of the same size out.

The three that the paper's release can be configured with, built from sizes alone. Each has zero
padding in every convolution, so a feature depends on the ``radius`` pixels around it and no more.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class ResidualBlock(nn.Module):
    """EDSR's block: convolution, ReLU, convolution, times ``scale``, plus the input."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.first = conv3x3(channels, channels)
        self.second = conv3x3(channels, channels)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to the same shape."""
        inner: Tensor = self.second(torch.relu(self.first(x)))
        return torch.add(x, inner, alpha=self.scale)


class Edsr(nn.Module):
    """EDSR (Lim et al. 2017) without mean shift and without its upsampling tail.

    Args:
        channels: feature channels (64 in ``edsr-baseline``, 256 in ``edsr``).
        blocks: residual blocks (16 and 32).
        residual_scale: factor on each block's branch (1 and 0.1).
    """

    def __init__(self, channels: int = 64, blocks: int = 16, residual_scale: float = 1.0) -> None:
        super().__init__()
        self.channels = channels
        self.radius = 2 * blocks + 2
        self.head = conv3x3(3, channels)
        self.blocks = nn.ModuleList(ResidualBlock(channels, residual_scale) for _ in range(blocks))
        self.tail = conv3x3(channels, channels)

    def forward(self, image: Tensor) -> Tensor:
        """(b, 3, h, w) in [-1, 1] to features (b, channels, h, w)."""
        head: Tensor = self.head(image)
        x = head
        for block in self.blocks:
            x = block(x)
        tail: Tensor = self.tail(x)
        return head + tail


class DenseBlock(nn.Module):
    """RDN's residual dense block: each convolution sees all earlier outputs, then a 1x1 fusion."""

    def __init__(self, channels: int, growth: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(conv3x3(channels + i * growth, growth) for i in range(layers))
        self.fusion = nn.Conv2d(channels + layers * growth, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to the same shape."""
        seen = x
        for layer in self.layers:
            seen = torch.cat((seen, torch.relu(layer(seen))), dim=1)
        fused: Tensor = self.fusion(seen)
        return x + fused


class Rdn(nn.Module):
    """RDN (Zhang et al. 2018), configuration B by default, without its upsampling tail."""

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
        """(b, 3, h, w) in [-1, 1] to features (b, channels, h, w)."""
        shallow: Tensor = self.shallow(image)
        x: Tensor = self.entry(shallow)
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        deep: Tensor = self.tail(self.fusion(torch.cat(outputs, dim=1)))
        return shallow + deep


STRIP = 448
"""Rows of features that are made at once, at most. A strip costs the encoder's radius in rows; a
cell of 768 output pixels is one strip down to a magnification of about 1.8, with steps 1.95."""


def interior(encoder: Edsr | Rdn, image: Tensor) -> Tensor:
    """The features of the pixels at least the encoder's radius from the border.

    Args:
        encoder: the network.
        image: (b, 3, h, w).

    Returns:
        (b, channels, h - 2 radius, w - 2 radius), equal to the encoder's own up to rounding.
    """
    image = image.contiguous(memory_format=torch.channels_last)
    around = 2 * encoder.radius
    rows = image.shape[2] - around
    strips = max(1, -(-rows // STRIP))
    edges = [rows * number // strips for number in range(strips + 1)]
    made = [_strip(encoder, image[:, :, top : bottom + around]) for top, bottom in pairwise(edges)]
    return made[0] if strips == 1 else torch.cat(made, dim=2)


def _strip(encoder: Edsr | Rdn, image: Tensor) -> Tensor:
    return _rdn(encoder, image) if isinstance(encoder, Rdn) else _edsr(encoder, image)


def _edsr(encoder: Edsr, image: Tensor) -> Tensor:
    head = _valid(encoder.head, image)
    x = head
    for block in encoder.blocks:
        if isinstance(block, ResidualBlock):
            inner = _valid(block.second, _valid(block.first, x).relu_())
            if block.scale != 1:
                inner.mul_(block.scale)
            x = inner.add_(_cropped(x, 2))
    tail = _valid(encoder.tail, x)
    return tail.add_(_cropped(head, encoder.radius - 1))


def _rdn(encoder: Rdn, image: Tensor) -> Tensor:
    shallow = _valid(encoder.shallow, image)
    x = _valid(encoder.entry, shallow)
    outputs = []
    for block in encoder.blocks:
        if isinstance(block, DenseBlock):
            x = _dense(block, x)
            outputs.append(x)
    smallest = outputs[-1].shape[2]
    kept = [_cropped(x, (x.shape[2] - smallest) // 2) for x in outputs]
    deep = _valid(encoder.tail, encoder.fusion(torch.cat(kept, dim=1)))
    return deep.add_(_cropped(shallow, encoder.radius - 1))


def _dense(block: DenseBlock, x: Tensor) -> Tensor:
    seen = x
    for layer in block.layers:
        seen = torch.cat((_cropped(seen, 1), _valid(layer, seen).relu_()), dim=1)
    out: Tensor = block.fusion(seen)
    return out.add_(_cropped(x, len(block.layers)))


def _valid(layer: nn.Module, x: Tensor) -> Tensor:
    """A convolution where its kernel lies within the image."""
    if not isinstance(layer, nn.Conv2d):
        raise TypeError(f"{type(layer).__name__} is no convolution")
    return F.conv2d(x, layer.weight, layer.bias)


def _cropped(x: Tensor, border: int) -> Tensor:
    """An image without its border; no copy."""
    return x[:, :, border : x.shape[2] - border, border : x.shape[3] - border]
