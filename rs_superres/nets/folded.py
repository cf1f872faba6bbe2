"""The operator as one scale needs it: everything constant folded, evaluated strip by strip.

With a constant context a Galerkin block is pointwise: q times context is one matrix, and with the
residual and the first linear map after it, still one. What enters the nonlinear layers is therefore
linear in the lifted query and in the outputs of the layers before. The lifting in turn is linear in
the features, and an offset is linear in the weight of the cell that it is measured from: so the
share of a lifted query in every layer is a bilinear interpolation of one affine map for each corner
of its cell, taken where the features are. Same function as :class:`NeuralOperator`, a tenth of the
work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from rs_superres.nets.operator import AxisSamples, NeuralOperator
from rs_superres.threads import share_out

CHUNK = 1024
"""Queries evaluated at once: their activations stay in the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedOperator:
    """A neural operator at one scale, for grids of queries.

    Its layers are the activations: one for each block, and the projection's hidden one.
    """

    corner: Tensor
    """(2, 2, layers, features, width): what a cell's features give to each layer; the cell lies
    before or after the query in row, and in column."""
    corner_bias: Tensor
    """(2, 2, layers, 1, width): the same of where the cell lies, of the pixel's size, of biases."""
    onward: tuple[tuple[Tensor, ...], ...]
    """(width, width) each: what a layer's output gives to each layer after it."""
    output: Tensor
    """(3, width): the projection's output."""
    output_bias: Tensor
    """(3,)."""

    def to(self, dtype: torch.dtype) -> FoldedOperator:
        """The same, the layers at each query computed in another dtype."""
        return replace(
            self,
            onward=tuple(tuple(matrix.to(dtype) for matrix in layer) for layer in self.onward),
            output=self.output.to(dtype),
            output_bias=self.output_bias.to(dtype),
        )

    def __call__(self, features: Tensor, rows: AxisSamples, columns: AxisSamples) -> Tensor:
        """Evaluate on the grid rows x columns, each query between two neighbouring cells.

        Args:
            features: (h, w, c).
            rows: the grid's rows.
            columns: the grid's columns.

        Returns:
            (3, rows, columns) float32.
        """
        count = len(columns.index)
        weight = rows.weights()[:, 1, None, None]
        across = columns.weights()[:, 1, None]
        out = features.new_empty((len(rows.index), count, 3), dtype=torch.float32)

        def evaluate(strip: Strip) -> None:
            before, after = (
                self._between_columns(features[strip.cell + side], side, columns.index, across)
                for side in range(2)
            )
            for some, part in _chunks(strip.rows, count):
                layers = torch.lerp(before[:, :, part], after[:, :, part], weight[some])
                values = self._pointwise(layers.flatten(1, 2).to(self.output.dtype))
                out[some, part] = values.view(layers.shape[1], -1, 3)

        if features.is_cpu:
            share_out(_strips(rows), evaluate)
        else:
            for strip in _strips(rows):
                evaluate(strip)
        return out.permute(2, 0, 1)

    def _between_columns(self, row: Tensor, side: int, index: Tensor, weight: Tensor) -> Tensor:
        """What a row of features, (w, c), gives to queries below or above it.

        Args:
            row: of the features.
            side: 0 for queries below it, 1 for those above.
            index: (columns, 2) the cells before and after each query.
            weight: (columns, 1) of the cell after.

        Returns:
            (layers, 1, columns, width).
        """
        before, after = (
            torch.matmul(row, corner).add_(bias).index_select(1, cells)
            for corner, bias, cells in zip(
                self.corner[side], self.corner_bias[side], index.T, strict=True
            )
        )
        return torch.lerp(before, after, weight)[:, None]

    def _pointwise(self, layers: Tensor) -> Tensor:
        """The shares of lifted queries, (layers, n, width), which are overwritten, to (n, 3)."""
        for i, activation in enumerate(layers):
            torch.ops.aten.gelu_(activation)
            for later, matrix in zip(layers[i + 1 :], self.onward[i], strict=True):
                later.addmm_(activation, matrix)
        return F.linear(layers[-1], self.output, self.output_bias)


class Strip(NamedTuple):
    """Rows of queries between the same two rows of cells."""

    cell: int
    """The first of these."""
    rows: range


def _strips(rows: AxisSamples) -> Iterator[Strip]:
    """The strips of an axis."""
    for cell, strip in groupby(enumerate(rows.index[:, 0].tolist()), key=lambda row: row[1]):
        numbers = [number for number, _ in strip]
        yield Strip(cell, range(numbers[0], numbers[-1] + 1))


def _chunks(strip: range, columns: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of a strip, at most :data:`CHUNK` queries at once."""
    height = min(len(strip), max(1, CHUNK // 64))
    width = max(1, CHUNK // height)
    for top in strip[::height]:
        for left in range(0, columns, width):
            yield slice(top, min(top + height, strip.stop)), slice(left, left + width)


@torch.no_grad()
def fold(operator: NeuralOperator, contexts: Tensor, cell: Tensor) -> FoldedOperator:
    """Fold an operator for one scale.

    Args:
        operator: the network.
        contexts: (2, heads, head_dim, head_dim).
        cell: (2,) an output pixel's size in half feature cells, (row, column).
    """
    layers, shifts, seconds = [], [], []
    widest = max(operator.lift.out_features, operator.hidden.out_features)

    def padded(tensor: Tensor, dim: int = 0) -> Tensor:
        """In double precision, with zeros for the channels that a layer has less than others."""
        missing = widest - tensor.shape[dim]
        return F.pad(tensor.double(), (0, 0) * (tensor.ndim - 1 - dim) + (0, missing))

    for block, context in zip(operator.blocks, contexts, strict=True):
        weight, shift = (t.double() for t in block.folded(context))
        first = padded(block.first.weight)
        layers.append(first @ (weight + torch.eye(len(weight)).to(weight)))
        shifts.append(first @ shift + padded(block.first.bias))
        seconds.append((padded(block.second.weight, 1), block.second.bias.double()))
    layers.append(padded(operator.hidden.weight))
    shifts.append(padded(operator.hidden.bias))
    for i, layer in enumerate(layers):
        # What the biases of the blocks before have added to the query by then.
        shifts[i] = shifts[i] + sum(layer @ bias for _, bias in seconds[:i])
    dtype = operator.lift.weight.dtype
    onward = [
        tuple((layer @ second).T.contiguous().to(dtype) for layer in layers[i + 1 :])
        for i, (second, _) in enumerate(seconds)
    ]
    corner, corner_bias = _corners(operator, cell)
    biases = [
        (corner_bias @ layer.T + shift)[:, :, None]
        for layer, shift in zip(layers, shifts, strict=True)
    ]
    return FoldedOperator(
        corner=torch.stack([corner @ layer.T for layer in layers], dim=2).to(dtype),
        corner_bias=torch.stack(biases, dim=2).to(dtype),
        onward=(*onward, ()),
        output=padded(operator.output.weight, 1).to(dtype),
        output_bias=operator.output.bias.detach(),
    )


def _corners(operator: NeuralOperator, cell: Tensor) -> tuple[Tensor, Tensor]:
    """The lifting as an affine map for each corner of a cell, in double precision.

    A query at t between two cells lies 2 t from the one before and 2 t - 2 from the one after: that
    is twice the weight of the cell after, and less twice the weight of the cell before.

    Returns:
        (2, 2, features, width) and (2, 2, width).
    """
    weight, bias = operator.lift.weight.double(), operator.lift.bias.double()
    width = len(bias)
    corner = weight[:, 8:-2].reshape(width, 2, 2, -1).permute(1, 2, 3, 0)
    offsets = weight[:, :8].reshape(width, 2, 2, 2)
    row, column = offsets[..., 0].sum(2).T, offsets[..., 1].sum(1).T
    towards = torch.tensor((-2.0, 2.0), dtype=torch.float64).to(weight)[:, None]
    rows, columns = towards * row.flip(0), towards * column.flip(0)
    return corner, rows[:, None] + columns + bias + weight[:, -2:] @ cell.to(weight)
