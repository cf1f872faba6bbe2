"""Encoders where nothing is padded: the features of those pixels that see no border.

An encoder pads each convolution with zeros, and what lies within its radius of the border is
dropped by whoever tiles. Here each convolution gives what it knows and no more, so the image
shrinks on the way: less work by what would be dropped, and nothing is copied to be padded.

A tall image goes through in strips, since an encoder holds some four times its features on the way.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rs_superres.nets.encoders import DenseBlock, Edsr, Rdn, ResidualBlock

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
