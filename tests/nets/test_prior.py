"""Tests of the scene prior's locality and of its interpolations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rs_superres.nets.galerkin import AxisSamples
from rs_superres.nets.prior import ORIENTATIONS, cubic, interpolate_scales, linear, scene_samples
from tests.nets.priors import SCALES, positions, random_image, random_prior


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("side", [-1, 1])
def test_scene_prior_is_local(axis: int, side: int) -> None:
    prior, image = random_prior(2), random_image(2, 1, 3, 40, 40)
    assert prior.halo == 2 * 2 + 2 + 2
    samples = scene_samples(torch.tensor([20.0, 20.4, 20.9], dtype=torch.float64))
    folded = prior.folded(3.0, torch.tensor((0.5, 0.5)))
    before = prior.grid(image, samples, samples, folded)
    # Queries at 20.x depend on the pixels 20 - halo + 1 to 20 + halo; allow one more on each side.
    edge = 20 - prior.halo - 1 if side < 0 else 20 + prior.halo + 1
    far = image.clone()
    far.narrow(axis, 0 if side < 0 else edge, edge + 1 if side < 0 else 40 - edge).add_(5)
    assert torch.equal(prior.grid(far, samples, samples, folded), before)


def test_scene_prior_reaches_as_far_as_the_encoder() -> None:
    prior = random_prior(3)
    image = random_image(3, 1, 3, 40, 40).double().requires_grad_()
    prior.double()
    samples = scene_samples(torch.tensor([20.5], dtype=torch.float64))
    pixel_size = torch.tensor((0.5, 0.5))
    residual = prior.residual(image, samples, samples, pixel_size, prior.contexts_at(2.0))
    [gradient] = torch.autograd.grad(residual.sum(), image)
    pixels = gradient.abs().sum((0, 1, 2)).nonzero().flatten()
    radius = prior.encoder.radius
    assert (int(pixels.min()), int(pixels.max())) == (20 - radius, 21 + radius)


def test_prior_of_a_window_with_halo_equals_that_of_the_image() -> None:
    prior, image = random_prior(4), random_image(4, 1, 3, 60, 50)
    folded = prior.folded(2.7, torch.tensor((0.7, 0.7)))
    rows, columns = positions(20.1, 0.35, 20), positions(21.3, 0.35, 9)
    expected = prior.grid(image, scene_samples(rows), scene_samples(columns), folded)
    top, left = 20 - prior.halo, 21 - prior.halo
    bottom, right = int(rows[-1]) + prior.halo + 1, int(columns[-1]) + prior.halo + 1
    window = image[:, :, top:bottom, left:right]
    part = prior.grid(window, scene_samples(rows, top), scene_samples(columns, left), folded)
    torch.testing.assert_close(part, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("ensemble", [2, 4, 8])
def test_an_ensemble_is_the_mean_of_what_is_seen_from_other_sides(ensemble: int) -> None:
    """Cells of a scene see the same: each orientation of a window is that of the scene."""
    prior, image = random_prior(5), random_image(5, 1, 3, 60, 50)
    folded = prior.folded(2.7, torch.tensor((0.7, 0.5)), ensemble=ensemble)
    rows, columns = positions(20.1, 0.35, 20), positions(21.3, 0.25, 9)
    samples = scene_samples(rows), scene_samples(columns)
    details = []
    for orientation in ORIENTATIONS[:ensemble]:
        seen = orientation.seen(image, *samples)
        pixel_size = torch.tensor((0.5, 0.7) if orientation.swapped else (0.7, 0.5))
        alone = prior.folded(2.7, pixel_size)
        details.append(orientation.back(prior.detail(*seen, alone)))
    expected = cubic(image, *samples) + torch.stack(details).mean(0)
    result = prior.grid(image, *samples, folded)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)
    assert not torch.allclose(details[0], details[1], atol=1e-3)


def test_the_whole_ensemble_sees_no_side_more_than_another() -> None:
    """The result of an image that is mirrored or turned is mirrored or turned."""
    prior, image = random_prior(6), random_image(6, 1, 3, 41, 41)
    samples = scene_samples(positions(14.25, 0.5, 24))  # to 25.75: symmetric about 20
    folded = prior.folded(2.0, torch.tensor((1.0, 1.0)), ensemble=8)
    expected = prior.grid(image, samples, samples, folded)
    turns: list[Callable[[Tensor], Tensor]] = [
        lambda x: x.flip(2),
        lambda x: x.flip(3),
        lambda x: x.mT,
        lambda x: x.mT.flip(2),
    ]
    for turn in turns:
        result = prior.grid(turn(image), samples, samples, folded)
        torch.testing.assert_close(result, turn(expected), rtol=0, atol=1e-5)


def test_reversed_samples_are_the_same_queries() -> None:
    samples = scene_samples(positions(3.2, 0.7, 5))
    turned = samples.reversed(12)
    places = samples.index[:, 0] + samples.relative[:, 0] / 2
    torch.testing.assert_close(turned.index[:, 0] + turned.relative[:, 0] / 2, 11 - places.flip(0))
    torch.testing.assert_close(turned.reversed(12).relative, samples.relative)
    assert torch.equal(turned.reversed(12).index, samples.index)


def keys(distance: float) -> float:
    """Evaluate the cubic convolution kernel of Keys 1981, eq. 15, with a = -1/2."""
    d = abs(distance)
    if d < 1:
        return 1.5 * d**3 - 2.5 * d**2 + 1
    return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0


def test_cubic_equals_a_sum_over_all_pixels() -> None:
    image = random_image(5, 1, 2, 9, 11).double()
    y, x = positions(2.0, 0.37, 9), positions(1.2, 0.61, 11)
    down = torch.tensor([[keys(float(p) - i) for i in range(9)] for p in y], dtype=torch.float64)
    across = torch.tensor([[keys(float(p) - i) for i in range(11)] for p in x], dtype=torch.float64)
    result = cubic(image, scene_samples(y), scene_samples(x))
    torch.testing.assert_close(result, down @ image @ across.T, rtol=0, atol=1e-5)


def test_cubic_reproduces_quadratics() -> None:
    i, j = torch.arange(12.0, dtype=torch.float64)[:, None], torch.arange(14.0).double()
    y, x = positions(2.0, 0.31, 20), positions(3.0, 0.23, 22)
    image = 0.1 * i**2 - 0.2 * i * j + 0.05 * j**2 + j - 3
    y_, x_ = y[:, None], x
    truth = 0.1 * y_**2 - 0.2 * y_ * x_ + 0.05 * x_**2 + x_ - 3
    result = cubic(image[None, None], scene_samples(y), scene_samples(x))
    torch.testing.assert_close(result[0, 0], truth, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("scale", "value"), [(0.5, 0.0), (1.0, 0.0), (2.0, 1.0), (2**1.5, 1.5), (8.0, 3.0), (20.0, 3.0)]
)
def test_tables_are_interpolated_linearly_in_log_scale(scale: float, value: float) -> None:
    table = torch.arange(4.0)
    assert interpolate_scales(table, SCALES, scale).item() == pytest.approx(value)


@pytest.mark.parametrize("interpolate", [cubic, linear])
def test_autocast_does_not_change_interpolation(
    interpolate: Callable[[Tensor, AxisSamples, AxisSamples], Tensor],
) -> None:
    image = random_image(5, 1, 3, 12, 14)
    grid = scene_samples(positions(2.0, 0.31, 20)), scene_samples(positions(3.0, 0.23, 22))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = interpolate(image, *grid)
    assert torch.equal(mixed, interpolate(image, *grid))
