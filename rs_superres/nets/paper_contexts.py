"""The Galerkin contexts of an image, and the paper's prior from them by the folded operator.

The definition lifts every query and keeps queries, keys and values of all of them. Here keys and
values are computed piece by piece, each piece adds its share to the context, and nothing is kept.
Of their normalisation only a division remains for every query: the mean is taken off the matrices
that make them, weight and bias come in once for all, by the means of products and of factors.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rs_superres.nets.folded import Linear, Piece, fold, fold_layers
from rs_superres.nets.galerkin import AxisSamples, GalerkinBlock, NeuralOperator, deviation
from rs_superres.nets.prior import PaperPrior, linear

THINNED = 1 + math.sqrt(5)
"""In less than single precision a context is the mean over so few rows, and columns: one in 3.24 of
them. That moves the prior less than the precision does. No whole number, since every third row
would lie alike among the cells at x3, and every second at x2."""


Share = tuple[Tensor, Tensor]
"""Sums over some queries: (heads, head_dim, head_dim) of products of keys and values, and
(2, heads, head_dim) of keys and of values."""


@torch.no_grad()
def contexts_of(
    operator: NeuralOperator,
    features: Tensor,
    rows: AxisSamples,
    columns: AxisSamples,
    cell: Tensor,
) -> list[Tensor]:
    """The context of each block, a mean over the grid: (heads, head_dim, head_dim) each.

    Args:
        operator: the network.
        features: (h, w, c), in the precision that keys and values shall be computed in.
        rows: the grid's rows, each between two neighbouring cells.
        columns: the grid's columns, likewise.
        cell: (2,) an output pixel's size in half feature cells.
    """
    count = len(rows.index) * len(columns.index)
    found: list[Tensor] = []
    for block in operator.blocks:
        layers = fold_layers(operator, found, _keys_and_values(block), cell).to(features.dtype)
        # Added up in the order of the pieces, whichever thread was first.
        shares: dict[tuple[int, int, int], Share] = {}

        def add(
            made: Tensor,
            piece: Piece,
            block: GalerkinBlock = block,
            shares: dict[tuple[int, int, int], Share] = shares,
        ) -> None:
            heads = made[-2:].float().view(2, made.shape[1], block.heads, -1)
            heads.div_(deviation(heads))
            k, v = heads.transpose(1, 2)
            place = piece.strip, piece.rows.start, piece.columns.start
            shares[place] = k.transpose(1, 2) @ v, heads.sum(1)

        layers.visit(features, rows, columns, add)
        ordered = zip(*(shares[place] for place in sorted(shares)), strict=True)
        product, factors = (torch.stack(parts).double().sum(0) / count for parts in ordered)
        found.append(_context(block, product, factors).to(block.qkv.weight))
    return found


def _keys_and_values(block: GalerkinBlock) -> list[Linear]:
    """The linear maps to keys and to values less each head's mean, all heads' channels in a row."""
    width = block.qkv.in_features
    weight = block.qkv.weight.double().reshape(block.heads, 3, -1, width)
    bias = block.qkv.bias.double().reshape(block.heads, 3, -1)
    weight, bias = weight - weight.mean(2, keepdim=True), bias - bias.mean(2, keepdim=True)
    return [(weight[:, i].flatten(0, 1), bias[:, i].flatten()) for i in (1, 2)]


def _context(block: GalerkinBlock, product: Tensor, factors: Tensor) -> Tensor:
    """The mean product of keys and values, with weight and bias, from those without.

    E[(k + a) (v + b)] = E[k v] + (E k + a) (E v + b) - E k E v.

    Args:
        block: whose norms.
        product: (heads, head_dim, head_dim) E[k v].
        factors: (2, heads, head_dim) E k and E v.
    """
    keys, values = block.key_norm, block.value_norm
    k, v = keys.weight * factors[0, :, None], values.weight * factors[1, :, None]
    weighted = keys.weight.transpose(1, 2) * product * values.weight
    moved = (k + keys.bias).transpose(1, 2) @ (v + values.bias)
    return weighted + moved - k.transpose(1, 2) @ v


@torch.no_grad()
def paper_grid(
    prior: PaperPrior,
    image: Tensor,
    rows: AxisSamples,
    columns: AxisSamples,
    cell: Tensor,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """What :meth:`PaperPrior.grid` gives, for queries between neighbouring cells.

    Args:
        prior: the network.
        image: (b, 3, h, w) in [-1, 1].
        rows: the grid's rows.
        columns: the grid's columns.
        cell: (2,) an output pixel's size in half source pixels.
        dtype: what the operator is computed in.

    Returns:
        (b, 3, rows, columns) float32.
    """
    encoded = prior.encoder(image.contiguous(memory_format=torch.channels_last)).to(dtype)
    operator, made = prior.operator, []
    whole = dtype == torch.float32
    among = [along if whole else thinned(along) for along in (rows, columns)]
    with torch.autocast(image.device.type, enabled=False):
        for one in encoded.permute(0, 2, 3, 1).contiguous():
            contexts = contexts_of(operator, one, among[0], among[1], cell)
            folded = fold(operator, torch.stack(contexts), cell).to(dtype)
            made.append(folded(one, rows, columns))
        return torch.stack(made) + linear(image, rows, columns)


def thinned(along: AxisSamples) -> AxisSamples:
    """Some of the queries, evenly spread among them and among the places in a cell."""
    count = max(1, int(len(along.index) / THINNED))
    kept = [int((i + 0.5) * len(along.index) / count) for i in range(count)]
    return AxisSamples(index=along.index[kept], relative=along.relative[kept])
