"""The losses that training minimises, and the constants measured before and after a phase."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import assert_never

import numpy as np
import torch
from torch import Tensor

from rs_superres.config import UNKNOWN
from rs_superres.nets.build import SceneNetwork
from rs_superres.nets.folded import fold
from rs_superres.nets.galerkin import AxisSamples
from rs_superres.nets.prior import ScenePrior, cubic, scene_samples
from rs_superres.nets.source import Qualities
from rs_superres.nets.texture import Conditions
from rs_superres.training.batches import Batch, Crops
from rs_superres.training.config import BORDER, Loss

NEGLIGIBLE_ERROR = 1e-6
"""Squared error, network values, below which a crop counts as restored: an eighth of an 8-bit
digital number."""

ESTIMATOR_WEIGHT = 0.02
"""Weight of the estimator's loss beside that of the prior."""

ESTIMATOR_SIDE = 32
"""Low-resolution pixels on a side of what the estimator sees of a crop."""

CALIBRATION_CROPS = 64
"""Crops at each scale on which the stored contexts, or the deviations, are measured."""


def inner_indices(batch: Batch, axis: int) -> Tensor:
    """Return the rows (0) or columns (1) of the crops that padding at the border does not affect.

    Returns:
        (n,) int64.
    """
    positions = batch.positions(axis)
    low_side = batch.low.shape[-1]
    return ((positions >= BORDER) & (positions < low_side - 1 - BORDER)).nonzero()[:, 0]


def sample_pixels(batch: Batch, chance: np.random.Generator, side: int) -> Batch:
    """Keep ``side`` random rows and columns of the crops, none of them near the border.

    All of the inner rows or columns are kept if there are fewer than ``side``.

    Args:
        batch: complete crops.
        chance: draws the rows and columns.
        side: number of rows, and of columns.
    """
    rows, columns = (
        torch.from_numpy(np.sort(chance.permutation(inner_indices(batch, axis).numpy())[:side]))
        for axis in (0, 1)
    )
    return batch.select(rows, columns)


def _samples(batch: Batch) -> tuple[AxisSamples, AxisSamples]:
    """Return the positions of rows and columns as the prior takes them, on the batch's device."""
    return (
        scene_samples(batch.positions(0)).to(batch.low.device),
        scene_samples(batch.positions(1)).to(batch.low.device),
    )


def _output_pixel(batch: Batch) -> Tensor:
    """Return the size of an output pixel in half source pixels: (2,), row and column."""
    return torch.full((2,), 2 / batch.scale, device=batch.low.device)


def prior_loss(
    prior: ScenePrior,
    batch: Batch,
    *,
    kind: Loss = "absolute",
    contexts: Tensor | None = None,
) -> Tensor:
    """Compute the prior's error at the rows and columns of a batch.

    Args:
        prior: the network that is trained.
        batch: on the prior's device; see :func:`sample_pixels`.
        kind: ``absolute`` for the mean absolute error of network values; ``psnr`` for the mean over
            crops of log10 of the mean squared error, which is minus a tenth of the PSNR (NAFNet,
            Chen et al. 2022). With ``psnr`` every crop has the same weight, whatever its contrast.
        contexts: (2, heads, head_dim, head_dim); None for those of the batch, as in the paper.

    Returns:
        The loss, a scalar.
    """
    samples = _samples(batch)
    detail = prior.residual(batch.low, *samples, _output_pixel(batch), contexts, batch.given)
    result = cubic(batch.low, *samples) + detail
    error = result.float() - batch.high
    match kind:
        case "psnr":
            return (error.square().mean((1, 2, 3)) + NEGLIGIBLE_ERROR).log10().mean()
        case "absolute":
            return error.abs().mean()
        case _:
            assert_never(kind)


def estimator_loss(prior: ScenePrior, batch: Batch) -> Tensor:
    """Compute the error of the blur and the noise that the prior estimates, weighted.

    It has a small weight, so that it does not decide how far gradients are clipped. Adam's steps do
    not depend on the weight, and the estimator shares no parameter with the rest.

    Args:
        prior: the network that is trained.
        batch: on the prior's device.

    Returns:
        The loss, a scalar; 0 for a prior that is not source-aware.
    """
    if prior.estimator is None or batch.qualities is None:
        return batch.low.new_zeros(())
    low = batch.low[:, :, :ESTIMATOR_SIDE, :ESTIMATOR_SIDE]
    return ESTIMATOR_WEIGHT * prior.estimator.loss(low, batch.qualities)


@torch.no_grad()
def prior_residual(network: SceneNetwork, batch: Batch) -> tuple[Tensor, Tensor]:
    """Compute the prior with the stored contexts, and the truth minus the prior.

    Returns:
        Truth minus prior, and the prior: (b, 3, rows, columns) each, network values.
    """
    prior, low = network.prior, batch.low
    samples, output_pixel = _samples(batch), _output_pixel(batch)
    contexts = prior.contexts_at(batch.scale)
    if low.is_cpu:
        features = prior.features(low, batch.scale, batch.given)
        operator = fold(prior.operator, contexts, output_pixel).to(features.dtype)
        with torch.autocast("cpu", enabled=False):
            detail = operator.images(features, *samples)
    else:  # products of matrices, which a GPU prefers to gathering
        detail = prior.residual(low, *samples, output_pixel, contexts, batch.given)
    result = cubic(low, *samples) + detail.float()
    return batch.high - result, result


@torch.no_grad()
def calibrate(
    prior: ScenePrior, crops: Crops, *, key: Sequence[int], count: int = CALIBRATION_CROPS
) -> None:
    """Set the prior's stored contexts to their means over training crops at each stored scale.

    Args:
        prior: its ``contexts`` are replaced.
        crops: where training crops come from.
        key: random key of the crops.
        count: crops at each scale.
    """
    device = prior.contexts.device
    for i, scale in enumerate(prior.scales):
        batch = _calibration_batch(crops, [*key, i], scale, count).to(device)
        features = prior.features(batch.low, batch.scale, batch.given)
        x = prior.operator.lifted(features, *_samples(batch), _output_pixel(batch))
        for j, block in enumerate(prior.operator.blocks):
            prior.contexts[i, j] = block.context(x).mean(0)
            x = block(x, prior.contexts[i, j])


def conditions(network: SceneNetwork, batch: Batch) -> Conditions:
    """Return the inputs of the texture networks for a batch, other than images.

    Unless the prior is source-aware, blur and noise are unknown.
    """
    qualities = batch.given if network.prior.source_aware else None
    return Conditions(qualities or Qualities.of(UNKNOWN).to(batch.low.device), batch.scale)


def measure_residual(
    network: SceneNetwork, crops: Crops, *, key: Sequence[int], count: int = CALIBRATION_CROPS
) -> None:
    """Set the denoiser's standard deviations of truth minus prior at each stored scale.

    Args:
        network: its denoiser's ``deviations`` are replaced; a network without one is unchanged.
        crops: where training crops come from.
        key: random key of the crops.
        count: crops at each scale.
    """
    denoiser = network.denoiser
    if denoiser is None:
        return
    deviations = denoiser.deviations
    for i, scale in enumerate(denoiser.scales):
        batch = _middle(crops.batch([*key, i], count, 40, scale), denoiser.multiple)
        error, _ = prior_residual(network, batch.to(deviations.device))
        deviations[i] = denoiser.measured(error)


def calibration_seconds(network: SceneNetwork, crops: Crops, *, key: Sequence[int]) -> float:
    """Estimate the seconds that calibration takes for a crop at every stored scale.

    It is measured with one crop at three of the scales. The network is not changed.

    Args:
        network: the network to evaluate.
        crops: where training crops come from.
        key: random key of the crops.
    """
    scales = network.prior.scales
    probed = sorted({0, len(scales) // 2, len(scales) - 1})
    started = time.monotonic()
    for i in probed:
        batch = _calibration_batch(crops, [*key, i], scales[i], 1)
        error, _ = prior_residual(network, batch.to(network.prior.contexts.device))
        error.mean().item()  # waits for a GPU
    return (time.monotonic() - started) * len(scales) / len(probed)


def _middle(batch: Batch, multiple: int) -> Batch:
    """Keep about 32 consecutive rows and columns of a batch, a multiple of a number of pixels."""
    inner = inner_indices(batch, 0)
    side = max(multiple, min(32, len(inner)) // multiple * multiple)
    first = -(-int(inner[0] + (len(inner) - side) // 2) // multiple) * multiple
    kept = torch.arange(first, first + side)
    return batch.select(kept, kept)


def _calibration_batch(crops: Crops, key: Sequence[int], scale: float, count: int) -> Batch:
    """Draw crops at a scale and keep about 32 rows and columns of them, none near the border."""
    batch = crops.batch(key, count, 40, scale)
    rows, columns = (inner_indices(batch, axis) for axis in (0, 1))
    return batch.select(rows[:: max(1, len(rows) // 32)], columns[:: max(1, len(columns) // 32)])
