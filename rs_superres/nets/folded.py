"""The operator as one scale needs it: everything constant folded, evaluated strip by strip.

With a given context a Galerkin block is pointwise: q times context is one matrix, and with the
residual and the first linear map after it, still one. What enters the nonlinear layers is therefore
linear in the lifted query and in the outputs of the layers before. The lifting in turn is linear in
the features, and an offset is linear in the weight of the cell that it is measured from: so the
share of a lifted query in every layer is a bilinear interpolation of one affine map for each corner
of its cell, taken where the features are. Same function as :class:`NeuralOperator`, a tenth of the
work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from rs_superres.nets.galerkin import AxisSamples, NeuralOperator
from rs_superres.system.threads import parallel_map

CHUNK = 1 << 19
"""Bytes of a layer evaluated at once: much less, and a product takes little beside its call and
beside laying out its matrix; much more, and activations leave the processor's cache."""

QUERIES = 1 << 18
"""Queries evaluated at once on other devices: there a kernel must take long beside its launch.
What lies between kernels is some hundred megabytes, beside what the features give along columns:
features' rows x queries' columns x layers x width numbers, twice."""


class Strip(NamedTuple):
    """Rows of queries between the same two rows of cells."""

    number: int
    cell: int
    """The first of these."""
    rows: range


class Piece(NamedTuple):
    """Some queries."""

    strip: int
    """The strip that they are of; where there are no strips, the piece's own number."""
    rows: slice
    columns: slice


Use = Callable[[Tensor, Piece], None]
"""Takes the layers at some queries, (layers, n, width), row by row; it may overwrite them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedLayers:
    """Linear maps of a lifted query and of what the layers before add to it."""

    corner: Tensor
    """(2, 2, layers, features, width): what a cell's features give to each layer; the cell lies
    before or after the query in row, and in column."""
    corner_bias: Tensor
    """(2, 2, layers, 1, width): the same of where the cell lies, of the pixel's size, of biases."""
    onward: tuple[tuple[Tensor, ...], ...]
    """(width, width) each, of the first layers: what an activation gives to each layer after it."""

    def to(self, dtype: torch.dtype) -> FoldedLayers:
        """The same, computed in another dtype."""
        return FoldedLayers(
            corner=self.corner.to(dtype),
            corner_bias=self.corner_bias.to(dtype),
            onward=tuple(tuple(m.to(dtype) for m in matrices) for matrices in self.onward),
        )

    def visit(
        self,
        features: Tensor,
        rows: AxisSamples,
        columns: AxisSamples,
        use: Use,
    ) -> None:
        """Evaluate on the grid rows x columns, each query between two neighbouring cells.

        Args:
            features: (h, w, c).
            rows: the grid's rows.
            columns: the grid's columns.
            use: called for every piece of the grid, perhaps by several threads.
        """
        visit = self.in_strips if features.is_cpu else self.in_ranges
        visit(features.to(self.corner.dtype), rows, columns, use)

    def in_strips(
        self,
        features: Tensor,
        rows: AxisSamples,
        columns: AxisSamples,
        use: Use,
    ) -> None:
        """As :meth:`visit`, in small pieces by several threads."""
        down = rows.weights()[:, 1, None, None].to(features)
        across = columns.weights()[:, 1, None].to(features)
        most = max(1, CHUNK // (self.corner.shape[-1] * self.corner.element_size()))

        def evaluate(strip: Strip) -> None:
            before, after = (
                self._between_columns(features[strip.cell + side], side, columns.index, across)
                for side in range(2)
            )
            for piece in _pieces(strip, len(across), most):
                part = piece.columns
                layers = torch.lerp(before[:, :, part], after[:, :, part], down[piece.rows])
                use(self._activated(layers.flatten(1, 2)), piece)

        parallel_map(_strips(rows), evaluate)

    def in_ranges(
        self,
        features: Tensor,
        rows: AxisSamples,
        columns: AxisSamples,
        use: Use,
    ) -> None:
        """As :meth:`visit`, in ranges of rows by few large kernels, the device never waited for."""
        down = rows.weights()[:, 1, None, None].to(features)
        across = columns.weights()[:, 1, None].to(features)
        count, wide = features.shape[:2]
        # All rows of features as one, in which the columns lie anew for each of them.
        first = wide * torch.arange(count, device=features.device)[:, None]
        index = (first + columns.index.T[:, None]).flatten(1).T
        shape = -1, count, len(across), self.corner.shape[-1]
        row, weight = features.flatten(0, 1), across.repeat(count, 1)
        sides = [self._between_columns(row, side, index, weight).view(shape) for side in range(2)]
        most = max(1, QUERIES // len(columns.index))
        for number, top in enumerate(range(0, len(down), most)):
            part = slice(top, min(top + most, len(down)))
            before, after = (
                side.index_select(1, cells[part])
                for side, cells in zip(sides, rows.index.T, strict=True)
            )
            layers = torch.lerp(before, after, down[part])
            whole = Piece(number, part, slice(0, len(columns.index)))
            use(self._activated(layers.flatten(1, 2)), whole)

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
        corner, bias = self.corner[side].flatten(0, 1), self.corner_bias[side].flatten(0, 1)
        made = torch.baddbmm(bias, row.expand(len(corner), -1, -1), corner)
        before, after = (
            values.index_select(1, cells)
            for values, cells in zip(made.chunk(2), index.T, strict=True)
        )
        return torch.lerp(before, after, weight)[:, None]

    def _activated(self, layers: Tensor) -> Tensor:
        """From the shares of lifted queries, (layers, n, width), to whole layers, in place."""
        for i, matrices in enumerate(self.onward):
            activation = torch.ops.aten.gelu_(layers[i])
            for later, matrix in zip(layers[i + 1 :], matrices, strict=True):
                later.addmm_(activation, matrix)
        return layers


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedOperator:
    """A neural operator at one scale, for grids of queries."""

    layers: FoldedLayers
    """One for each block, and the projection's hidden one."""
    output: Tensor
    """(3, width): the projection's output."""
    output_bias: Tensor
    """(3,)."""

    def to(self, dtype: torch.dtype) -> FoldedOperator:
        """The same, computed in another dtype."""
        return FoldedOperator(
            layers=self.layers.to(dtype),
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
        shape = len(rows.index), len(columns.index), 3
        out = features.new_empty(shape, dtype=torch.float32)

        def project(layers: Tensor, piece: Piece) -> None:
            values = F.linear(torch.ops.aten.gelu_(layers[-1]), self.output, self.output_bias)
            place = out[piece.rows, piece.columns]
            place.copy_(values.view(place.shape))

        self.layers.visit(features, rows, columns, project)
        return out.permute(2, 0, 1)


def _strips(rows: AxisSamples) -> Iterator[Strip]:
    """The strips of an axis."""
    grouped = groupby(enumerate(rows.index[:, 0].tolist()), key=lambda row: row[1])
    for strip, (cell, members) in enumerate(grouped):
        numbers = [number for number, _ in members]
        yield Strip(strip, cell, range(numbers[0], numbers[-1] + 1))


def _pieces(strip: Strip, columns: int, most: int) -> Iterator[Piece]:
    """A strip in pieces of at most ``most`` queries, or of one."""
    height = min(len(strip.rows), max(1, most // 64))
    width = max(1, most // height)
    for top in strip.rows[::height]:
        rows = slice(top, min(top + height, strip.rows.stop))
        for left in range(0, columns, width):
            yield Piece(strip.number, rows, slice(left, left + width))


Linear = tuple[Tensor, Tensor]
"""Weight (outputs, inputs) and bias (outputs,)."""


def fold(operator: NeuralOperator, contexts: Tensor, cell: Tensor) -> FoldedOperator:
    """Fold an operator for one scale.

    Args:
        operator: the network.
        contexts: (2, heads, head_dim, head_dim).
        cell: (2,) an output pixel's size in half feature cells, (row, column).
    """
    hidden = operator.hidden.weight, operator.hidden.bias
    layers = fold_layers(operator, contexts, [hidden], cell)
    weight = operator.output.weight.detach()
    missing = layers.corner.shape[-1] - weight.shape[1]
    return FoldedOperator(
        layers=layers,
        output=F.pad(weight, (0, missing)),
        output_bias=operator.output.bias.detach(),
    )


@torch.no_grad()
def fold_layers(
    operator: NeuralOperator,
    contexts: Sequence[Tensor] | Tensor,
    readers: Sequence[Linear],
    cell: Tensor,
) -> FoldedLayers:
    """Fold the first blocks of an operator, and linear maps of what comes out of them.

    Args:
        operator: the network.
        contexts: of the blocks that are folded, (heads, head_dim, head_dim) each.
        readers: the linear maps.
        cell: (2,) an output pixel's size in half feature cells, (row, column).

    Returns:
        A layer for each block, then one for each reader.
    """
    widest = max(operator.lift.out_features, *(len(bias) for _, bias in readers))
    layers, shifts, seconds = [], [], []
    for block, context in zip(operator.blocks, contexts, strict=False):
        weight, shift = (t.double() for t in block.folded(context))
        first = _padded(block.first.weight, widest)
        layers.append(first @ (weight + torch.eye(len(weight)).to(weight)))
        shifts.append(first @ shift + _padded(block.first.bias, widest))
        second = _padded(block.second.weight.T, widest).T
        seconds.append((second, block.second.bias.double()))
    for weight, bias in readers:
        layers.append(_padded(weight, widest))
        shifts.append(_padded(bias, widest))
    for i, layer in enumerate(layers):
        # What the biases of the blocks before have added to the query by then.
        shifts[i] = shifts[i] + sum(layer @ bias for _, bias in seconds[:i])
    dtype = operator.lift.weight.dtype
    corner, corner_bias = _corners(operator, cell)
    biases = [
        (corner_bias @ layer.T + shift)[:, :, None]
        for layer, shift in zip(layers, shifts, strict=True)
    ]
    return FoldedLayers(
        corner=torch.stack([corner @ layer.T for layer in layers], dim=2).to(dtype),
        corner_bias=torch.stack(biases, dim=2).to(dtype),
        onward=tuple(
            tuple((layer @ second).T.contiguous().to(dtype) for layer in layers[i + 1 :])
            for i, (second, _) in enumerate(seconds)
        ),
    )


def _padded(tensor: Tensor, length: int) -> Tensor:
    """In double precision, with zeros for the channels that a layer has less than the widest."""
    more = tensor.new_zeros((length - len(tensor), *tensor.shape[1:]))
    return torch.cat((tensor, more)).double()


def _corners(operator: NeuralOperator, cell: Tensor) -> Linear:
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
