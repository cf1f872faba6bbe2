"""The Galerkin contexts of an image, and the prior of NeurOp-Diff evaluated with them.

The definition (:meth:`rs_superres.nets.prior.PaperPrior.grid`) keeps queries, keys and values at
all output pixels. Here keys and values are computed piece by piece, each piece adds its share to
the context, and nothing is kept. Then the folded operator evaluates the prior.

The normalisation of keys and values takes only one division for each query: the means are removed
from the matrices that compute them, and weight and bias of the normalisation are applied to the
sums at the end.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rs_superres.nets.folded import FoldedLayers, Linear, fold, fold_layers
from rs_superres.nets.galerkin import AxisSamples, GalerkinBlock, NeuralOperator, unbiased_std
from rs_superres.nets.prior import PaperPrior, linear

THINNING = 1 + math.sqrt(5)
"""In less than single precision, the context is a mean over one in 3.24 rows and columns. That
changes the prior less than the lower precision does. The number is irrational, since every third
row would have the same position between feature pixels at x3, and every second row at x2."""


@torch.no_grad()
def contexts_of(
    operator: NeuralOperator,
    features: Tensor,
    rows: AxisSamples,
    columns: AxisSamples,
    pixel_size: Tensor,
) -> list[Tensor]:
    """Compute the context of each block as a mean over the grid rows x columns.

    Args:
        operator: the network.
        features: (h, w, c), in the dtype in which keys and values are computed.
        rows: the grid's rows, each between two neighbouring feature rows.
        columns: the grid's columns, each between two neighbouring feature columns.
        pixel_size: (2,) size (row, column) of an output pixel in half feature pixels.

    Returns:
        (heads, head_dim, head_dim) for each block.
    """
    contexts: list[Tensor] = []
    for block in operator.blocks:
        # The input of a block depends on the contexts of the blocks before it.
        layers = fold_layers(operator, contexts, _keys_and_values(block), pixel_size)
        contexts.append(_block_context(block, layers.to(features.dtype), features, rows, columns))
    return contexts


def _block_context(
    block: GalerkinBlock,
    layers: FoldedLayers,
    features: Tensor,
    rows: AxisSamples,
    columns: AxisSamples,
) -> Tensor:
    """Compute the context of one block, (heads, head_dim, head_dim).

    Args:
        block: the block.
        layers: its centred keys and values as the last two layers.
        features: as in :func:`contexts_of`.
        rows: as in :func:`contexts_of`.
        columns: as in :func:`contexts_of`.
    """
    sums: dict[int, tuple[Tensor, Tensor]] = {}

    def add(values: Tensor, part: slice) -> None:
        heads = values[-2:].float().view(2, values.shape[1], block.heads, -1)
        heads.div_(unbiased_std(heads))
        k, v = heads.transpose(1, 2)
        sums[part.start] = k.transpose(1, 2) @ v, heads.sum(1)

    layers.visit(features, rows, columns, add)
    # Sums depend on their order: take that of the rows, not that in which threads finish.
    ordered = zip(*(sums[row] for row in sorted(sums)), strict=True)
    count = len(rows.index) * len(columns.index)
    product, factors = (torch.stack(parts).double().sum(0) / count for parts in ordered)
    return _normalised_context(block, product, factors).to(block.qkv.weight)


def _keys_and_values(block: GalerkinBlock) -> list[Linear]:
    """Return the linear maps to a block's keys and values, minus the mean over each head.

    The outputs are the channels of all heads, head by head.
    """
    width = block.qkv.in_features
    weight = block.qkv.weight.double().reshape(block.heads, 3, -1, width)
    bias = block.qkv.bias.double().reshape(block.heads, 3, -1)
    weight, bias = weight - weight.mean(2, keepdim=True), bias - bias.mean(2, keepdim=True)
    return [(weight[:, i].flatten(0, 1), bias[:, i].flatten()) for i in (1, 2)]


def _normalised_context(block: GalerkinBlock, product: Tensor, factors: Tensor) -> Tensor:
    """Apply the weights and biases of a block's normalisations to mean products.

    With k and v including the weights, and a and b the biases:

        E[(k + a) (v + b)] = E[k v] + (E k + a) (E v + b) - E k E v.

    Args:
        block: the block.
        product: (heads, head_dim, head_dim) E[k v], without weights.
        factors: (2, heads, head_dim) E k and E v, without weights.

    Returns:
        (heads, head_dim, head_dim) the context.
    """
    keys, values = block.key_norm, block.value_norm
    k, v = keys.weight * factors[0, :, None], values.weight * factors[1, :, None]
    weighted = keys.weight.transpose(1, 2) * product * values.weight
    with_bias = (k + keys.bias).transpose(1, 2) @ (v + values.bias)
    return weighted + with_bias - k.transpose(1, 2) @ v


@torch.no_grad()
def paper_grid(
    prior: PaperPrior,
    image: Tensor,
    rows: AxisSamples,
    columns: AxisSamples,
    pixel_size: Tensor,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Evaluate the prior of NeurOp-Diff as :meth:`PaperPrior.grid` does, but faster.

    Args:
        prior: the network.
        image: (b, 3, h, w) in [-1, 1].
        rows: the grid's rows, each between two neighbouring source rows.
        columns: the grid's columns, each between two neighbouring source columns.
        pixel_size: (2,) size (row, column) of an output pixel in half source pixels.
        dtype: dtype of the operator's computation. In float32 the result equals that of the
            definition up to rounding; otherwise the contexts come from thinned queries.

    Returns:
        (b, 3, rows, columns) float32, about [-1, 1].
    """
    encoded = prior.encoder(image.contiguous(memory_format=torch.channels_last)).to(dtype)
    operator, results = prior.operator, []
    context_grid = rows, columns
    if dtype != torch.float32:
        context_grid = thinned(rows), thinned(columns)
    with torch.autocast(image.device.type, enabled=False):
        for features in encoded.permute(0, 2, 3, 1).contiguous():
            contexts = contexts_of(operator, features, *context_grid, pixel_size)
            folded = fold(operator, torch.stack(contexts), pixel_size).to(dtype)
            results.append(folded(features, rows, columns))
        return torch.stack(results) + linear(image, rows, columns)


def thinned(samples: AxisSamples) -> AxisSamples:
    """Return one in :data:`THINNING` queries, evenly spaced.

    They are spread evenly over the axis, and over the positions between feature pixels.
    """
    count = max(1, int(len(samples.index) / THINNING))
    kept = [int((i + 0.5) * len(samples.index) / count) for i in range(count)]
    return AxisSamples(index=samples.index[kept], relative=samples.relative[kept])
