"""The operator as one scale needs it: everything constant folded, evaluated chunk by chunk.

With a constant context a Galerkin block is pointwise: q times context is one matrix, and with the
residual and the first linear map after it, still one. The lifting is linear in the features, so
its feature part is applied to the source's pixels, and what depends on a query's place alone is a
sum of a row's and a column's part. Same function as :class:`NeuralOperator`, an eighth of the work.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from rs_superres.nets.operator import AxisSamples, NeuralOperator

CHUNK = 4096
"""Queries evaluated at once: their activations stay in the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedOperator:
    """A neural operator at one scale, for grids of queries."""

    feature_lift: Tensor
    """(2, 2, width, features): the lifting of the cell (before or after, before or after)."""
    row_lift: Tensor
    """(2, width): the lifting of a query's offset to the row before, and after."""
    column_lift: Tensor
    """(2, width): the same of columns."""
    constant: Tensor
    """(width,): the lifting's bias and the pixel's size."""
    blocks: tuple[tuple[Tensor, Tensor, Tensor, Tensor], ...]
    """For each block the weight and bias of its two linear maps."""
    hidden: tuple[Tensor, Tensor]
    """Weight and bias of the projection's hidden layer."""
    output: tuple[Tensor, Tensor]
    """Weight and bias of the projection's output."""

    def __call__(self, features: Tensor, rows: AxisSamples, columns: AxisSamples) -> Tensor:
        """Evaluate on the grid rows x columns.

        Args:
            features: (h, w, c).
            rows: the grid's rows.
            columns: the grid's columns.

        Returns:
            (3, rows, columns) float32.
        """
        count, width = len(columns.index), self.constant.shape[0]
        along = self._between_columns(features, columns)
        row_part = rows.relative @ self.row_lift
        column_part = columns.relative @ self.column_lift + self.constant
        weights = rows.weights()
        out = features.new_empty((len(rows.index), count, 3), dtype=torch.float32)
        step = max(1, CHUNK // count)
        for start in range(0, len(out), step):
            chunk = slice(start, start + step)
            x = row_part[chunk, None] + column_part
            for side in range(2):
                near = along[side, rows.index[chunk, side]]
                x = torch.addcmul(x, near, weights[chunk, side, None, None])
            out[chunk] = self._pointwise(x.reshape(-1, width)).reshape(-1, count, 3)
        return out.permute(2, 0, 1)

    def _between_columns(self, features: Tensor, columns: AxisSamples) -> Tensor:
        """Lift the features and interpolate them along each row: (2, h, columns, width)."""
        weights = columns.weights()
        sides = []
        for lifts in self.feature_lift:
            before, after = (
                (features @ lift.T)[:, columns.index[:, side]] * weights[:, side, None]
                for side, lift in enumerate(lifts)
            )
            sides.append(before + after)
        return torch.stack(sides)

    def _pointwise(self, x: Tensor) -> Tensor:
        """Lifted queries (n, width) to values (n, 3)."""
        for weight, bias, second_weight, second_bias in self.blocks:
            x = x + F.linear(F.gelu(F.linear(x, weight, bias)), second_weight, second_bias)
        return F.linear(F.gelu(F.linear(x, *self.hidden)), *self.output)


def fold(operator: NeuralOperator, contexts: Tensor, cell: Tensor) -> FoldedOperator:
    """Fold an operator for one scale.

    Args:
        operator: the network.
        contexts: (2, heads, head_dim, head_dim).
        cell: (2,) an output pixel's size in half feature cells, (row, column).
    """
    lift, bias = operator.lift.weight.detach(), operator.lift.bias.detach()
    width = len(bias)
    offsets = lift[:, :8].reshape(width, 2, 2, 2)
    features = lift[:, 8:-2].reshape(width, 2, 2, -1)
    blocks = []
    for block, context in zip(operator.blocks, contexts, strict=True):
        weight, shift = block.folded(context)
        first = block.first.weight @ (weight + torch.eye(width).to(weight))
        first_bias = block.first.weight @ shift + block.first.bias
        second = block.second.weight.detach(), block.second.bias.detach()
        blocks.append((first.detach(), first_bias.detach(), *second))
    return FoldedOperator(
        feature_lift=features.permute(1, 2, 0, 3).contiguous(),
        row_lift=offsets[..., 0].sum(2).T.contiguous(),
        column_lift=offsets[..., 1].sum(1).T.contiguous(),
        constant=bias + lift[:, -2:] @ cell.to(lift),
        blocks=tuple(blocks),
        hidden=(operator.hidden.weight.detach(), operator.hidden.bias.detach()),
        output=(operator.output.weight.detach(), operator.output.bias.detach()),
    )
