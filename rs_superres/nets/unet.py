"""The denoising U-Net of SR3 (Saharia et al. 2021, arXiv 2104.07636), as NeurOp-Diff uses it.

It normalises groups of channels over the entire image, and attends over it at the coarse levels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rs_superres.nets.encoders import conv3x3


class Stage(nn.Module):
    """Normalisation, Swish and 3x3 convolution."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, inputs)
        self.conv = conv3x3(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, inputs, h, w) to (b, outputs, h, w)."""
        out: Tensor = self.conv(F.silu(self.norm(x)))
        return out


class SelfAttention(nn.Module):
    """Self-attention with one head over all pixels, added to its input."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to the same shape."""
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, dim=2)
        attended = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out(attended.transpose(1, 2).reshape(x.shape))
        return out + x


class Block(nn.Module):
    """The residual block of SR3.

    second(first(x) + shift(condition)) + skip(x), then attention if ``attend``.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        condition: channels of the embedded conditions.
        groups: groups of GroupNorm.
        attend: whether self-attention follows.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        condition: int,
        groups: int,
        attend: bool = False,
    ) -> None:
        super().__init__()
        self.first = Stage(inputs, outputs, groups)
        self.shift = nn.Linear(condition, outputs)
        self.second = Stage(outputs, outputs, groups)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.attention = SelfAttention(outputs, groups) if attend else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map (b, inputs, h, w) and (b, condition) to (b, outputs, h, w)."""
        inner = self.first(x) + self.shift(condition)[:, :, None, None]
        out: Tensor = self.attention(self.second(inner) + self.skip(x))
        return out


class Downsample(nn.Module):
    """Halve height and width with a 3x3 convolution of stride 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h / 2, w / 2); ``condition`` is ignored."""
        out: Tensor = self.conv(x)
        return out


class Upsample(nn.Module):
    """Double height and width by nearest neighbour, then apply a 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv3x3(channels, channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, 2 h, 2 w); ``condition`` is ignored."""
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


class ConditionEmbedding(nn.Module):
    """Embedding of the noise level.

    The level g becomes sin and cos of g exp(-ln(1e4) i / n), i = 0 ... n - 1, with n half the
    number of channels. Linear, Swish and linear layers follow.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.frequencies = channels // 2
        self.first = nn.Linear(2 * self.frequencies, 4 * channels)
        self.second = nn.Linear(4 * channels, channels)

    def forward(self, level: Tensor) -> Tensor:
        """Map (b, 1) to (b, channels)."""
        steps = torch.arange(self.frequencies, device=level.device) / self.frequencies
        angles = level * torch.exp(-math.log(1e4) * steps)
        waves = torch.cat((angles.sin(), angles.cos()), dim=1)
        out: Tensor = self.second(F.silu(self.first(waves.to(self.first.weight.dtype))))
        return out


class UNet(nn.Module):
    """A convolutional U-Net of a noisy image and the prior, conditioned on the noise level.

    Args:
        channels: channels of the finest level.
        multipliers: channels of each level, from the finest, as multiples of ``channels``.
        blocks: residual blocks of each level on the way down; one more on the way up.
        norm_groups: groups of GroupNorm.
        attention_levels: levels with self-attention; 0 is the finest.
        middle_attention: whether the first of the two middle blocks has self-attention.
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
        inputs: int = 6,
        outputs: int = 3,
    ) -> None:
        super().__init__()
        self.levels = len(multipliers)
        self.blocks = blocks
        self.embedding = ConditionEmbedding(channels)

        def block(before: int, after: int, attend: bool) -> Block:
            return Block(
                before,
                after,
                condition=channels,
                groups=norm_groups,
                attend=attend,
            )

        self.stem = conv3x3(inputs, channels)
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
        self.head = Stage(width, outputs, norm_groups)

    @property
    def multiple(self) -> int:
        """Input pixels per pixel of the coarsest level; inputs must be multiples of it in size."""
        return int(2 ** (self.levels - 1))

    def forward(self, noisy: Tensor, prior: Tensor, level: Tensor) -> Tensor:
        """Run the network.

        Args:
            noisy: (b, c, h, w) noisy image; h and w are multiples of :attr:`multiple`.
            prior: (b, inputs - c, h, w) in network values.
            level: (b, 1) noise level.

        Returns:
            (b, outputs, h, w).
        """
        condition = self.embedding(level)
        x = self.stem(torch.cat((noisy, prior), dim=1))
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
        out: Tensor = self.head(x)
        return out
