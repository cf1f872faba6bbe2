"""Test the losses, and the constants that are measured before and after training."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rs_superres.nets.build import SceneNetwork, scene_network
from rs_superres.nets.prior import cubic, scene_samples
from rs_superres.training import losses
from rs_superres.training.batches import Batch, Crops
from rs_superres.training.config import DataConfig, DegradationConfig
from rs_superres.training.losses import (
    calibrate,
    measure_residual,
    prior_loss,
    sample_pixels,
)
from tests import models
from tests.rasters import RGB, textured
from tests.training.data import scene

SHIFTED = DegradationConfig(bicubic=0.0, gaussian=1.0)


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Crops:
    folder = tmp_path_factory.mktemp("crops")
    scenes = [
        scene(folder / f"{i}" / "a.tif", textured(i, 3, 170, 180), colours=RGB) for i in range(2)
    ]
    return Crops(scenes, DataConfig(largest_crop=160), DegradationConfig())


@pytest.fixture
def network() -> SceneNetwork:
    torch.manual_seed(1)
    return scene_network(models.config())


def chance() -> np.random.Generator:
    return np.random.default_rng(1)


def remove_detail(network: SceneNetwork) -> None:
    """Make the prior equal to its cubic interpolation."""
    nn.init.zeros_(network.prior.operator.output.weight)
    nn.init.zeros_(network.prior.operator.output.bias)


@pytest.mark.parametrize("phase", [(0.0, 0.0), (0.3, -0.4)])
def test_prior_loss_of_cubic_is_its_mean_absolute_error(
    network: SceneNetwork, crops: Crops, phase: tuple[float, float]
) -> None:
    """The prior adds no detail here, and the loss is computed on all inner pixels."""
    remove_detail(network)
    drawn = crops.batch((1,), 2, 12, 2.0)
    batch = Batch(low=drawn.low, high=drawn.high, phase=phase)
    loss = prior_loss(network.prior, sample_pixels(batch, chance(), 999))
    positions = [batch.positions(axis) for axis in (0, 1)]
    # Without two low-resolution pixels on either side.
    inner = [((p >= 2) & (p < 9)).nonzero()[:, 0] for p in positions]
    samples = [scene_samples(p[i]) for p, i in zip(positions, inner, strict=True)]
    truth = batch.high[:, :, inner[0]][:, :, :, inner[1]]
    error = cubic(batch.low, samples[0], samples[1]) - truth
    assert loss.item() == pytest.approx(error.abs().mean().item(), rel=1e-5)


def test_psnr_loss_is_the_mean_psnr_of_the_crops(network: SceneNetwork, crops: Crops) -> None:
    """The loss is minus a tenth of the mean PSNR, for a peak of 2 and up to a constant."""
    remove_detail(network)
    batch = crops.batch((1,), 3, 16, 2.0)
    psnr = [
        10 * math.log10(4 / alone.square().mean().item())
        for alone in (
            cubic(batch.low, places, places)[i] - batch.high[i][:, inner][:, :, inner]
            for inner in [((batch.positions(0) >= 2) & (batch.positions(0) < 13)).nonzero()[:, 0]]
            for places in [scene_samples(batch.positions(0)[inner])]
            for i in range(3)
        )
    ]
    loss = prior_loss(network.prior, sample_pixels(batch, chance(), 999), kind="psnr").item()
    assert 10 * (math.log10(4) - loss) == pytest.approx(np.mean(psnr), abs=0.01)


def test_loss_with_stored_contexts_is_that_of_the_model(
    network: SceneNetwork, crops: Crops
) -> None:
    models.scramble(network, seed=4)
    prior, batch = network.prior, crops.batch((3,), 2, 12, 2.0)
    inner = batch.select(*(losses.inner_indices(batch, axis) for axis in (0, 1)))
    error, _ = losses.prior_residual(network, inner)
    expected = error.abs().mean().item()
    stored = prior.contexts_at(batch.scale)
    loss = prior_loss(prior, inner, contexts=stored).item()
    assert loss == pytest.approx(expected, rel=1e-4)
    assert prior_loss(prior, inner).item() != pytest.approx(expected, rel=1e-3)


def test_loss_respects_the_shift_of_the_low_resolution_grid(
    network: SceneNetwork, crops: Crops
) -> None:
    """The loss is larger if the shift is left out of the positions."""
    remove_detail(network)
    shifted = Crops(crops._scenes, DataConfig(largest_crop=160), SHIFTED)
    with_shift, without_shift = [], []
    for step in range(4):
        batch = shifted.batch((step,), 4, 20, 3.0)
        with_shift.append(prior_loss(network.prior, sample_pixels(batch, chance(), 999)).item())
        wrong = Batch(low=batch.low, high=batch.high)
        without_shift.append(prior_loss(network.prior, sample_pixels(wrong, chance(), 999)).item())
    assert sum(with_shift) < 0.9 * sum(without_shift)


def test_rows_and_columns_of_the_loss_are_random(network: SceneNetwork, crops: Crops) -> None:
    batch = crops.batch((1,), 1, 12, 2.0)
    drawn = np.random.default_rng(1)
    values = {prior_loss(network.prior, sample_pixels(batch, drawn, 4)).item() for _ in range(4)}
    assert len(values) == 4
    assert prior_loss(network.prior, sample_pixels(batch, chance(), 4)).item() in values


@pytest.mark.parametrize("scale", [1.3, 3.5, 7.9])
def test_prior_loss_reaches_every_weight(network: SceneNetwork, crops: Crops, scale: float) -> None:
    models.scramble(network, 2)
    batch = crops.batch((1,), 2, 24, scale)
    reaches_all(prior_loss(network.prior, sample_pixels(batch, chance(), 16)), network.prior)


def reaches_all(loss: Tensor, module: nn.Module) -> None:
    assert loss.isfinite()
    loss.backward()  # type: ignore[no-untyped-call]  # torch's stub
    for name, weight in module.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.abs().sum() > 0, name


def test_calibration_sets_the_contexts(network: SceneNetwork, crops: Crops) -> None:
    models.scramble(network, 2)
    prior = network.prior
    prior.contexts.zero_()
    calibrate(prior, crops, key=(1, 2), count=16)
    first = prior.contexts.clone()
    assert first.isfinite().all()
    assert all(context.abs().sum() > 0 for context in first.flatten(0, 1))
    assert not torch.equal(first[0], first[1])
    calibrate(prior, crops, key=(1, 2), count=16)
    assert torch.equal(prior.contexts, first)
    # The stored contexts approximate those of a batch.
    batch = losses._calibration_batch(crops, (1, 2, 1), 8.0, 16)
    samples = scene_samples(batch.positions(0)), scene_samples(batch.positions(1))
    output_pixel = torch.full((2,), 2 / batch.scale)
    with torch.no_grad():
        own = prior.residual(batch.low, *samples, output_pixel)
        stored = prior.residual(batch.low, *samples, output_pixel, prior.contexts_at(8.0))
        none = prior.residual(batch.low, *samples, output_pixel, torch.zeros_like(first[0]))
    assert (stored - own).abs().mean() < 0.3 * (none - own).abs().mean()


def test_measure_residual_sets_the_deviations(network: SceneNetwork, crops: Crops) -> None:
    remove_detail(network)
    assert network.denoiser is not None
    measure_residual(network, crops, key=(1, 3), count=8)
    deviations = network.denoiser.deviations
    for i, scale in enumerate((1.0, 8.0)):
        batch = losses._middle(crops.batch((1, 3, i), 8, 40, scale), 4)
        places = [scene_samples(batch.positions(axis)) for axis in (0, 1)]
        error = batch.high - cubic(batch.low, places[0], places[1])
        found = network.denoiser.bands(error).square().mean((0, 2, 3)).sqrt()
        torch.testing.assert_close(deviations[i], found, rtol=1e-4, atol=1e-6)
    assert deviations[1].norm() > 2 * deviations[0].norm()


def test_measure_residual_ignores_a_prior_without_denoiser(crops: Crops) -> None:
    measure_residual(scene_network(models.config(denoiser=False)), crops, key=(1, 3), count=1)


def test_calibration_seconds_leaves_the_network_unchanged(
    network: SceneNetwork, crops: Crops
) -> None:
    models.scramble(network, 2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert 0 < losses.calibration_seconds(network, crops, key=(1, 4)) < 60
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
