"""The neural operator at one scale, with everything constant folded into few matrices.

With given contexts a Galerkin block is pointwise, and q context is a linear map A x + a. So the
input of each nonlinear layer is a linear map of the lifted query and of the outputs of the
nonlinear layers before it:

    h_1 = F_1 (A_1 + I) x + ...,    h_2 = F_2 (A_2 + I) (x + S_1 GELU(h_1)) + ...,    and so on,

with F and S the two linear maps of a block. The lifted query x in turn is linear in the features,
and each relative coordinate is linear in the weight of the feature pixel that it is measured from.
So the share of x in each layer is a bilinear interpolation of four affine maps of the features,
one for each corner, which are applied at the resolution of the features.

The result equals that of :class:`rs_superres.nets.galerkin.NeuralOperator` up to rounding, for a
tenth of the work.
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
"""Numbers of one layer that a CPU thread evaluates at once, if a row of queries has fewer. With
much less, threads wait for each other between calls; with much more, activations leave the cache.
"""

QUERIES = 1 << 18
"""Queries that other devices evaluate at once, so many that a kernel runs long compared with its
launch. Intermediate results take about a hundred megabytes, plus twice (feature rows x query
columns x layers x width) numbers for what the features contribute along columns."""


class Strip(NamedTuple):
    """Consecutive rows of queries that lie between the same two rows of features."""

    feature_row: int
    """The feature row before the queries; the one after them is the next."""
    rows: range
    """The rows of queries."""


Visitor = Callable[[Tensor, slice], None]
"""Receives the layers at the n queries of some rows, (layers, n, width) row by row, and the rows.
It may overwrite the layers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedLayers:
    """Inputs of nonlinear layers as linear maps of the features and of earlier layers.

    Layers narrower than ``width`` are padded with zeros.
    """

    corner: Tensor
    """(2, 2, layers, features, width): map from a feature pixel to each layer. The pixel lies
    before (0) or after (1) the query in row, and in column."""
    corner_bias: Tensor
    """(2, 2, layers, 1, width): what a corner adds whatever its features: relative coordinates,
    pixel size and biases."""
    onward: tuple[tuple[Tensor, ...], ...]
    """For each block, (width, width) maps from its activation to each later layer."""

    def to(self, dtype: torch.dtype) -> FoldedLayers:
        """Return the same layers, computed in another dtype."""
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
        visitor: Visitor,
    ) -> None:
        """Evaluate the layers on the grid rows x columns, piece by piece.

        Args:
            features: (h, w, c).
            rows: the grid's rows, each between two neighbouring feature rows.
            columns: the grid's columns, each between two neighbouring feature columns.
            visitor: called for every piece of the grid, possibly from several threads.
        """
        visit = self.visit_strips if features.is_cpu else self.visit_ranges
        visit(features.to(self.corner.dtype), rows, columns, visitor)

    def visit_strips(
        self,
        features: Tensor,
        rows: AxisSamples,
        columns: AxisSamples,
        visitor: Visitor,
    ) -> None:
        """Evaluate like :meth:`visit`, in small pieces on several CPU threads."""
        down = rows.weights()[:, 1, None, None].to(features)
        across = columns.weights()[:, 1, None].to(features)
        count, _, width = self.corner.shape[2:]
        most = max(1, CHUNK // (len(across) * width))
        pixels = _pixels(columns, features.shape[1], most)

        def evaluate(strips: Sequence[Strip]) -> None:
            first, last = strips[0].feature_row, strips[-1].feature_row
            before, after = (
                self._between_columns(
                    features[first + side : last + side + 1], side, pixels, across
                )
                for side in range(2)
            )
            for part in _parts(strips, most):
                layers = features.new_empty((count, part.stop - part.start, len(across), width))
                for number, strip in enumerate(strips):
                    own = slice(max(strip.rows[0], part.start), min(strip.rows[-1] + 1, part.stop))
                    torch.lerp(
                        before[:, number : number + 1],
                        after[:, number : number + 1],
                        down[own],
                        out=layers[:, own.start - part.start : own.stop - part.start],
                    )
                visitor(self._with_earlier_layers(layers.flatten(1, 2)), part)

        parallel_map(_groups(rows, most), evaluate)

    def visit_ranges(
        self,
        features: Tensor,
        rows: AxisSamples,
        columns: AxisSamples,
        visitor: Visitor,
    ) -> None:
        """Evaluate like :meth:`visit`, in ranges of rows with few large kernels.

        Never waits for the device.
        """
        down = rows.weights()[:, 1, None, None].to(features)
        across = columns.weights()[:, 1, None].to(features)
        pixels = _pixels(columns, features.shape[1], len(features))
        sides = [self._between_columns(features, side, pixels, across) for side in range(2)]
        count = max(1, QUERIES // len(across))
        for top in range(0, len(down), count):
            part = slice(top, min(top + count, len(down)))
            before, after = (
                side.index_select(1, feature_rows[part])
                for side, feature_rows in zip(sides, rows.index.T, strict=True)
            )
            layers = torch.lerp(before, after, down[part])
            visitor(self._with_earlier_layers(layers.flatten(1, 2)), part)

    def _between_columns(
        self, rows: Tensor, side: int, pixels: tuple[Tensor, Tensor], weight: Tensor
    ) -> Tensor:
        """Apply the corner maps to rows of features and interpolate between their columns.

        Args:
            rows: (h, w, c) features.
            side: 0 for queries after (below) the rows, 1 for queries before them.
            pixels: the features before and after each query, see :func:`_pixels`.
            weight: (columns, 1) weight of the column after.

        Returns:
            (layers, h, columns, width).
        """
        corner, bias = self.corner[side].flatten(0, 1), self.corner_bias[side].flatten(0, 1)
        at_pixels = torch.baddbmm(bias, rows.flatten(0, 1).expand(len(corner), -1, -1), corner)
        shape = -1, len(rows), len(weight), at_pixels.shape[2]
        before, after = (
            values.index_select(1, index[: len(rows) * len(weight)]).view(shape)
            for values, index in zip(at_pixels.chunk(2), pixels, strict=True)
        )
        return torch.lerp(before, after, weight)

    def _with_earlier_layers(self, layers: Tensor) -> Tensor:
        """Add to each layer, in place, what the activations of earlier layers contribute.

        Args:
            layers: (layers, n, width) shares of the lifted queries.

        Returns:
            ``layers``. Those of blocks now hold activations; the layers after them are complete.
        """
        for i, matrices in enumerate(self.onward):
            activation = torch.ops.aten.gelu_(layers[i])
            for later, matrix in zip(layers[i + 1 :], matrices, strict=True):
                later.addmm_(activation, matrix)
        return layers


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedOperator:
    """A neural operator at one scale, ready to be evaluated on grids."""

    layers: FoldedLayers
    """The hidden layer of each block, then that of the projection."""
    output: Tensor
    """(3, width): weight of the projection's output."""
    output_bias: Tensor
    """(3,): bias of the projection's output."""

    def to(self, dtype: torch.dtype) -> FoldedOperator:
        """Return the same operator, computed in another dtype."""
        return FoldedOperator(
            layers=self.layers.to(dtype),
            output=self.output.to(dtype),
            output_bias=self.output_bias.to(dtype),
        )

    def images(self, features: Tensor, rows: AxisSamples, columns: AxisSamples) -> Tensor:
        """Evaluate the operator on the same grid in several images.

        The images are laid side by side, because small ones are slow one after the other.

        Args:
            features: (b, c, h, w).
            rows: the grid's rows.
            columns: the grid's columns.

        Returns:
            (b, 3, rows, columns).
        """
        count, _, _, width = features.shape
        wide = features.permute(2, 0, 3, 1).flatten(1, 2).contiguous()
        index = torch.cat([columns.index + i * width for i in range(count)])
        relative = columns.relative.repeat(count, 1)
        values = self(wide, rows, AxisSamples(index=index, relative=relative))
        return values.view(3, len(rows.index), count, -1).permute(2, 0, 1, 3)

    def __call__(self, features: Tensor, rows: AxisSamples, columns: AxisSamples) -> Tensor:
        """Evaluate the operator on the grid rows x columns.

        Args:
            features: (h, w, c).
            rows: the grid's rows, each between two neighbouring feature rows.
            columns: the grid's columns, each between two neighbouring feature columns.

        Returns:
            (3, rows, columns) float32, in network values.
        """
        shape = len(rows.index), len(columns.index), 3
        out = features.new_empty(shape, dtype=torch.float32)

        def project(layers: Tensor, part: slice) -> None:
            values = F.linear(torch.ops.aten.gelu_(layers[-1]), self.output, self.output_bias)
            out[part].copy_(values.view(out[part].shape))

        self.layers.visit(features, rows, columns, project)
        return out.permute(2, 0, 1)


def _pixels(columns: AxisSamples, width: int, height: int) -> tuple[Tensor, Tensor]:
    """Return the features before and after the queries of some rows, as if these were one row.

    Selecting along a dimension in the middle would be slower.

    Args:
        columns: the grid's columns.
        width: number of feature columns.
        height: number of feature rows.

    Returns:
        (height x columns,) indices of the features before, and after.
    """
    starts = width * torch.arange(height, device=columns.index.device)[:, None]
    before, after = ((starts + index).flatten() for index in columns.index.T)
    return before, after


def _strips(rows: AxisSamples) -> Iterator[Strip]:
    """Yield the strips of a grid's rows."""
    groups = groupby(enumerate(rows.index[:, 0].tolist()), key=lambda row: row[1])
    for feature_row, members in groups:
        queries = [query for query, _ in members]
        yield Strip(feature_row, range(queries[0], queries[-1] + 1))


def _groups(rows: AxisSamples, most: int) -> Iterator[list[Strip]]:
    """Yield the strips of a grid's rows, those together that are neighbours and have few rows.

    Args:
        rows: the grid's rows.
        most: rows that strips together have at most.
    """
    group: list[Strip] = []
    for strip in _strips(rows):
        if group:
            adjacent = strip.feature_row == group[-1].feature_row + 1
            if not adjacent or strip.rows[-1] - group[0].rows[0] >= most:
                yield group
                group = []
        group.append(strip)
    yield group


def _parts(strips: Sequence[Strip], most: int) -> Iterator[slice]:
    """Divide the rows of neighbouring strips into slices of at most ``most`` rows."""
    start, stop = strips[0].rows[0], strips[-1].rows[-1] + 1
    for top in range(start, stop, most):
        yield slice(top, min(top + most, stop))


Linear = tuple[Tensor, Tensor]
"""Weight (outputs, inputs) and bias (outputs,) of a linear map."""


def fold(operator: NeuralOperator, contexts: Tensor, pixel_size: Tensor) -> FoldedOperator:
    """Fold an operator for one scale.

    Args:
        operator: the network.
        contexts: (2, heads, head_dim, head_dim), one for each block.
        pixel_size: (2,) size (row, column) of an output pixel in half feature pixels.
    """
    hidden = operator.hidden.weight, operator.hidden.bias
    layers = fold_layers(operator, contexts, [hidden], pixel_size)
    weight = operator.output.weight.detach()
    padding = layers.corner.shape[-1] - weight.shape[1]
    return FoldedOperator(
        layers=layers,
        output=F.pad(weight, (0, padding)),
        output_bias=operator.output.bias.detach(),
    )


@torch.no_grad()
def fold_layers(
    operator: NeuralOperator,
    contexts: Sequence[Tensor] | Tensor,
    readers: Sequence[Linear],
    pixel_size: Tensor,
) -> FoldedLayers:
    """Fold the first blocks of an operator, and linear maps that read their output.

    Args:
        operator: the network.
        contexts: (heads, head_dim, head_dim) each; as many blocks are folded as are given.
        readers: linear maps of the output of the last folded block.
        pixel_size: (2,) size (row, column) of an output pixel in half feature pixels.

    Returns:
        The hidden layer of each folded block, then the result of each reader.
    """
    width = max(operator.lift.out_features, *(len(bias) for _, bias in readers))
    layers, shifts, seconds = [], [], []
    for block, context in zip(operator.blocks, contexts, strict=False):
        weight, shift = (t.double() for t in block.folded(context))
        first = _padded(block.first.weight, width)
        layers.append(first @ (weight + torch.eye(len(weight)).to(weight)))
        shifts.append(first @ shift + _padded(block.first.bias, width))
        second = _padded(block.second.weight.T, width).T
        seconds.append((second, block.second.bias.double()))
    for weight, bias in readers:
        layers.append(_padded(weight, width))
        shifts.append(_padded(bias, width))
    for i, layer in enumerate(layers):
        # Each earlier block has added the bias of its second map to the layer's input.
        shifts[i] = shifts[i] + sum(layer @ bias for _, bias in seconds[:i])
    dtype = operator.lift.weight.dtype
    corner, corner_bias = _corners(operator, pixel_size)
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
    """Return a tensor in double precision, padded with zeros to ``length`` along its first axis."""
    zeros = tensor.new_zeros((length - len(tensor), *tensor.shape[1:]))
    return torch.cat((tensor, zeros)).double()


def _corners(operator: NeuralOperator, pixel_size: Tensor) -> Linear:
    """Return the lifting as an affine map for each corner, in double precision.

    A query at t between two pixels has the relative coordinates 2 t to the pixel before and
    2 t - 2 to the pixel after: twice the weight of the pixel after, and minus twice the weight of
    the pixel before.

    Returns:
        Weights (2, 2, features, width) and biases (2, 2, width).
    """
    weight, bias = operator.lift.weight.double(), operator.lift.bias.double()
    width = len(bias)
    corner = weight[:, 8:-2].reshape(width, 2, 2, -1).permute(1, 2, 3, 0)
    offsets = weight[:, :8].reshape(width, 2, 2, 2)
    row, column = offsets[..., 0].sum(2).T, offsets[..., 1].sum(1).T
    signs = torch.tensor((-2.0, 2.0), dtype=torch.float64).to(weight)[:, None]
    rows, columns = signs * row.flip(0), signs * column.flip(0)
    return corner, rows[:, None] + columns + bias + weight[:, -2:] @ pixel_size.to(weight)
