"""Statistics of values that come in parts equal those of all values at once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from skimage.metrics import peak_signal_noise_ratio

from rs_superres.image.statistics import Moments, RunningStatistics, psnr


def test_moments_of_parts() -> None:
    values = np.random.default_rng(1).normal(3, 2, size=1000)
    moments = Moments()
    for part in np.split(values, [10, 500]):
        moments.add(part)
    assert moments.count == 1000
    np.testing.assert_allclose(moments.mean, values.mean())
    np.testing.assert_allclose(moments.deviation, values.std())
    np.testing.assert_allclose(moments.rms, np.sqrt((values**2).mean()))
    np.testing.assert_allclose(moments.error, stats.sem(values))


def test_moments_without_values_are_zero() -> None:
    empty = Moments()
    assert (empty.mean, empty.rms, empty.deviation, empty.error) == (0.0, 0.0, 0.0, 0.0)


def test_running_statistics_of_arrays() -> None:
    samples = 1e8 + np.random.default_rng(2).normal(size=(7, 2, 3, 4))
    running = RunningStatistics()
    for sample in samples:
        running.add(sample)
    np.testing.assert_allclose(running.mean, samples.mean(axis=0), rtol=1e-15)
    np.testing.assert_allclose(running.variance(), samples.var(axis=0, ddof=1), rtol=1e-6)


def test_a_single_array_has_a_variance_of_zero() -> None:
    running, sample = RunningStatistics(), np.ones((1, 2, 2))
    running.add(sample)
    sample[:] = 5
    assert (running.mean == 1).all()
    assert (running.variance() == 0).all()


@given(seed=st.integers(0, 99), std=st.floats(1, 80))
def test_psnr_agrees_with_scikit_image(seed: int, std: float) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 256, (3, 9, 11)).astype(np.uint8)
    image = np.clip(truth + generator.normal(0, std, truth.shape), 0, 255).astype(np.uint8)
    if (image == truth).all():
        return
    expected = peak_signal_noise_ratio(truth, image, data_range=255)
    assert psnr(image, truth) == pytest.approx(expected, rel=1e-12)
    assert psnr(truth, image) == psnr(image, truth)


def test_psnr_examples() -> None:
    black, white = np.zeros((3, 2, 2), dtype=np.uint8), np.full((3, 2, 2), 255, dtype=np.uint8)
    assert psnr(black, white) == 0
    assert psnr(black, black) == math.inf
    tenth = np.full((3, 2, 2), 25.5)
    assert psnr(black, tenth) == pytest.approx(20)
    assert psnr(tenth, tenth + 10, peak=1000) == pytest.approx(40)


def test_psnr_of_different_shapes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shapes \(3, 2, 2\) and \(3, 2, 3\) differ"):
        psnr(np.zeros((3, 2, 2)), np.zeros((3, 2, 3)))
