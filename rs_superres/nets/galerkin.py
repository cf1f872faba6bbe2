"""The neural operator: features on a grid in, values at any coordinates out.

This is SRNO (Wei and Zhang, arXiv 2303.02584) as NeurOp-Diff (arXiv 2501.09054) uses it. The
features of the four pixels around a query are lifted together with the query's position between
them. Two blocks of Galerkin attention, whose context is a mean over all queries, and a pointwise
projection follow.

A query is a position where a value is computed: the centre of an output pixel. Tensors of queries
are (b, n, channels). :class:`AxisSamples` describes queries along one axis, so the same code takes
the paper's coordinates and the exact ones of a scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisSamples:
    """Positions of n queries along one axis of the features."""

    index: Tensor
    """(n, 2) int64: the feature pixels before and after each query."""
    relative: Tensor
    """(n, 2) float: query minus pixel centre, in half feature pixels. This is the paper's relative
    coordinate times the number of pixels."""

    def weights(self) -> Tensor:
        """Return (n, 2) linear weights of the two pixels: each is the distance to the other."""
        distance = self.relative.abs()
        return distance.flip(1) / distance.sum(1, keepdim=True)

    def matrix(self, size: int) -> Tensor:
        """Return the linear weights as matrices over an axis of ``size`` feature pixels.

        Returns:
            (n, 2, size): for each query, a row for the pixel before and one for the pixel after.
        """
        weights = self.weights()
        matrix = weights.new_zeros((*weights.shape, size))
        return matrix.scatter_(2, self.index[:, :, None], weights[:, :, None])

    def shifted(self, pixels: int) -> AxisSamples:
        """Return the same queries with ``pixels`` added to the indices of the feature pixels."""
        return AxisSamples(index=self.index + pixels, relative=self.relative)

    def reversed(self, size: int) -> AxisSamples:
        """Return the same queries, in reverse order, on the reversed axis of ``size`` pixels."""
        return AxisSamples(
            index=(size - 1 - self.index).flip(0, 1), relative=-self.relative.flip(0, 1)
        )

    def to(self, device: torch.device) -> AxisSamples:
        """Return the same samples on another device, without waiting for a CUDA device."""
        non_blocking = device.type == "cuda"
        return AxisSamples(
            index=self.index.to(device, non_blocking=non_blocking),
            relative=self.relative.to(device, non_blocking=non_blocking),
        )


def paper_samples(queries: int, size: int) -> AxisSamples:
    """Return the samples of NeurOp-Diff: ``queries`` pixel centres over ``size`` feature pixels.

    The axis runs from -1 to 1. The two feature pixels of a query at c are those nearest to
    c - 1/size + 1e-6 and c + 1/size + 1e-6, both clamped to [-1 + 1e-6, 1 - 1e-6].
    """
    centres = -1 + (2 * torch.arange(queries, dtype=torch.float64) + 1) / queries
    sides = torch.tensor([-1.0, 1.0], dtype=torch.float64) / size + 1e-6
    positions = (centres[:, None] + sides).clamp(-1 + 1e-6, 1 - 1e-6)
    index = ((positions + 1) * size / 2).floor().long()
    relative = (centres[:, None] - (-1 + (2 * index + 1) / size)) * size
    return AxisSamples(index=index, relative=relative.float())


class HeadNorm(nn.Module):
    """Normalisation over the channels of each attention head: (x - mean) / std * weight + bias.

    The standard deviation is the unbiased one, plus 1e-5; see :func:`unbiased_std`.
    """

    def __init__(self, heads: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(heads, 1, channels))
        self.bias = nn.Parameter(torch.zeros(heads, 1, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, heads, n, channels) to the same shape."""
        centred = x - x.mean(-1, keepdim=True)
        return centred / unbiased_std(centred) * self.weight + self.bias


def unbiased_std(centred: Tensor) -> Tensor:
    """Return the unbiased standard deviation over the last axis, plus 1e-5.

    Args:
        centred: (..., channels) values minus their mean.

    Returns:
        (..., 1).
    """
    # Tensor.std is four times slower on a CPU over a dozen channels. The 1e-12 keeps the gradient
    # finite where all channels are equal.
    variance = centred.square().sum(-1, keepdim=True) / (centred.shape[-1] - 1)
    return (variance + 1e-12).sqrt() + 1e-5


class GalerkinBlock(nn.Module):
    """Galerkin attention (Cao 2021, arXiv 2105.14995): no softmax, linear in the number of queries.

    With q, k, v three linear maps of x, k and v normalised per head, and n queries:

        context = k^T v / n,    r = q context + x,    y = second(GELU(first(r))) + x.

    The context is a mean over the queries: an estimate of an integral over the domain. It can be
    taken from these queries, from some of them, or from other images.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of {heads} heads")
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.key_norm = HeadNorm(heads, width // heads)
        self.value_norm = HeadNorm(heads, width // heads)
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return q, k, v of each head, (b, heads, n, head_dim) each, before normalisation."""
        b, n, _ = x.shape
        qkv = self.qkv(x).reshape(b, n, self.heads, -1).transpose(1, 2)
        q, k, v = qkv.chunk(3, dim=-1)
        return q, k, v

    def context(self, x: Tensor) -> Tensor:
        """Return the context k^T v / n of the queries ``x``.

        Args:
            x: (b, n, width) queries.

        Returns:
            (b, heads, head_dim, head_dim).
        """
        _, k, v = self._split(x)
        context: Tensor = self.key_norm(k).transpose(-1, -2) @ self.value_norm(v) / x.shape[1]
        return context

    def folded(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return the linear map from x to q context, for a given context.

        Args:
            context: (heads, head_dim, head_dim).

        Returns:
            Weight (width, width) and bias (width,).
        """
        width, d = self.qkv.in_features, context.shape[-1]
        weight = self.qkv.weight.reshape(self.heads, 3 * d, width)[:, :d]
        bias = self.qkv.bias.reshape(self.heads, 3 * d)[:, :d]
        folded_weight = torch.einsum("hde,hdw->hew", context, weight).reshape(width, width)
        folded_bias = torch.einsum("hde,hd->he", context, bias).reshape(width)
        return folded_weight, folded_bias

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Return the block's output, given its input and q context, each (b, n, width)."""
        out: Tensor = self.second(F.gelu(self.first(attended + x)))
        return out + x

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Run the block.

        Args:
            x: (b, n, width) queries.
            context: (heads, head_dim, head_dim); None takes one from each image of ``x``.

        Returns:
            (b, n, width).
        """
        if context is not None:  # without keys and values, which would not be used
            with torch.autocast(x.device.type, enabled=False):
                weight, bias = self.folded(context)
            return self.finish(x, F.linear(x, weight, bias))
        b, n, width = x.shape
        q, k, v = self._split(x)
        context = self.key_norm(k).transpose(-1, -2) @ self.value_norm(v) / n
        attended = (q @ context).transpose(1, 2).reshape(b, n, width)
        return self.finish(x, attended)


class NeuralOperator(nn.Module):
    """Lifting, two Galerkin blocks and projection: from features to values at queries.

    Args:
        features: channels of the features.
        width: channels of a lifted query.
        heads: heads of each attention block.
        hidden: channels of the projection's hidden layer.
    """

    def __init__(self, *, features: int, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_dim = width // heads
        self.lift = nn.Linear(4 * features + 10, width)
        self.attention = nn.ModuleList(GalerkinBlock(width, heads) for _ in range(2))
        self.hidden = nn.Linear(width, hidden)
        self.output = nn.Linear(hidden, 3)

    @property
    def blocks(self) -> list[GalerkinBlock]:
        """The attention blocks, in order."""
        return [block for block in self.attention if isinstance(block, GalerkinBlock)]

    def lifted(
        self, features: Tensor, rows: AxisSamples, columns: AxisSamples, pixel_size: Tensor
    ) -> Tensor:
        """Lift the queries of the grid rows x columns, as SRNO defines it.

        The lifting is linear in 4 features + 10 channels: the relative coordinates (row, column)
        from each of the four feature pixels around a query, the features of the four, and the
        size of an output pixel. The features of a pixel are weighted by the area of the rectangle
        between the query and the diagonally opposite pixel, as in LIIF (arXiv 2012.09161). The
        order of the pixels is (before, before), (before, after), (after, before), (after, after).

        Args:
            features: (b, c, h, w).
            rows: the grid's rows, over h feature pixels.
            columns: the grid's columns, over w feature pixels.
            pixel_size: (2,) size (row, column) of an output pixel in half feature pixels.

        Returns:
            (b, n, width), n = rows x columns, row by row.
        """
        b, _, _, w = features.shape
        flat = features.flatten(2).transpose(1, 2)
        offsets, areas, neighbours = [], [], []
        for row, row_offset in zip(rows.index.T, rows.relative.T, strict=True):
            for column, column_offset in zip(columns.index.T, columns.relative.T, strict=True):
                neighbours.append(flat[:, (row[:, None] * w + column).flatten()])
                down = row_offset[:, None].expand(-1, len(column_offset)).flatten()
                across = column_offset.repeat(len(row_offset))
                offsets += [down, across]
                areas.append((down * across).abs() + 1e-9)
        total = torch.stack(areas).sum(0)
        weighted = [
            neighbour * (area / total)[:, None].to(neighbour)
            for neighbour, area in zip(neighbours, reversed(areas), strict=True)
        ]
        coordinates = torch.stack(offsets, dim=1).to(flat).expand(b, -1, -1)
        size = pixel_size.to(flat).expand(b, coordinates.shape[1], 2)
        lifted: Tensor = self.lift(torch.cat((coordinates, *weighted, size), dim=2))
        return lifted

    def lifted_by_products(
        self, features: Tensor, rows: AxisSamples, columns: AxisSamples, pixel_size: Tensor
    ) -> Tensor:
        """Lift the queries of the grid rows x columns by products of matrices.

        The result equals that of :meth:`lifted` up to rounding. The lifting is linear, so it is
        applied to the features first, for each of the four corners, and interpolated afterwards.
        Training uses this method: the gradient of a product is again a product, whereas the
        gradient of gathering is a scattered addition, which is slow on GPUs.

        Args:
            features: (b, c, h, w).
            rows: the grid's rows, over h feature pixels.
            columns: the grid's columns, over w feature pixels.
            pixel_size: (2,) size (row, column) of an output pixel in half feature pixels.

        Returns:
            (b, n, width), n = rows x columns, row by row.
        """
        b, c, h, w = features.shape
        weight, bias, width = self.lift.weight, self.lift.bias, self.lift.out_features
        corners = weight[:, 8:-2].reshape(width, 2, 2, c).permute(1, 2, 0, 3).reshape(-1, c)
        at_pixels = F.linear(features.permute(0, 2, 3, 1), corners).view(b, h, w, 2, 2, width)
        down, across = rows.matrix(h).to(at_pixels), columns.matrix(w).to(at_pixels)
        tall = torch.einsum("rih,bhwijd->brwjd", down, at_pixels)
        lifted = torch.einsum("kjw,brwjd->brkd", across, tall).flatten(1, 2)
        # The share of the relative coordinates and of the pixel size is the same in every image.
        offsets = weight[:, :8].reshape(width, 2, 2, 2)
        down = rows.relative.to(weight) @ offsets[..., 0].sum(2).T
        across = columns.relative.to(weight) @ offsets[..., 1].sum(1).T
        size = weight[:, -2:] @ pixel_size.to(weight) + bias
        return lifted + ((down + size)[:, None] + across).flatten(0, 1)

    def project(self, x: Tensor) -> Tensor:
        """Map the blocks' output (b, n, width) to values (b, n, 3)."""
        out: Tensor = self.output(F.gelu(self.hidden(x)))
        return out

    def forward(self, x: Tensor, contexts: Tensor | None = None) -> Tensor:
        """Map lifted queries to values.

        Args:
            x: (b, n, width) lifted queries.
            contexts: (2, heads, head_dim, head_dim), one for each block; None takes them from
                ``x``.

        Returns:
            (b, n, 3) in network values.
        """
        for i, block in enumerate(self.blocks):
            x = block(x, None if contexts is None else contexts[i])
        return self.project(x)
