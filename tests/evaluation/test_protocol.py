"""What is compared: crops, degradations, holes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from rs_superres.config import ConsistencyConfig
from rs_superres.evaluation.bands import Bands
from rs_superres.evaluation.protocol import Case, degraded, interpolated, shrunk
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
    """Of bands that are red, green and blue if there are three."""
    index = tuple(range(len(image)))
    value_range = ValueRange(low, high)
    members = [index] if len(image) == 3 else [(i,) for i in index]
    bands = Bands(
        index=index,
        bands=(Band(dtype=image.dtype.name),) * len(image),
        groups=tuple(BandGroup(m, value_range) for m in members),
        alpha=(),
    )
    there = np.ones(image.shape, dtype=np.bool_) if valid is None else valid
    return shrunk("made", bands, (image, there), scale, BICUBIC)


@pytest.mark.parametrize("scale", [2, 3, 6.5])
def test_the_truth_is_cropped_to_what_the_low_resolution_covers(scale: float) -> None:
    case = case_of(textured(1, 3, 97, 120), scale)
    h, w = case.low.values.shape[1:]
    for side, low, true in ((97, h, case.truth.shape[1]), (120, w, case.truth.shape[2])):
        assert true == math.floor(low * scale + 0.5) <= side
        assert side - true <= math.ceil(scale)
    assert case.valid.all()


@pytest.mark.parametrize("scale", [2, 3.5, 8])
def test_bicubic_scores_as_by_pillow_and_numpy_alone(scale: float) -> None:
    """Nothing of ours in the second figure: an oracle of the whole pipeline."""
    image = textured(3, 3, 112, 168)
    height, width = (math.floor(math.floor(s / scale + 0.5) * scale + 0.5) for s in (112, 168))
    truth = Image.fromarray(image.transpose(1, 2, 0)[:height, :width])
    small = truth.resize((round(width / scale), round(height / scale)), Image.Resampling.BICUBIC)
    again = np.asarray(small.resize(truth.size, Image.Resampling.BICUBIC), dtype=float)
    error = ((again - np.asarray(truth, dtype=float)) ** 2).mean()
    case = case_of(image, scale)
    plain = interpolated(case)
    assert scores(case, plain, plain, None)["psnr"] == pytest.approx(
        10 * math.log10(255**2 / error), abs=0.01
    )


@pytest.mark.parametrize(
    "kernel", [ConsistencyConfig(kernel="area"), ConsistencyConfig(kernel="gaussian", mtf=0.1)]
)
def test_other_kernels(kernel: ConsistencyConfig) -> None:
    image = textured(1, 2, 30, 45, dtype="uint16", high=9000)
    rows = kernel_matrix(kernel.kernel, 10, 30, mtf=kernel.mtf)
    columns = kernel_matrix(kernel.kernel, 15, 45, mtf=kernel.mtf)
    wanted = np.rint(np.einsum("ij,bjk,lk->bil", rows, image.astype(float), columns))
    np.testing.assert_array_equal(degraded(image, (10, 15), kernel), wanted.astype(np.uint16))


def test_what_a_hole_holds_reaches_nothing() -> None:
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
    # A cell whose kernel touches a hole is not valid: nothing is made of what was filled in.
    assert 0.8 < one.valid.mean() < 1 - 20 * 30 / 96**2
    assert interpolated(one).shape == image.shape
