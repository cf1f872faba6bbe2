"""The neural operator: features on a grid in, values at any coordinates out.

SRNO (Wei and Zhang, arXiv 2303.02584) as NeurOp-Diff uses it: the four cells around a query are
lifted together with where the query lies between them, then two blocks of Galerkin attention
(a quadrature over all queries) and a pointwise projection.

Tensors of queries are (b, n, channels). A query is described per axis by :class:`AxisSamples`, so
one code serves the paper's coordinates and the exact ones of a scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisSamples:
    """Where n queries lie along one axis of the feature grid."""

    index: Tensor
    """(n, 2) int64: the cells before and after each query."""
    relative: Tensor
    """(n, 2) float: query less the cell's centre, in half cells (the paper's coordinate times
    the number of cells)."""

    def weights(self) -> Tensor:
        """(n, 2) linear weights of the two cells: each the distance to the other."""
        distance = self.relative.abs()
        return distance.flip(1) / distance.sum(1, keepdim=True)

    def matrix(self, cells: int) -> Tensor:
        """Linear weights of all cells of an axis, those before and those after apart.

        Returns:
            (n, 2, cells).
        """
        weights = self.weights()
        whole = weights.new_zeros((*weights.shape, cells))
        return whole.scatter_(2, self.index[:, :, None], weights[:, :, None])

    def moved(self, cells: int) -> AxisSamples:
        """The same queries where the features begin elsewhere."""
        return AxisSamples(index=self.index + cells, relative=self.relative)

    def to(self, device: torch.device) -> AxisSamples:
        """The same on another device; NVIDIA's is not waited for."""
        ahead = device.type == "cuda"
        return AxisSamples(
            index=self.index.to(device, non_blocking=ahead),
            relative=self.relative.to(device, non_blocking=ahead),
        )


def paper_samples(queries: int, cells: int) -> AxisSamples:
    """The samples of the paper for ``queries`` pixel centres on an axis of ``cells`` cells.

    Spec section 1.2: nearest cell at c -+ 1/cells + 1e-6, clamped to [-1 + 1e-6, 1 - 1e-6].
    """
    centres = -1 + (2 * torch.arange(queries, dtype=torch.float64) + 1) / queries
    sides = torch.tensor([-1.0, 1.0], dtype=torch.float64) / cells + 1e-6
    sought = (centres[:, None] + sides).clamp(-1 + 1e-6, 1 - 1e-6)
    index = ((sought + 1) * cells / 2).floor().long()
    relative = (centres[:, None] - (-1 + (2 * index + 1) / cells)) * cells
    return AxisSamples(index=index, relative=relative.float())


class HeadNorm(nn.Module):
    """Normalisation over one head's channels, with the unbiased deviation (spec section 1.3)."""

    def __init__(self, heads: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(heads, 1, channels))
        self.bias = nn.Parameter(torch.zeros(heads, 1, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(b, heads, n, channels) to the same shape."""
        centred = x - x.mean(-1, keepdim=True)
        return centred / deviation(centred) * self.weight + self.bias


def deviation(centred: Tensor) -> Tensor:
    """What a head's channels are divided by: (..., channels) less their mean, to (..., 1)."""
    # Not Tensor.std: over a dozen channels that is four times slower on a CPU. The 1e-12 keeps the
    # gradient finite where all channels are equal.
    variance = centred.square().sum(-1, keepdim=True) / (centred.shape[-1] - 1)
    return (variance + 1e-12).sqrt() + 1e-5


class GalerkinBlock(nn.Module):
    """Galerkin attention (Cao 2021): softmax-free, linear in the number of queries.

    The context, k^T v / n, is a mean over the queries: an estimate of an integral over the
    domain. It can come from these queries, from fewer of them, or from elsewhere.
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
        """q, k, v of each head, (b, heads, n, head_dim) each."""
        b, n, _ = x.shape
        qkv = self.qkv(x).reshape(b, n, self.heads, -1).transpose(1, 2)
        q, k, v = qkv.chunk(3, dim=-1)
        return q, k, v

    def context(self, x: Tensor) -> Tensor:
        """The mean over the queries of key (x) value: (b, heads, head_dim, head_dim)."""
        _, k, v = self._split(x)
        context: Tensor = self.key_norm(k).transpose(-1, -2) @ self.value_norm(v) / x.shape[1]
        return context

    def folded(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Weight (width, width) and bias (width) of the one linear map that is q times context.

        Args:
            context: (heads, head_dim, head_dim).
        """
        width, d = self.qkv.in_features, context.shape[-1]
        weight = self.qkv.weight.reshape(self.heads, 3 * d, width)[:, :d]
        bias = self.qkv.bias.reshape(self.heads, 3 * d)[:, :d]
        folded_weight = torch.einsum("hde,hdw->hew", context, weight).reshape(width, width)
        folded_bias = torch.einsum("hde,hd->he", context, bias).reshape(width)
        return folded_weight, folded_bias

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """The pointwise half: residual, two linear maps, and the block's input once more."""
        out: Tensor = self.second(F.gelu(self.first(attended + x)))
        return out + x

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """(b, n, width) to the same shape.

        Args:
            x: the queries.
            context: (b or 1, heads, head_dim, head_dim); taken from ``x`` when None.
        """
        b, n, width = x.shape
        q, k, v = self._split(x)
        if context is None:
            context = self.key_norm(k).transpose(-1, -2) @ self.value_norm(v) / n
        attended = (q @ context).transpose(1, 2).reshape(b, n, width)
        return self.finish(x, attended)


class NeuralOperator(nn.Module):
    """Lifting, two Galerkin blocks and projection: features to values at queries.

    Args:
        features: channels of the encoder.
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
        return [b for b in self.attention if isinstance(b, GalerkinBlock)]

    def lifted(
        self, features: Tensor, rows: AxisSamples, columns: AxisSamples, cell: Tensor
    ) -> Tensor:
        """Lift the grid rows x columns, straight from the definition: (b, n, width).

        Spec section 1.2: each of the four cells around a query is weighted by the area of the
        diagonally opposite one; the order is (before, before), (before, after), ...

        Args:
            features: (b, c, h, w).
            rows: the grid's rows among the feature rows.
            columns: the grid's columns among the feature columns.
            cell: (2,) size of a query's pixel in half feature cells, (row, column).
        """
        b, _, _, w = features.shape
        flat = features.flatten(2).transpose(1, 2)
        offsets, areas, near = [], [], []
        for row, row_offset in zip(rows.index.T, rows.relative.T, strict=True):
            for column, column_offset in zip(columns.index.T, columns.relative.T, strict=True):
                near.append(flat[:, (row[:, None] * w + column).flatten()])
                down = row_offset[:, None].expand(-1, len(column_offset)).flatten()
                across = column_offset.repeat(len(row_offset))
                offsets += [down, across]
                areas.append((down * across).abs() + 1e-9)
        total = torch.stack(areas).sum(0)
        weighted = [
            cells * (area / total)[:, None].to(cells)
            for cells, area in zip(near, reversed(areas), strict=True)
        ]
        where = torch.stack(offsets, dim=1).to(flat).expand(b, -1, -1)
        size = cell.to(flat).expand(b, where.shape[1], 2)
        lifted: Tensor = self.lift(torch.cat((where, *weighted, size), dim=2))
        return lifted

    def lifted_first(
        self, features: Tensor, rows: AxisSamples, columns: AxisSamples, cell: Tensor
    ) -> Tensor:
        """The same as :meth:`lifted`, to rounding, by products of matrices: (b, n, width).

        The lifting is linear, so it is done where the features are, for each of the four corners,
        and then interpolated, down and across. For training: the gradient of a product is another
        one, that of gathered cells an addition at scattered places, which GPUs are slow at.

        Args:
            features: (b, c, h, w).
            rows: the grid's rows among the feature rows.
            columns: the grid's columns among the feature columns.
            cell: (2,) size of a query's pixel in half feature cells, (row, column).
        """
        b, c, h, w = features.shape
        weight, bias, width = self.lift.weight, self.lift.bias, self.lift.out_features
        corners = weight[:, 8:-2].reshape(width, 2, 2, c).permute(1, 2, 0, 3).reshape(-1, c)
        at_cells = F.linear(features.permute(0, 2, 3, 1), corners).view(b, h, w, 2, 2, width)
        down, across = rows.matrix(h).to(at_cells), columns.matrix(w).to(at_cells)
        tall = torch.einsum("rih,bhwijd->brwjd", down, at_cells)
        lifted = torch.einsum("kjw,brwjd->brkd", across, tall).flatten(1, 2)
        # Where a query lies, of each corner's (row, column) offset: the same in every image.
        offsets = weight[:, :8].reshape(width, 2, 2, 2)
        down = rows.relative.to(weight) @ offsets[..., 0].sum(2).T
        across = columns.relative.to(weight) @ offsets[..., 1].sum(1).T
        size = weight[:, -2:] @ cell.to(weight) + bias
        return lifted + ((down + size)[:, None] + across).flatten(0, 1)

    def project(self, x: Tensor) -> Tensor:
        """(b, n, width) to the values (b, n, 3)."""
        out: Tensor = self.output(F.gelu(self.hidden(x)))
        return out

    def forward(self, x: Tensor, contexts: Tensor | None = None) -> Tensor:
        """Lifted queries (b, n, width) to values (b, n, 3).

        Args:
            x: lifted queries.
            contexts: (2, heads, head_dim, head_dim) one for each block; from ``x`` when None.
        """
        for i, block in enumerate(self.blocks):
            x = block(x, None if contexts is None else contexts[i])
        return self.project(x)
