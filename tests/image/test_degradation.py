"""How low resolution is made: sides that fit, and an image that does not move."""

from __future__ import annotations

from fractions import Fraction
from typing import get_args

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from rs_superres.config import Kernel
from rs_superres.image.degradation import (
    bicubic,
    kernel_matrix,
    low_resolution_side,
    resampled,
    truth_side,
)
from tests.rasters import Array, textured

KERNELS: tuple[Kernel, ...] = get_args(Kernel)


def half_up(value: Fraction) -> int:
    whole, rest = divmod(value.numerator, value.denominator)
    return whole + (2 * rest >= value.denominator)


@given(side=st.integers(8, 5000), scale=st.integers(11, 1000).map(lambda n: n / 10))
@example(side=1024, scale=9.7)
def test_sides(side: int, scale: float) -> None:
    low, truth = low_resolution_side(side, scale), truth_side(side, scale)
    exact = Fraction(str(scale))
    nearest = half_up(side / exact)
    assert low in {nearest, nearest - 1}
    assert truth == half_up(low * exact) <= side
    # One less only where it had to be.
    assert low == nearest or half_up(nearest * exact) > side


@pytest.mark.parametrize(
    ("side", "scale", "low", "truth"),
    [
        (256, 2, 128, 256),
        (256, 3, 85, 255),
        (257, 2, 128, 256),
        (256, 6.5, 39, 254),
        (1024, 9.7, 105, 1019),
    ],
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


def pillow(column: Array, cells: int, kernel: Image.Resampling) -> Array:
    """A column of pixels resized by Pillow, in float32."""
    picture = Image.fromarray(np.repeat(column[:, None], 3, axis=1).astype(np.float32))
    return np.asarray(picture.resize((3, cells), kernel))[:, 1]


@given(cells=st.integers(1, 60), pixels=st.integers(1, 200), seed=st.integers(0, 99))
def test_bicubic_matrix_is_pillow_s(cells: int, pixels: int, seed: int) -> None:
    column = np.random.default_rng(seed).random(pixels)
    ours = kernel_matrix("bicubic", cells, pixels) @ column
    np.testing.assert_allclose(ours, pillow(column, cells, Image.Resampling.BICUBIC), atol=1e-5)


@given(cells=st.integers(1, 40), step=st.integers(1, 9), seed=st.integers(0, 99))
def test_area_matrix_is_pillow_s_box_where_that_is_exact(cells: int, step: int, seed: int) -> None:
    column = np.random.default_rng(seed).random(cells * step)
    ours = kernel_matrix("area", cells, len(column)) @ column
    np.testing.assert_allclose(ours, pillow(column, cells, Image.Resampling.BOX), atol=1e-5)


@given(cells=st.integers(1, 40), pixels=st.integers(1, 90), seed=st.integers(0, 99))
def test_area_matrix_is_the_mean_of_what_a_cell_covers(cells: int, pixels: int, seed: int) -> None:
    column = np.random.default_rng(seed).random(pixels)
    covered = np.repeat(column, cells).reshape(cells, pixels).mean(axis=1)
    np.testing.assert_allclose(kernel_matrix("area", cells, pixels) @ column, covered)


@pytest.mark.parametrize("step", [3, 4.5, 8])
@pytest.mark.parametrize("mtf", [0.1, 0.25, 0.4])
@pytest.mark.parametrize("phase", [0.0, -0.3, 0.5])
def test_gaussian_passes_what_was_asked_at_nyquist(step: float, mtf: float, phase: float) -> None:
    """A wave of two cells, its crests on the cells' centres, comes out as high as the MTF."""
    cells = 40
    pixels = round(cells * step)
    place = (np.arange(pixels) + 0.5) / step - 0.5 - phase  # in cells, as the shifted ones count
    made = kernel_matrix("gaussian", cells, pixels, phase=phase, mtf=mtf) @ np.cos(np.pi * place)
    wave = (-1.0) ** np.arange(cells)
    np.testing.assert_allclose(made[4:-4], mtf * wave[4:-4], rtol=0.01)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("phase", [0.0, 0.37, -0.5])
@pytest.mark.parametrize(("cells", "pixels"), [(20, 80), (17, 61), (12, 95)])
def test_a_phase_moves_the_cells(kernel: Kernel, phase: float, cells: int, pixels: int) -> None:
    """The located image in one dimension: a cell's value is where it stands."""
    matrix = kernel_matrix(kernel, cells, pixels, phase=phase)
    assert matrix.shape == (cells, pixels)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    stands = (np.arange(cells) + 0.5 + phase) * pixels / cells
    # Sampled at whole pixels, a kernel's middle is true to a few hundredths of one.
    np.testing.assert_allclose((matrix @ (np.arange(pixels) + 0.5))[3:-3], stands[3:-3], atol=0.06)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_resampling_keeps_the_dtype(dtype: str) -> None:
    image = textured(1, 2, 40, 60, dtype=dtype, high=250)
    small = resampled(image, (13, 20))
    assert small.dtype == dtype
    for band, ours in zip(image, small, strict=True):
        picture = Image.fromarray(band.astype(np.float32))
        theirs = np.asarray(picture.resize((20, 13), Image.Resampling.BICUBIC))
        np.testing.assert_allclose(ours, theirs, atol=0.501 if dtype != "float32" else 1e-4)


def test_resampling_clips_and_keeps_axes() -> None:
    image = np.zeros((1, 8, 12), dtype=np.uint8)
    image[:, :, 6:] = 255
    large = resampled(image, (16, 36))
    assert large.shape == (1, 16, 36)
    assert (large == large[:, :1]).all()
    assert large.min() == 0
    assert large.max() == 255  # overshoot does not wrap around
