"""Distances, against scikit-image's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio

from rs_superres.metrics import psnr


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
