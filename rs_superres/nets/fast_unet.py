"""U-Nets as they are fastest to sample with: the same function, the same parameters.

A 3x3 convolution of an image that was doubled by nearest neighbour sees each source pixel up to
four times. Its result is four convolutions of 2x2 pixels of the undoubled image, one for each place
in a doubled pixel, with sums of the kernel's entries: 16 products for a source pixel, not 36.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rs_superres.nets.unet import Block, Stage, UNet, Upsample

Network = TypeVar("Network", bound=nn.Module)


def with_fast_unet(network: Network) -> Network:
    """A copy of a network with a U-Net in it, for evaluation alone; parameters are shared."""
    shared = {id(t): t for t in (*network.parameters(), *network.buffers())}
    made = copy.deepcopy(network, shared)
    for layer in made.modules():
        if isinstance(layer, Block):
            layer.first, layer.second = InPlace(layer.first), InPlace(layer.second)
        if isinstance(layer, UNet):
            layer.head = InPlace(layer.head)
            for i, sampling in enumerate(layer.up):
                if isinstance(sampling, Upsample):
                    layer.up[i] = Phases(sampling)
    return made


class InPlace(Stage):
    """A stage that overwrites what it has normalised."""

    def __init__(self, stage: Stage) -> None:
        nn.Module.__init__(self)  # it takes the stage's own parts, and makes none
        self.norm, self.conv = stage.norm, stage.conv

    def forward(self, x: Tensor) -> Tensor:
        """(b, inputs, h, w) to (b, outputs, h, w)."""
        out: Tensor = self.conv(F.silu(self.norm(x), inplace=True))
        return out


class Phases(nn.Module):
    """An upsampling whose convolution is done before the doubling."""

    def __init__(self, upsample: Upsample) -> None:
        super().__init__()
        weight, self.bias = upsample.conv.weight.detach(), upsample.conv.bias
        # Rows and columns of the kernel that fall on the same source pixel, for either place.
        sums = torch.tensor([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]], dtype=torch.float64)
        sums = sums.to(weight.device)
        phases = torch.einsum("aiy,bjx,ocyx->abocij", sums, sums, weight.double())
        self.weights = [
            [phase.to(weight.dtype).contiguous(memory_format=torch.channels_last) for phase in row]
            for row in phases
        ]

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(b, c, h, w) to (b, c, 2 h, 2 w)."""
        b, c, h, w = x.shape
        out = x.new_empty((b, c, 2 * h, 2 * w)).contiguous(memory_format=torch.channels_last)
        padded = F.pad(x, (1, 1, 1, 1))
        for down, row in enumerate(self.weights):
            for right, weight in enumerate(row):
                seen = padded[:, :, down : down + h + 1, right : right + w + 1]
                out[:, :, down::2, right::2] = F.conv2d(seen, weight, self.bias)
        return out
