"""Metrics agree with torchmetrics and with known differences."""

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

from rs_superres.evaluation.metrics import METRICS
from rs_superres.evaluation.protocol import interpolate
from rs_superres.evaluation.scores import PERFECT_PSNR, scores
from tests.evaluation.test_protocol import case_of
from tests.rasters import Array, textured


def tensor(image: Array) -> torch.Tensor:
    return torch.from_numpy(image.astype(np.float64))[None]


def inner_ssim(one: torch.Tensor, two: torch.Tensor, high: float) -> float:
    """Return the SSIM without the border, where torchmetrics pads the image."""
    _, index = structural_similarity_index_measure(
        one, two, data_range=high, return_full_image=True
    )
    return float(index[..., 5:-5, 5:-5].mean())


@pytest.mark.parametrize(
    ("bands", "dtype", "high"), [(3, "uint8", 255.0), (5, "uint16", 4000.0), (4, "float32", 1.0)]
)
def test_metrics_agree_with_torchmetrics(bands: int, dtype: str, high: float) -> None:
    image = textured(1, bands, 64, 80, dtype=dtype, high=high)
    case = case_of(image, 2, high=high)
    bicubic = interpolate(case)
    metrics = scores(case, bicubic, bicubic, None)
    result, truth = tensor(bicubic), tensor(image)
    assert metrics["psnr"] == pytest.approx(
        float(peak_signal_noise_ratio(result, truth, data_range=high)), abs=1e-3
    )
    assert metrics["ssim"] == pytest.approx(inner_ssim(result, truth, high), abs=1e-5)
    angle = math.degrees(float(spectral_angle_mapper(result, truth)))
    assert metrics["sam"] == pytest.approx(angle, abs=1e-3)
    synthesis = error_relative_global_dimensionless_synthesis(result, truth, ratio=2)
    assert metrics["ergas"] == pytest.approx(float(synthesis), rel=1e-3)
    for band in range(bands):
        single = inner_ssim(result[:, [band]], truth[:, [band]], high)
        assert metrics[f"ssim_{band + 1}"] == pytest.approx(single, abs=1e-5)
    assert set(METRICS) <= set(metrics)


def test_values_far_from_zero_score_as_those_near_it() -> None:
    """float32 and differences of squares would lose all digits 300 widths from zero."""
    image = textured(1, 2, 64, 80, dtype="float64", high=10.0)
    near, far = case_of(image, 2, high=10.0), case_of(image + 3000, 2, high=3010.0, low=3000.0)
    bicubic = interpolate(near)
    one = scores(near, bicubic, bicubic, None)
    two = scores(far, bicubic + 3000, bicubic + 3000, None)
    for metric in ("psnr", "ssim", "ssim_2", "consistency", "improvement"):
        assert two[metric] == pytest.approx(one[metric], abs=1e-6)


def test_a_perfect_result_has_perfect_scores() -> None:
    case = case_of(textured(1, 3, 64, 64), 4)
    metrics = scores(case, case.truth, interpolate(case), None)
    assert metrics["psnr"] == PERFECT_PSNR
    assert metrics["ssim"] == pytest.approx(1)
    assert metrics["sam"] == pytest.approx(0, abs=1e-4)
    assert (metrics["ergas"], metrics["shift"]) == (0, 0)
    assert metrics["improvement"] == 100
    assert metrics["consistency"] < 0.3  # the rounding of eight bits
    assert math.isnan(metrics["lpips"])


def test_invalid_pixels_do_not_count() -> None:
    image = textured(1, 3, 96, 96)
    valid = np.ones(image.shape, dtype=np.bool_)
    valid[:, 40:60, 40:60] = False
    case = case_of(image, 3, valid)
    result = np.where(case.valid, case.truth, 255 - case.truth)
    one, two = (scores(case, m, interpolate(case), None) for m in (case.truth, result))
    assert one == pytest.approx(two, nan_ok=True)
    assert two["psnr"] == PERFECT_PSNR


def test_consistency_is_the_difference_from_the_low_resolution() -> None:
    """A result that is brighter by 5 differs by 5; bicubic blurs, so it differs too."""
    case = case_of(textured(1, 3, 64, 64).clip(10, 240), 2)
    bicubic = interpolate(case)
    brighter = scores(case, case.truth.astype(np.uint8) + np.uint8(5), bicubic, None)
    assert brighter["consistency"] == pytest.approx(100 * 5 / 255, abs=0.05)
    assert scores(case, bicubic, bicubic, None)["consistency"] > 0.3


def test_undefined_metrics_are_nan() -> None:
    height = textured(1, 1, 64, 64, dtype="float32", high=100.0) - 80
    case = case_of(height, 2, high=100.0)
    metrics = scores(case, interpolate(case), interpolate(case), None)
    assert math.isnan(metrics["ergas"])  # a mean below 0
    assert math.isnan(metrics["sam"])  # one band has no angle
    flat = case_of(np.full((1, 64, 64), 7, np.uint8), 2)
    flat_metrics = scores(flat, interpolate(flat), interpolate(flat), None)
    assert math.isnan(flat_metrics["shift"])
    assert math.isnan(flat_metrics["omission"])
