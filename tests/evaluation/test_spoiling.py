"""Spoiled low resolutions agree with independent computations."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.signal import convolve

from rs_superres.config import ConsistencyConfig
from rs_superres.errors import InputError
from rs_superres.evaluation.bands import Bands
from rs_superres.evaluation.protocol import Case, degrade
from rs_superres.evaluation.sources import SpoiledSource, parse_sources
from rs_superres.evaluation.spoiling import check_bands, spoil, with_quality
from rs_superres.image.radiometry import ValueRange
from rs_superres.raster import Band
from rs_superres.scene.bands import BandGroup
from rs_superres.scene.recipe import ModelSettings
from rs_superres.zoo import load
from tests.evaluation.test_protocol import case_of
from tests.rasters import Array, textured


def source(text: str) -> SpoiledSource:
    (one,) = parse_sources(text)
    return one


def spoiled(case: Case, text: str) -> Array:
    values: Array = spoil(case, source(text)).low.values
    assert values.dtype == case.low.values.dtype
    return values


@pytest.mark.parametrize(
    ("dtype", "high", "noise"), [("uint8", 255.0, 8.0), ("uint16", 9000.0, 300.0)]
)
def test_noise_is_white_and_rounded(dtype: str, high: float, noise: float) -> None:
    image = textured(1, 3, 400, 400, dtype=dtype, high=high) // 2 + np.dtype(dtype).type(high / 4)
    case = case_of(image, 2, high=high)
    added = spoiled(case, f"noise={noise:g}").astype(float) - case.low.values
    deviation = math.hypot(noise, 1 / math.sqrt(12))
    assert added.std(axis=(1, 2)) == pytest.approx(3 * [deviation], rel=0.02)
    assert abs(added.mean()) < 4 * deviation / math.sqrt(added.size)
    neighbours = [np.vdot(added[..., 1:], added[..., :-1]), np.vdot(added[1:], added[:-1])]
    assert np.abs(neighbours) / np.vdot(added, added) == pytest.approx([0, 0], abs=0.02)


def test_noise_has_one_seed_for_each_image_and_source() -> None:
    case = case_of(np.full((1, 64, 64), 128, np.uint8), 2)
    first = spoiled(case, "noise=8")
    np.testing.assert_array_equal(spoiled(case, "noise=8"), first)
    assert (spoiled(replace(case, name="other"), "noise=8") != first).any()
    assert (spoiled(case, "noise=8+mtf=0.2") != first).any()


def test_noise_is_clipped_to_the_dtype() -> None:
    case = case_of(np.full((1, 64, 64), 250, np.uint8), 2)
    values = spoiled(case, "noise=20")
    assert values.max() == 255
    assert 0.3 < (values == 255).mean() < 0.5  # a normal deviate beyond 4.5 / 20
    assert values.min() > 150


def test_floats_are_not_rounded() -> None:
    case = case_of(textured(1, 1, 64, 64, dtype="float32", high=1.0), 2, high=1.0)
    added = spoiled(case, "noise=0.01") - case.low.values
    assert added.std() == pytest.approx(0.01, rel=0.1)


def test_sharpening_is_an_unsharp_mask() -> None:
    case = case_of(textured(1, 3, 96, 96).clip(60, 190), 2)
    low = case.low.values.astype(float)
    reach = np.arange(-8, 9)
    gaussian = np.exp(-(reach**2) / 2)
    kernel = np.outer(gaussian, gaussian) / gaussian.sum() ** 2
    blurred = convolve(low, kernel[None], mode="same")
    expected = np.rint(low + 0.8 * (low - blurred)).clip(0, 255)
    difference = (spoiled(case, "sharpen=0.8") - expected)[:, 8:-8, 8:-8]
    assert np.abs(difference).max() <= 1  # a tail of a thousandth, at a half
    assert (difference == 0).mean() > 0.97


def test_jpeg_is_pillows() -> None:
    case = case_of(textured(1, 3, 96, 80), 2)
    for bands in (case.low.values, case.low.values[:1]):
        grey = len(bands) == 1
        picture = Image.fromarray(bands[0] if grey else np.moveaxis(bands, 0, 2))
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=75)
        expected = np.asarray(Image.open(file)).reshape(*picture.size[::-1], len(bands))
        one = replace(
            case, low=replace(case.low, values=bands), triplet=() if grey else case.triplet
        )
        np.testing.assert_array_equal(spoiled(one, "jpeg=75"), np.moveaxis(expected, 2, 0))


def test_jpeg_takes_the_bands_in_the_order_of_the_colours() -> None:
    case = case_of(textured(1, 3, 96, 80), 2)
    turned = replace(
        case, low=replace(case.low, values=case.low.values[::-1].copy()), triplet=(2, 1, 0)
    )
    np.testing.assert_array_equal(spoiled(turned, "jpeg=40")[::-1], spoiled(case, "jpeg=40"))


def test_mtf_is_that_of_the_kernel() -> None:
    """A wave at the low resolution's Nyquist frequency keeps a share of its amplitude."""
    wave = 0.5 + 0.4 * np.cos(np.pi * (np.arange(256) - 1.5) / 4)
    truth = np.broadcast_to(wave, (1, 256, 256)).astype(np.float32)
    low = degrade(truth, (64, 64), source("mtf=0.2").kernel(ConsistencyConfig()))
    middle = low[0, 20:44, 20:44]
    assert float(np.ptp(middle)) / 2 == pytest.approx(0.2 * 0.4, rel=0.03)


def test_several_are_applied_in_the_order_of_a_sensor() -> None:
    case = case_of(textured(1, 3, 96, 96).clip(80, 170), 2)
    both = spoiled(case, "jpeg=60+sharpen=2")
    step = replace(case, low=replace(case.low, values=spoiled(case, "sharpen=2")))
    np.testing.assert_array_equal(both, spoiled(step, "jpeg=60"))
    # Sharpening amplifies noise that was there before it.
    flat = case_of(np.full((1, 96, 96), 128, np.uint8), 2)
    assert spoiled(flat, "sharpen=2+noise=5").std() > 1.8 * spoiled(flat, "noise=5").std()


def test_invalid_pixels_stay_invalid() -> None:
    valid = np.ones((3, 96, 96), np.bool_)
    valid[:, 40:60, 40:60] = False
    case = case_of(textured(1, 3, 96, 96), 3, valid)
    result = spoil(case, source("noise=8+jpeg=75"))
    np.testing.assert_array_equal(result.low.valid, case.low.valid)
    np.testing.assert_array_equal(result.truth, case.truth)


def bands(count: int, dtype: str, colours: bool) -> Bands:
    index = tuple(range(count))
    members = [index[:3]] if colours else [(i,) for i in index]
    return Bands(
        index=index,
        bands=(Band(dtype=dtype),) * count,
        groups=tuple(BandGroup(m, ValueRange(0, 255)) for m in members),
    )


def test_jpeg_refuses_what_it_cannot_hold() -> None:
    for accepted in (bands(3, "uint8", True), bands(1, "uint8", False)):
        check_bands(source("jpeg=75"), "a.tif", accepted)
    for refused, words in (
        (bands(3, "uint16", True), "3 bands of dtype uint16"),
        (bands(1, "int16", False), "1 band of dtype int16"),
        (bands(3, "uint8", False), "3 bands of dtype uint8 that are not marked"),
        (bands(4, "uint8", True), "4 bands of dtype uint8"),
    ):
        check_bands(source("noise=8+sharpen=1"), "a.tif", refused)
        with pytest.raises(
            InputError, match=f"^spoil=jpeg=75 needs 8-bit RGB .* a.tif has {words}"
        ):
            check_bands(source("jpeg=75"), "a.tif", refused)


@pytest.fixture
def settings(tiny: str) -> ModelSettings:
    model = load(tiny)
    device = next(model.network.parameters()).device
    return ModelSettings(model=model, steps=0, precision="fp32", device=device)


def test_the_true_blur_and_noise_are_given(settings: ModelSettings) -> None:
    case = case_of(textured(1, 3, 96, 96), 2)
    clean = with_quality(settings, case, SpoiledSource())
    assert clean.mtf == pytest.approx(0.78, abs=0.03)  # what networks take bicubic for
    assert clean.noise == pytest.approx(1 / math.sqrt(12))  # of rounding
    noisy = with_quality(settings, case, source("noise=8"))
    assert noisy.mtf == clean.mtf
    assert noisy.noise == pytest.approx(math.hypot(8, 1 / math.sqrt(12)))
    blurred = source("mtf=0.2+noise=3")
    given = with_quality(settings, replace(case, kernel=blurred.kernel(case.kernel)), blurred)
    assert given.mtf == 0.2
    assert given.noise == pytest.approx(3.014, abs=0.001)
    # At half of the Nyquist frequency, the mask has the gain 1 + 0.8 (1 - 0.291).
    sharp = with_quality(settings, case, source("sharpen=0.8"))
    assert sharp.mtf == pytest.approx(0.78 * 1.567**4, rel=0.05)
    for unknown in ("jpeg=75", "sharpen=0.8+noise=3", "mtf=0.2+jpeg=75"):
        assert with_quality(settings, case, source(unknown)) == settings


def test_floats_have_no_noise_of_rounding(settings: ModelSettings) -> None:
    case = case_of(textured(1, 1, 64, 64, dtype="float32", high=1.0), 2, high=1.0)
    assert with_quality(settings, case, SpoiledSource()).noise == 0
