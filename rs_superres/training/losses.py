"""What training minimises, and what is measured once before and after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import numpy as np
import torch
from torch import Tensor

from rs_superres.diffusion.preconditioning import Preconditioning, training_sigmas
from rs_superres.nets.build import SceneNetwork
from rs_superres.nets.denoiser import ResidualDenoiser
from rs_superres.nets.galerkin import AxisSamples
from rs_superres.nets.prior import ScenePrior, cubic, scene_samples
from rs_superres.training.batches import Batch, Crops
from rs_superres.training.config import BORDER, Loss

FLAT = 1e-6
"""Squared error, network values, under which a crop is as good as right: an eighth of a digital
number of eight bits."""


def inner(batch: Batch, axis: int) -> Tensor:
    """The rows (0) or columns (1) of the crops that lie away from their border."""
    positions = batch.positions(axis)
    cells = batch.low.shape[-1]
    return ((positions >= BORDER) & (positions < cells - 1 - BORDER)).nonzero()[:, 0]


def sampled(batch: Batch, chance: np.random.Generator, side: int) -> Batch:
    """A batch's whole crops at side x side random rows and columns away from their border.

    All that there are where they are fewer.
    """
    rows, columns = (
        torch.from_numpy(np.sort(chance.permutation(inner(batch, axis).numpy())[:side]))
        for axis in (0, 1)
    )
    return batch.at(rows, columns)


def _samples(batch: Batch) -> tuple[AxisSamples, AxisSamples]:
    """Where rows and columns of the crops lie among the cells."""
    return (
        scene_samples(batch.positions(0)).to(batch.low.device),
        scene_samples(batch.positions(1)).to(batch.low.device),
    )


def _cell(batch: Batch) -> Tensor:
    """An output pixel's size in half source pixels, (row, column)."""
    return torch.full((2,), 2 / batch.scale, device=batch.low.device)


def prior_loss(
    prior: ScenePrior,
    batch: Batch,
    *,
    kind: Loss = "absolute",
    contexts: Tensor | None = None,
) -> Tensor:
    """The prior's error at the rows and columns of a batch.

    Args:
        prior: what is trained.
        batch: on the prior's device; see :func:`sampled`.
        kind: ``absolute`` for the mean absolute error of network values; ``psnr`` for the mean over
            crops of log10 of the mean squared error, a tenth of a PSNR less its sign (NAFNet, Chen
            et al. 2022): every crop counts alike, however much contrast it has.
        contexts: (2, heads, head_dim, head_dim); those of the crops at hand when None, as the
            paper trains.
    """
    samples = _samples(batch)
    drawn = prior.residual(batch.low, *samples, _cell(batch), contexts)
    made = cubic(batch.low, *samples) + drawn
    error = made.float() - batch.high
    match kind:
        case "psnr":
            return (error.square().mean((1, 2, 3)) + FLAT).log10().mean()
        case "absolute":
            return error.abs().mean()
        case _:
            assert_never(kind)


def denoiser_loss(
    denoiser: ResidualDenoiser, clean: Tensor, prior: Tensor, scale: float, noise: torch.Generator
) -> Tensor:
    """The squared error of the clean residual, weighted by 1 / c_out^2 (Karras et al. 2022).

    Args:
        denoiser: what is trained.
        clean: (b, 3, h, w) truth less prior, in units of its deviation.
        prior: the same place, network values.
        scale: the magnification.
        noise: draws noise levels and noise, on the device of ``clean``.
    """
    sigma = training_sigmas(torch.randn(len(clean), generator=noise, device=clean.device))
    wide = sigma[:, None, None, None]
    drawn = torch.randn(clean.shape, generator=noise, device=clean.device)
    estimate = denoiser.denoise(clean + wide * drawn, prior, sigma, scale)
    weight = 1 / Preconditioning.at(wide).out ** 2
    return (weight * (estimate.float() - clean) ** 2).mean()


@torch.no_grad()
def residual(network: SceneNetwork, batch: Batch) -> tuple[Tensor, Tensor]:
    """The prior with the stored contexts, and what it misses, at the rows and columns of a batch.

    Returns:
        Truth less prior, and the prior: (b, 3, rows, columns) each, network values.
    """
    prior, low, samples, cell = network.prior, batch.low, _samples(batch), _cell(batch)
    if low.is_cpu:
        made = prior.grid(low, *samples, prior.folded(batch.scale, cell)).float()
    else:  # all images at once: folded, each is evaluated by itself
        drawn = prior.residual(low, *samples, cell, prior.contexts_at(batch.scale))
        made = cubic(low, *samples) + drawn.float()
    return batch.high - made, made


@torch.no_grad()
def calibrate(prior: ScenePrior, crops: Crops, *, key: Sequence[int], count: int = 64) -> None:
    """Set the stored contexts: their means over training crops at each stored scale."""
    device = prior.contexts.device
    for i, scale in enumerate(prior.scales):
        batch = _calibration_batch(crops, [*key, i], scale, count).to(device)
        samples = _samples(batch)
        x = prior.operator.lifted(prior.encoder(batch.low), *samples, _cell(batch))
        for j, block in enumerate(prior.operator.blocks):
            prior.contexts[i, j] = block.context(x).mean(0)
            x = block(x, prior.contexts[i, j])


def measure_residual(
    network: SceneNetwork, crops: Crops, *, key: Sequence[int], count: int = 64
) -> None:
    """Set the stored deviations of truth less prior at each scale."""
    if network.denoiser is None:
        return
    deviations = network.denoiser.deviations
    for i, scale in enumerate(network.denoiser.scales):
        batch = _calibration_batch(crops, [*key, i], scale, count)
        missed, _ = residual(network, batch.to(deviations.device))
        deviations[i] = missed.square().mean().sqrt()


def _calibration_batch(crops: Crops, key: Sequence[int], scale: float, count: int) -> Batch:
    """Crops at a scale: some 32 rows and columns of them away from the border."""
    batch = crops.batch(key, count, 40, scale)
    rows, columns = (inner(batch, axis) for axis in (0, 1))
    return batch.at(rows[:: max(1, len(rows) // 32)], columns[:: max(1, len(columns) // 32)])
