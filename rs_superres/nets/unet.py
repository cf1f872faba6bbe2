"""The denoising U-Net: SR3's (Saharia et al. 2021) as NeurOp-Diff sizes it, and our local one.

One class serves both (spec section 3). The paper's normalises over groups of channels and the
whole image and attends at the coarse levels. With ``norm_groups=0`` and no attention, what remains
is local: each pixel is normalised over its own channels, and a value depends on the pixels within
:attr:`UNet.radius` alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rs_superres.nets.encoders import conv3x3


class ChannelNorm(nn.Module):
    """Layer normalisation of each pixel over its channels: no statistic over the image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to the same shape."""
        last = x.permute(0, 2, 3, 1)
        out = F.layer_norm(last, self.weight.shape, self.weight, self.bias)
        return out.permute(0, 3, 1, 2)


def normalisation(channels: int, groups: int) -> nn.Module:
    """GroupNorm, or :class:`ChannelNorm` where ``groups`` is 0."""
    return nn.GroupNorm(groups, channels) if groups else ChannelNorm(channels)


class Stage(nn.Module):
    """Normalisation, Swish, dropout, 3x3 convolution."""

    def __init__(self, inputs: int, outputs: int, groups: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = normalisation(inputs, groups)
        self.dropout = nn.Dropout(dropout)
        self.conv = conv3x3(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(b, inputs, h, w) to (b, outputs, h, w)."""
        out: Tensor = self.conv(self.dropout(F.silu(self.norm(x))))
        return out


class SelfAttention(nn.Module):
    """One-head attention over all pixels, added to its input."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = normalisation(channels, groups)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to the same shape."""
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, dim=2)
        attended = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out(attended.transpose(1, 2).reshape(x.shape))
        return out + x


class Block(nn.Module):
    """SR3's residual block: two stages, a shift by the condition between them, maybe attention."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        condition: int,
        groups: int,
        dropout: float = 0.0,
        attend: bool = False,
    ) -> None:
        super().__init__()
        self.first = Stage(inputs, outputs, groups)
        self.shift = nn.Linear(condition, outputs)
        self.second = Stage(outputs, outputs, groups, dropout)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.attention = SelfAttention(outputs, groups) if attend else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(b, inputs, h, w), (b, condition) to (b, outputs, h, w)."""
        inner = self.first(x) + self.shift(condition)[:, :, None, None]
        out: Tensor = self.attention(self.second(inner) + self.skip(x))
        return out


class Downsample(nn.Module):
    """Halve the size by a strided convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(b, c, h, w) to (b, c, h / 2, w / 2)."""
        out: Tensor = self.conv(x)
        return out


class Upsample(nn.Module):
    """Double the size by nearest neighbour, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv3x3(channels, channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(b, c, h, w) to (b, c, 2 h, 2 w)."""
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


class ConditionEmbedding(nn.Module):
    """Sines and cosines of each condition, then two linear maps (spec section 3)."""

    def __init__(self, channels: int, conditions: int) -> None:
        super().__init__()
        self.frequencies = channels // 2
        self.first = nn.Linear(2 * self.frequencies * conditions, 4 * channels)
        self.second = nn.Linear(4 * channels, channels)

    def forward(self, conditions: Tensor) -> Tensor:
        """(b, conditions) to (b, channels)."""
        steps = torch.arange(self.frequencies, device=conditions.device) / self.frequencies
        angles = conditions[:, :, None] * torch.exp(-math.log(1e4) * steps)
        waves = torch.cat((angles.sin(), angles.cos()), dim=2).flatten(1)
        out: Tensor = self.second(F.silu(self.first(waves.to(self.first.weight.dtype))))
        return out


class UNet(nn.Module):
    """A convolutional U-Net of (noisy image, prior), told of a few numbers.

    Args:
        channels: channels of the finest level.
        multipliers: channels of each level over those of the finest.
        blocks: residual blocks of a level on the way down; one more on the way up.
        norm_groups: groups of GroupNorm; 0 for normalisation of each pixel by itself.
        attention_levels: levels that attend, 0 the finest.
        middle_attention: whether the first of the two middle blocks attends.
        conditions: how many numbers the network is told.
        dropout: in the second stage of each block, while training.
        patch: side of the squares of pixels that the finest level takes for one, each a channel:
            most of the work is done on that many squared fewer pixels.
        inputs: channels of the noisy image and the prior together.
        outputs: channels of the result.
    """

    def __init__(
        self,
        *,
        channels: int,
        multipliers: Sequence[int],
        blocks: int,
        norm_groups: int,
        attention_levels: Sequence[int] = (),
        middle_attention: bool = False,
        conditions: int = 1,
        dropout: float = 0.0,
        patch: int = 1,
        inputs: int = 6,
        outputs: int = 3,
    ) -> None:
        super().__init__()
        self.patch = patch
        self.levels = len(multipliers)
        self.blocks = blocks
        self.embedding = ConditionEmbedding(channels, conditions)

        def block(before: int, after: int, attend: bool) -> Block:
            return Block(
                before,
                after,
                condition=channels,
                groups=norm_groups,
                dropout=dropout,
                attend=attend,
            )

        self.stem = conv3x3(inputs * patch**2, channels)
        self.down = nn.ModuleList()
        width, skips = channels, [channels]
        for level, multiplier in enumerate(multipliers):
            for _ in range(blocks):
                self.down.append(block(width, channels * multiplier, level in attention_levels))
                width = channels * multiplier
                skips.append(width)
            if level < self.levels - 1:
                self.down.append(Downsample(width))
                skips.append(width)
        self.middle = nn.ModuleList(block(width, width, a) for a in (middle_attention, False))
        self.up = nn.ModuleList()
        for level, multiplier in reversed(list(enumerate(multipliers))):
            for _ in range(blocks + 1):
                after = channels * multiplier
                self.up.append(block(width + skips.pop(), after, level in attention_levels))
                width = after
            if level:
                self.up.append(Upsample(width))
        self.head = Stage(width, outputs * patch**2, norm_groups)

    @property
    def multiple(self) -> int:
        """Side of the squares that the coarsest level takes for a pixel: inputs hold whole ones."""
        return int(self.patch * 2 ** (self.levels - 1))

    @property
    def radius(self) -> int:
        """How far an input pixel reaches into the output, where nothing is global."""
        coarsest = 2 ** (self.levels - 1)
        per_level = sum(2 * (2 * self.blocks + 1) * 2**level for level in range(self.levels))
        # Each level below adds three of its pixels: the convolutions of both samplings, and what
        # halving an odd place rounds away.
        reach = 2 + per_level + 4 * coarsest + 3 * (coarsest - 1)
        return int(self.patch * reach + self.patch - 1)

    def forward(self, noisy: Tensor, prior: Tensor, conditions: Tensor) -> Tensor:
        """Run the network.

        Args:
            noisy: (b, c, h, w).
            prior: (b, inputs - c, h, w).
            conditions: (b, conditions).

        Returns:
            (b, outputs, h, w).
        """
        condition = self.embedding(conditions)
        x = self.stem(F.pixel_unshuffle(torch.cat((noisy, prior), dim=1), self.patch))
        skips = [x]
        for layer in self.down:
            x = layer(x, condition)
            skips.append(x)
        for layer in self.middle:
            x = layer(x, condition)
        for layer in self.up:
            if isinstance(layer, Block):
                x = torch.cat((x, skips.pop()), dim=1)
            x = layer(x, condition)
        out: Tensor = F.pixel_shuffle(self.head(x), self.patch)
        return out
