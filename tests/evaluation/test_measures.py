"""A known shift is measured."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import fourier_shift

from rs_superres.evaluation.measures import shift
from tests.rasters import textured


@pytest.mark.parametrize(("right", "down"), [(0.3, 0.0), (-0.62, 0.4), (2.5, -1.25)])
def test_a_known_shift_is_found(right: float, down: float) -> None:
    image = textured(1, 1, 128, 128)[0].astype(np.float64)
    moved = np.fft.ifftn(fourier_shift(np.fft.fftn(image), (down, right))).real
    found = shift(moved, image, np.ones(image.shape, dtype=np.bool_))
    assert found == pytest.approx((right, down), abs=0.06)
