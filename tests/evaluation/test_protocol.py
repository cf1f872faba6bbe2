"""Crops, degradations and holes of the cases that are compared."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from rs_superres.config import ConsistencyConfig
from rs_superres.evaluation.bands import Bands
from rs_superres.evaluation.protocol import Case, degrade, interpolate, make_case
from rs_superres.evaluation.scores import scores
from rs_superres.image.degradation import kernel_matrix
from rs_superres.image.radiometry import ValueRange
from rs_superres.raster import Band
from rs_superres.scene.bands import BandGroup
from tests.rasters import Array, textured

BICUBIC = ConsistencyConfig()


def case_of(
    image: Array,
    scale: float,
    valid: Array | None = None,
    high: float = 255.0,
    low: float = 0.0,
) -> Case:
    """Return the case of an image; three bands are red, green and blue."""
    index = tuple(range(len(image)))
    value_range = ValueRange(low, high)
    members = [index] if len(image) == 3 else [(i,) for i in index]
    bands = Bands(
        index=index,
        bands=(Band(dtype=image.dtype.name),) * len(image),
        groups=tuple(BandGroup(m, value_range) for m in members),
    )
    if valid is None:
        valid = np.ones(image.shape, dtype=np.bool_)
    return make_case("image", bands, (image, valid), scale, BICUBIC)


@pytest.mark.parametrize("scale", [2, 3, 6.5])
def test_the_truth_is_cropped_to_what_the_low_resolution_covers(scale: float) -> None:
    case = case_of(textured(1, 3, 97, 120), scale)
    for side, low_side, truth_side in zip(
        (97, 120), case.low.values.shape[1:], case.truth.shape[1:], strict=True
    ):
        assert truth_side == math.floor(low_side * scale + 0.5) <= side
        assert side - truth_side <= math.ceil(scale)
    assert case.valid.all()


@pytest.mark.parametrize("scale", [2, 3.5, 8])
def test_the_psnr_of_bicubic_agrees_with_pillow_and_numpy(scale: float) -> None:
    """The reference uses none of our code, so it checks the entire pipeline."""
    image = textured(3, 3, 112, 168)
    height, width = (math.floor(math.floor(s / scale + 0.5) * scale + 0.5) for s in (112, 168))
    truth = Image.fromarray(image.transpose(1, 2, 0)[:height, :width])
    low = truth.resize((round(width / scale), round(height / scale)), Image.Resampling.BICUBIC)
    upscaled = np.asarray(low.resize(truth.size, Image.Resampling.BICUBIC), dtype=float)
    error = ((upscaled - np.asarray(truth, dtype=float)) ** 2).mean()
    case = case_of(image, scale)
    bicubic = interpolate(case)
    assert scores(case, bicubic, bicubic, None)["psnr"] == pytest.approx(
        10 * math.log10(255**2 / error), abs=0.01
    )


@pytest.mark.parametrize(
    "kernel", [ConsistencyConfig(kernel="area"), ConsistencyConfig(kernel="gaussian", mtf=0.1)]
)
def test_other_kernels_are_linear_and_separable(kernel: ConsistencyConfig) -> None:
    image = textured(1, 2, 30, 45, dtype="uint16", high=9000)
    rows = kernel_matrix(kernel.kernel, 10, 30, mtf=kernel.mtf)
    columns = kernel_matrix(kernel.kernel, 15, 45, mtf=kernel.mtf)
    expected = np.rint(np.einsum("ij,bjk,lk->bil", rows, image.astype(float), columns))
    np.testing.assert_array_equal(degrade(image, (10, 15), kernel), expected.astype(np.uint16))


def test_values_in_holes_have_no_effect() -> None:
    image = textured(1, 3, 96, 96)
    valid = np.ones(image.shape, dtype=np.bool_)
    valid[:, 30:50, 40:70] = False
    other = np.where(valid, image, 255 - image)
    one, two = (case_of(i, 3, valid) for i in (image, other))
    np.testing.assert_array_equal(one.low.values, two.low.values)
    np.testing.assert_array_equal(one.low.valid, two.low.valid)
    np.testing.assert_array_equal(one.truth, two.truth)
    assert not one.valid[30:50, 40:70].any()
    assert not one.low.valid[:, 10:16, 14:23].any()
    assert one.valid[:20].all()
    # A low-resolution pixel whose kernel touches a hole is invalid too.
    assert 0.8 < one.valid.mean() < 1 - 20 * 30 / 96**2
    assert interpolate(one).shape == image.shape
