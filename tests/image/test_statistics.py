"""Moments of pieces are those of the whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio

from rs_superres.image.statistics import Moments, RunningStatistics, psnr


def test_values_in_pieces() -> None:
    values = np.random.default_rng(1).normal(3, 2, size=1000)
    found = Moments()
    for piece in np.split(values, [10, 500]):
        found.add(piece)
    assert found.count == 1000
    np.testing.assert_allclose(found.mean, values.mean())
    np.testing.assert_allclose(found.deviation, values.std())
    np.testing.assert_allclose(found.rms, np.sqrt((values**2).mean()))
    assert (Moments().mean, Moments().rms, Moments().error) == (0.0, 0.0, 0.0)


def test_arrays_one_by_one() -> None:
    samples = 1e8 + np.random.default_rng(2).normal(size=(7, 2, 3, 4))
    running = RunningStatistics()
    for sample in samples:
        running.add(sample)
    np.testing.assert_allclose(running.mean, samples.mean(axis=0), rtol=1e-15)
    np.testing.assert_allclose(running.deviation(), samples.std(axis=0, ddof=1), rtol=1e-6)


def test_a_single_array_has_no_deviation() -> None:
    running, sample = RunningStatistics(), np.ones((1, 2, 2))
    running.add(sample)
    sample[:] = 5
    assert (running.mean == 1).all()
    assert (running.deviation() == 0).all()


@given(seed=st.integers(0, 99), spread=st.floats(1, 80))
def test_psnr_is_scikit_image_s(seed: int, spread: float) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 256, (3, 9, 11)).astype(np.uint8)
    image = np.clip(truth + generator.normal(0, spread, truth.shape), 0, 255).astype(np.uint8)
    if (image == truth).all():
        return
    wanted = peak_signal_noise_ratio(truth, image, data_range=255)
    assert psnr(image, truth) == pytest.approx(wanted, rel=1e-12)
    assert psnr(truth, image) == psnr(image, truth)


def test_psnr_by_example() -> None:
    black, white = np.zeros((3, 2, 2), dtype=np.uint8), np.full((3, 2, 2), 255, dtype=np.uint8)
    assert psnr(black, white) == 0
    assert psnr(black, black) == math.inf
    tenth = np.full((3, 2, 2), 25.5)
    assert psnr(black, tenth) == pytest.approx(20)
    assert psnr(tenth, tenth + 10, peak=1000) == pytest.approx(40)


def test_psnr_of_other_shapes() -> None:
    with pytest.raises(ValueError, match=r"shapes \(3, 2, 2\) and \(3, 2, 3\) differ"):
        psnr(np.zeros((3, 2, 2)), np.zeros((3, 2, 3)))
