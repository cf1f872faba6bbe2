"""The denoising U-Net of SR3 (Saharia et al. 2021, arXiv 2104.07636), and a local variant.

:class:`UNet` is both. NeurOp-Diff (arXiv 2501.09054) uses it with group normalisation over the
image and with attention at the coarse levels. The shipped models use ``norm_groups=0`` and no
attention. Then each pixel is normalised over its own channels, and a value depends only on the
pixels within :attr:`UNet.radius`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rs_superres.nets.encoders import conv3x3


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each pixel, without statistics over the image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to the same shape."""
        last = x.permute(0, 2, 3, 1)
        out = F.layer_norm(last, self.weight.shape, self.weight, self.bias)
        return out.permute(0, 3, 1, 2)


def normalisation(channels: int, groups: int) -> nn.Module:
    """Build a GroupNorm, or a :class:`ChannelNorm` if ``groups`` is 0."""
    return nn.GroupNorm(groups, channels) if groups else ChannelNorm(channels)


class Stage(nn.Module):
    """Normalisation, Swish, dropout and 3x3 convolution."""

    def __init__(self, inputs: int, outputs: int, groups: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = normalisation(inputs, groups)
        self.dropout = nn.Dropout(dropout)
        self.conv = conv3x3(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, inputs, h, w) to (b, outputs, h, w)."""
        out: Tensor = self.conv(self.dropout(F.silu(self.norm(x))))
        return out


class SelfAttention(nn.Module):
    """Self-attention with one head over all pixels, added to its input."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = normalisation(channels, groups)
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
        groups: groups of GroupNorm; 0 for :class:`ChannelNorm`.
        dropout: dropout rate of the second stage.
        attend: whether self-attention follows.
    """

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
    """Embedding of a few numbers, such as the noise level.

    Each condition g becomes sin and cos of g exp(-ln(1e4) i / n), i = 0 ... n - 1, with n half the
    number of channels. Linear, Swish and linear layers follow.
    """

    def __init__(self, channels: int, conditions: int) -> None:
        super().__init__()
        self.frequencies = channels // 2
        self.first = nn.Linear(2 * self.frequencies * conditions, 4 * channels)
        self.second = nn.Linear(4 * channels, channels)

    def forward(self, conditions: Tensor) -> Tensor:
        """Map (b, conditions) to (b, channels)."""
        steps = torch.arange(self.frequencies, device=conditions.device) / self.frequencies
        angles = conditions[:, :, None] * torch.exp(-math.log(1e4) * steps)
        waves = torch.cat((angles.sin(), angles.cos()), dim=2).flatten(1)
        out: Tensor = self.second(F.silu(self.first(waves.to(self.first.weight.dtype))))
        return out


class UNet(nn.Module):
    """A convolutional U-Net of a noisy image and the prior, conditioned on a few numbers.

    Args:
        channels: channels of the finest level.
        multipliers: channels of each level, from the finest, as multiples of ``channels``.
        blocks: residual blocks of each level on the way down; one more on the way up.
        norm_groups: groups of GroupNorm; 0 normalises each pixel over its channels.
        attention_levels: levels with self-attention; 0 is the finest.
        middle_attention: whether the first of the two middle blocks has self-attention.
        conditions: how many numbers the network is conditioned on.
        dropout: dropout rate of the second stage of each block, in training.
        patch: side of the squares of pixels that become channels of one pixel at the finest level.
            Nearly all work is then done on patch^2 times fewer pixels.
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
        """Input pixels per pixel of the coarsest level; inputs must be multiples of it in size."""
        return int(self.patch * 2 ** (self.levels - 1))

    @property
    def radius(self) -> int:
        """Distance in pixels within which an output depends on inputs, for a local U-Net."""
        coarsest = 2 ** (self.levels - 1)
        per_level = sum(2 * (2 * self.blocks + 1) * 2**level for level in range(self.levels))
        # Each level below adds three of its pixels: two for the convolutions of down- and
        # upsampling, one for the rounding when an odd position is halved.
        reach = 2 + per_level + 4 * coarsest + 3 * (coarsest - 1)
        return int(self.patch * reach + self.patch - 1)

    def forward(self, noisy: Tensor, prior: Tensor, conditions: Tensor) -> Tensor:
        """Run the network.

        Args:
            noisy: (b, c, h, w) noisy image; h and w are multiples of :attr:`multiple`.
            prior: (b, inputs - c, h, w) in network values.
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
