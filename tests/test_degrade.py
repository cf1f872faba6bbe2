"""How low resolution is made: sides that fit, and an image that does not move."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs_superres.degrade import bicubic, low_resolution_side, truth_side
from tests.rasters import textured


def half_up(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))


@given(side=st.integers(8, 5000), scale=st.sampled_from((1.25, 1.5, 2, 2.5, 3.5, 4, 6.25, 8)))
def test_sides(side: int, scale: float) -> None:
    low, truth = low_resolution_side(side, scale), truth_side(side, scale)
    exact = Decimal(str(scale))
    nearest = half_up(side / exact)
    assert low in {nearest, nearest - 1}
    assert truth == half_up(low * exact) <= side
    # One less only where it had to be.
    assert low == nearest or half_up(nearest * exact) > side


@pytest.mark.parametrize(
    ("side", "scale", "low", "truth"),
    [(256, 2, 128, 256), (256, 3, 85, 255), (257, 2, 128, 256), (256, 6.5, 39, 254)],
)
def test_sides_by_example(side: int, scale: float, low: int, truth: int) -> None:
    assert (low_resolution_side(side, scale), truth_side(side, scale)) == (low, truth)


def test_bicubic_shrinks_without_aliases_and_keeps_the_place() -> None:
    columns = np.broadcast_to(np.arange(96, dtype=np.uint8) * 2, (3, 60, 96))
    small = bicubic(np.ascontiguousarray(columns), (20, 32))
    assert small.shape == (3, 20, 32)
    assert small.dtype == np.uint8
    # A ramp stays a ramp through the same ends: pixel i covers 3 i to 3 i + 2.
    np.testing.assert_array_equal(small[0, 0, 2:-2], 2 * (3 * np.arange(2, 30) + 1))
    stripes = np.zeros((3, 64, 64), dtype=np.uint8)
    stripes[:, :, ::2] = 200
    assert np.abs(bicubic(stripes, (16, 16))[:, :, 2:-2].astype(int) - 100).max() <= 2


def test_bicubic_bands_and_axes() -> None:
    image = textured(1, 3, 24, 36)
    whole = bicubic(image, (12, 9))
    turned = bicubic(np.ascontiguousarray(image.transpose(0, 2, 1)), (9, 12)).transpose(0, 2, 1)
    assert np.abs(whole.astype(int) - turned).max() <= 1
    np.testing.assert_array_equal(bicubic(np.ascontiguousarray(image[::-1]), (12, 9)), whole[::-1])
    np.testing.assert_array_equal(bicubic(image, (24, 36)), image)
