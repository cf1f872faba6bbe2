"""Metrics of texture have the values that are known for simple images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from rs_superres.evaluation.texture import (
    colour_ratio,
    flat_ratio,
    overshoot,
    spectral_agreement,
    texture,
)
from rs_superres.types import Doubles

VALID = np.ones((96, 120), np.bool_)


def ground(seed: int, bands: int = 3) -> Doubles:
    """Return (band, y, x) smooth ground with fine texture, about 0 to 1."""
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.standard_normal((bands, *VALID.shape)), (0, 6, 6))
    return 0.5 + smooth + 0.03 * rng.standard_normal((bands, *VALID.shape))


def waves(cycles: float, amplitude: float) -> Doubles:
    """Return (y, x) waves along the rows."""
    return np.broadcast_to(amplitude * np.cos(2 * np.pi * cycles * np.arange(120)), VALID.shape)


def test_the_truth_has_the_best_values() -> None:
    truth = ground(1)
    assert texture(truth, truth, VALID, (0, 1, 2), 4) == pytest.approx(
        {"power": 1, "colour": 1, "flat": 1, "overshoot": 0, "correlation": 1}
    )


def test_half_an_amplitude_is_a_quarter_of_the_power() -> None:
    low, high = waves(0.05, 0.3), waves(0.3, 0.1)
    power, correlation = spectral_agreement(0.5 + low + high / 2, 0.5 + low + high, VALID, 0.125)
    assert power == pytest.approx(0.25, rel=1e-4)
    assert correlation == pytest.approx(1, abs=1e-4)
    # Below the frequency nothing counts, in any direction.
    power, _ = spectral_agreement(0.5 + low / 2 + high, 0.5 + low + high, VALID, 0.125)
    assert power == pytest.approx(1, rel=1e-4)
    slanted = np.cos(2 * np.pi * 0.2 * np.add.outer(np.arange(96), np.arange(120)))
    power, _ = spectral_agreement(slanted / 2, slanted, VALID, 0.125)  # 0.28 along the diagonal
    assert power == pytest.approx(0.25, rel=1e-3)


def test_correlation_counts_frequencies_above_the_sources() -> None:
    below, above, other = waves(0.1, 0.3), waves(0.2, 0.1), waves(0.4, 0.1)
    # Shared are a wave of 0.2 and one of 0.4; one image lacks the latter: 1 / sqrt(2).
    assert spectral_agreement(below + above, above + other, VALID, 0.15)[1] == pytest.approx(
        1 / math.sqrt(2), rel=1e-3
    )
    # The image's wave below now counts too: 1 / sqrt((9 + 1) (1 + 1)).
    assert spectral_agreement(below + above, above + other, VALID, 0.05)[1] == pytest.approx(
        1 / math.sqrt(20), rel=1e-3
    )
    assert spectral_agreement(-above, above, VALID, 0.15)[1] == pytest.approx(-1)


def test_doubled_colour_differences_have_twice_the_colour() -> None:
    truth = ground(2)
    mean = truth.mean(axis=0)
    assert colour_ratio(mean + 2 * (truth - mean), truth, VALID) == pytest.approx(2)
    # What changes slowly is not fine, and what all bands share is no colour.
    slow = np.linspace(0, 3, 120) * np.array([-1, 0, 1])[:, None, None]
    inner = VALID.copy()
    inner[:, [0, -1]] = False
    assert colour_ratio(truth + slow, truth, inner) == pytest.approx(1)
    assert colour_ratio(truth + waves(0.4, 0.2), truth, VALID) == pytest.approx(1)
    assert math.isnan(colour_ratio(truth, np.repeat(truth[:1], 3, axis=0), VALID))
    assert math.isnan(texture(truth, truth, VALID, (), 4)["colour"])


def test_flat_ground_is_where_the_truth_varies_least() -> None:
    rng = np.random.default_rng(3)
    noise = rng.standard_normal(VALID.shape)
    strength = np.where(np.arange(120) < 40, 0.01, 0.1)  # a third is flat, a fifth counts
    truth = 0.5 + strength * noise
    doubled = np.where(np.arange(120) < 40, 2.0, 1.0)
    assert flat_ratio(0.5 + doubled * strength * noise, truth, VALID) == pytest.approx(2, rel=0.02)
    doubled = np.where(np.arange(120) < 40, 1.0, 2.0)
    assert flat_ratio(0.5 + doubled * strength * noise, truth, VALID) == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize(("scale", "side"), [(2, 7), (3, 9), (3.5, 11), (4, 13), (6.5, 21)])
def test_overshoot_is_the_distance_from_the_local_range(scale: float, side: int) -> None:
    truth = np.zeros((1, 96, 120))
    truth[:, :, 60:] = 1
    assert overshoot(truth, truth, VALID, scale) == 0
    assert overshoot(truth + 0.5, truth, VALID, scale) > 0
    # Within half a side of the edge, the range reaches from 0 to 1.
    half = side // 2
    grey = np.where(abs(np.arange(120) - 59.5) < half, 0.5, truth)
    assert overshoot(grey, truth, VALID, scale) == 0
    grey = np.where(abs(np.arange(120) - 59.5) < half + 1, 0.5, truth)
    expected = math.sqrt(2 * 0.5**2 / 120)  # a column on either side leaves it by a half
    assert overshoot(grey, truth, VALID, scale) == pytest.approx(expected)


def test_invalid_pixels_have_no_effect() -> None:
    truth, image = ground(4), ground(5)
    valid = VALID.copy()
    valid[30:50, 40:80] = False
    one = texture(image, truth, valid, (0, 1, 2), 4)
    other = texture(np.where(valid, image, 9), np.where(valid, truth, -7), valid, (0, 1, 2), 4)
    assert one == pytest.approx(other)
    # Holes do not blur the spectrum: a step of the window would leak into all frequencies.
    low, high = waves(0.02, 1.0), waves(0.3, 0.01)
    power, _ = spectral_agreement(low + high / 2, low + high, valid, 0.125)
    assert power == pytest.approx(0.25, rel=0.05)


def test_images_without_texture_have_none() -> None:
    flat = np.full((3, *VALID.shape), 0.3)
    metrics = texture(ground(1), flat, VALID, (0, 1, 2), 4)
    assert {name for name, value in metrics.items() if math.isnan(value)} == {
        "power", "colour", "flat", "correlation"
    }  # fmt: skip
    few = np.zeros_like(VALID)
    few[3, 3] = True
    metrics = texture(ground(1), ground(1), few, (0, 1, 2), 4)
    assert math.isnan(metrics["flat"])
    assert metrics["overshoot"] == 0
