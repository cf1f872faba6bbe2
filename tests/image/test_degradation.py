"""Downsampling: sides that fit, kernels that agree with Pillow, and images that do not shift."""

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
    quotient, remainder = divmod(value.numerator, value.denominator)
    return quotient + (2 * remainder >= value.denominator)


@given(side=st.integers(8, 5000), scale=st.integers(11, 1000).map(lambda n: n / 10))
@example(side=1024, scale=9.7)
def test_sides_round_half_up_and_fit(side: int, scale: float) -> None:
    low, truth = low_resolution_side(side, scale), truth_side(side, scale)
    exact = Fraction(str(scale))
    nearest = half_up(side / exact)
    assert low in {nearest, nearest - 1}
    assert truth == half_up(low * exact) <= side
    # One less only if it has to be.
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
def test_side_examples(side: int, scale: float, low: int, truth: int) -> None:
    assert (low_resolution_side(side, scale), truth_side(side, scale)) == (low, truth)


def test_bicubic_is_antialiased_and_does_not_shift() -> None:
    columns = np.broadcast_to(np.arange(96, dtype=np.uint8) * 2, (3, 60, 96))
    small = bicubic(np.ascontiguousarray(columns), (20, 32))
    assert small.shape == (3, 20, 32)
    assert small.dtype == np.uint8
    # A ramp stays the same ramp: pixel i covers the pixels 3 i to 3 i + 2.
    np.testing.assert_array_equal(small[0, 0, 2:-2], 2 * (3 * np.arange(2, 30) + 1))
    stripes = np.zeros((3, 64, 64), dtype=np.uint8)
    stripes[:, :, ::2] = 200
    assert np.abs(bicubic(stripes, (16, 16))[:, :, 2:-2].astype(int) - 100).max() <= 2


def test_bicubic_treats_bands_and_axes_alike() -> None:
    image = textured(1, 3, 24, 36)
    small = bicubic(image, (12, 9))
    transposed = bicubic(np.ascontiguousarray(image.transpose(0, 2, 1)), (9, 12))
    assert np.abs(small.astype(int) - transposed.transpose(0, 2, 1)).max() <= 1
    np.testing.assert_array_equal(bicubic(np.ascontiguousarray(image[::-1]), (12, 9)), small[::-1])
    np.testing.assert_array_equal(bicubic(image, (24, 36)), image)


def pillow(column: Array, outputs: int, kernel: Image.Resampling) -> Array:
    """Resize a column of pixels with Pillow, in float32."""
    picture = Image.fromarray(np.repeat(column[:, None], 3, axis=1).astype(np.float32))
    return np.asarray(picture.resize((3, outputs), kernel))[:, 1]


@given(outputs=st.integers(1, 60), inputs=st.integers(1, 200), seed=st.integers(0, 99))
def test_bicubic_matrix_agrees_with_pillow(outputs: int, inputs: int, seed: int) -> None:
    column = np.random.default_rng(seed).random(inputs)
    ours = kernel_matrix("bicubic", outputs, inputs) @ column
    np.testing.assert_allclose(ours, pillow(column, outputs, Image.Resampling.BICUBIC), atol=1e-5)


@given(outputs=st.integers(1, 40), step=st.integers(1, 9), seed=st.integers(0, 99))
def test_area_matrix_agrees_with_pillow_at_integer_scales(
    outputs: int, step: int, seed: int
) -> None:
    """At other scales, Pillow's box filter is not exact."""
    column = np.random.default_rng(seed).random(outputs * step)
    ours = kernel_matrix("area", outputs, len(column)) @ column
    np.testing.assert_allclose(ours, pillow(column, outputs, Image.Resampling.BOX), atol=1e-5)


@given(outputs=st.integers(1, 40), inputs=st.integers(1, 90), seed=st.integers(0, 99))
def test_area_matrix_averages_the_covered_extent(outputs: int, inputs: int, seed: int) -> None:
    column = np.random.default_rng(seed).random(inputs)
    means = np.repeat(column, outputs).reshape(outputs, inputs).mean(axis=1)
    np.testing.assert_allclose(kernel_matrix("area", outputs, inputs) @ column, means)


@pytest.mark.parametrize("step", [3, 4.5, 8])
@pytest.mark.parametrize("mtf", [0.1, 0.25, 0.4])
@pytest.mark.parametrize("phase", [0.0, -0.3, 0.5])
def test_gaussian_has_the_given_mtf_at_nyquist(step: float, mtf: float, phase: float) -> None:
    """A wave of two output pixels with crests at their centres keeps the share ``mtf``."""
    outputs = 40
    inputs = round(outputs * step)
    # Positions of the input pixels, counted in output pixels from the centre of the first.
    positions = (np.arange(inputs) + 0.5) / step - 0.5 - phase
    matrix = kernel_matrix("gaussian", outputs, inputs, phase=phase, mtf=mtf)
    wave = (-1.0) ** np.arange(outputs)
    blurred = matrix @ np.cos(np.pi * positions)
    np.testing.assert_allclose(blurred[4:-4], mtf * wave[4:-4], rtol=0.01)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("phase", [0.0, 0.37, -0.5])
@pytest.mark.parametrize(("outputs", "inputs"), [(20, 80), (17, 61), (12, 95)])
def test_phase_shifts_the_output_pixels(
    kernel: Kernel, phase: float, outputs: int, inputs: int
) -> None:
    """If each input pixel holds its position, each output pixel does too."""
    matrix = kernel_matrix(kernel, outputs, inputs, phase=phase)
    assert matrix.shape == (outputs, inputs)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    centres = (np.arange(outputs) + 0.5 + phase) * inputs / outputs
    # A kernel sampled at pixel centres has its own centre to within a few hundredths of a pixel.
    resampled_positions = matrix @ (np.arange(inputs) + 0.5)
    np.testing.assert_allclose(resampled_positions[3:-3], centres[3:-3], atol=0.06)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_resampled_keeps_the_dtype_and_agrees_with_pillow(dtype: str) -> None:
    image = textured(1, 2, 40, 60, dtype=dtype, high=250)
    small = resampled(image, (13, 20))
    assert small.dtype == dtype
    for band, ours in zip(image, small, strict=True):
        picture = Image.fromarray(band.astype(np.float32))
        theirs = np.asarray(picture.resize((20, 13), Image.Resampling.BICUBIC))
        np.testing.assert_allclose(ours, theirs, atol=0.501 if dtype != "float32" else 1e-4)


def test_resampled_clips_overshoot_and_keeps_axes() -> None:
    image = np.zeros((1, 8, 12), dtype=np.uint8)
    image[:, :, 6:] = 255
    large = resampled(image, (16, 36))
    assert large.shape == (1, 16, 36)
    assert (large == large[:, :1]).all()
    assert large.min() == 0
    assert large.max() == 255
