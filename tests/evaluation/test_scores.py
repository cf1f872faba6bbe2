"""Metrics, against torchmetrics, and against what was put in."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import (
    error_relative_global_dimensionless_synthesis,
    peak_signal_noise_ratio,
    spectral_angle_mapper,
    structural_similarity_index_measure,
)

from rs_superres.evaluation.figures import FIGURES
from rs_superres.evaluation.protocol import interpolated
from rs_superres.evaluation.scores import PERFECT, scores
from tests.evaluation.test_protocol import case_of
from tests.rasters import Array, textured


def tensor(image: Array) -> torch.Tensor:
    return torch.from_numpy(image.astype(np.float64))[None]


def inner_similarity(one: torch.Tensor, two: torch.Tensor, high: float) -> float:
    """Without the border, for which torchmetrics makes pixels up."""
    _, index = structural_similarity_index_measure(
        one, two, data_range=high, return_full_image=True
    )
    return float(index[..., 5:-5, 5:-5].mean())


@pytest.mark.parametrize(
    ("bands", "dtype", "high"), [(3, "uint8", 255.0), (5, "uint16", 4000.0), (4, "float32", 1.0)]
)
def test_against_torchmetrics(bands: int, dtype: str, high: float) -> None:
    image = textured(1, bands, 64, 80, dtype=dtype, high=high)
    case = case_of(image, 2, high=high)
    plain = interpolated(case)
    found = scores(case, plain, plain, None)
    one, two = tensor(plain), tensor(image)
    assert found["psnr"] == pytest.approx(
        float(peak_signal_noise_ratio(one, two, data_range=high)), abs=1e-3
    )
    assert found["ssim"] == pytest.approx(inner_similarity(one, two, high), abs=1e-5)
    angle = math.degrees(float(spectral_angle_mapper(one, two)))
    assert found["sam"] == pytest.approx(angle, abs=1e-3)
    synthesis = error_relative_global_dimensionless_synthesis(one, two, ratio=2)
    assert found["ergas"] == pytest.approx(float(synthesis), rel=1e-3)
    for band in range(bands):
        single = inner_similarity(one[:, [band]], two[:, [band]], high)
        assert found[f"ssim_{band + 1}"] == pytest.approx(single, abs=1e-5)
    assert set(FIGURES) <= set(found)


def test_values_far_from_zero_score_as_those_near_it() -> None:
    """Of a range 300 widths from zero: float32 and differences of squares would leave nothing."""
    image = textured(1, 2, 64, 80, dtype="float64", high=10.0)
    near, far = case_of(image, 2, high=10.0), case_of(image + 3000, 2, high=3010.0, low=3000.0)
    plain = interpolated(near)
    one, two = scores(near, plain, plain, None), scores(far, plain + 3000, plain + 3000, None)
    for metric in ("psnr", "ssim", "ssim_2", "consistency", "improvement"):
        assert two[metric] == pytest.approx(one[metric], abs=1e-6)


def test_a_perfect_result() -> None:
    case = case_of(textured(1, 3, 64, 64), 4)
    found = scores(case, case.truth, interpolated(case), None)
    assert found["psnr"] == PERFECT
    assert found["ssim"] == pytest.approx(1)
    assert found["sam"] == pytest.approx(0, abs=1e-4)
    assert (found["ergas"], found["shift"]) == (0, 0)
    assert found["improvement"] == 100
    assert found["consistency"] < 0.3  # the rounding of eight bits
    assert math.isnan(found["lpips"])


def test_what_is_not_valid_does_not_count() -> None:
    image = textured(1, 3, 96, 96)
    valid = np.ones(image.shape, dtype=np.bool_)
    valid[:, 40:60, 40:60] = False
    case = case_of(image, 3, valid)
    made = np.where(case.valid, case.truth, 255 - case.truth)
    one, two = (scores(case, m, interpolated(case), None) for m in (case.truth, made))
    assert one == pytest.approx(two, nan_ok=True)
    assert two["psnr"] == PERFECT


def test_differences_to_the_low_resolution() -> None:
    """Brought back, a result that is brighter by 5 is 5 off; bicubic blurs the source."""
    case = case_of(textured(1, 3, 64, 64).clip(10, 240), 2)
    plain = interpolated(case)
    brighter = scores(case, case.truth.astype(np.uint8) + np.uint8(5), plain, None)["consistency"]
    assert brighter == pytest.approx(100 * 5 / 255, abs=0.05)
    assert scores(case, plain, plain, None)["consistency"] > 0.3


def test_metrics_that_mean_nothing() -> None:
    height = textured(1, 1, 64, 64, dtype="float32", high=100.0) - 80
    case = case_of(height, 2, high=100.0)
    found = scores(case, interpolated(case), interpolated(case), None)
    assert math.isnan(found["ergas"])  # a mean below 0
    assert math.isnan(found["sam"])  # one band has no angle
    flat = case_of(np.full((1, 64, 64), 7, np.uint8), 2)
    still = scores(flat, interpolated(flat), interpolated(flat), None)
    assert math.isnan(still["shift"])
    assert math.isnan(still["omission"])
