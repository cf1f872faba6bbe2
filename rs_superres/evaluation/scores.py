"""Compute all metrics of one result.

Metrics that need a peak count values from the low end of their band's value range, in units of
its width, so that bands and rasters of all dtypes are comparable.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.sparse import csr_array

from rs_superres.config import ConsistencyConfig
from rs_superres.evaluation.lpips import Lpips
from rs_superres.evaluation.measures import (
    detail_shares,
    ergas,
    measure_shift,
    spectral_angle,
    ssim,
)
from rs_superres.evaluation.protocol import Case
from rs_superres.evaluation.texture import texture
from rs_superres.grid import AxisMapping
from rs_superres.image.consistency import footprints
from rs_superres.image.statistics import psnr
from rs_superres.types import Doubles, Valid, Values

PERFECT_PSNR = 100.0
"""The PSNR of identical images, dB; infinity would make every mean infinite."""


def scores(case: Case, image: Values, bicubic: Values, lpips: Lpips | None) -> dict[str, float]:
    """Compute every metric of a result; NaN for metrics that do not apply.

    Args:
        case: the truth and its low resolution.
        image: the result, (band, y, x) digital numbers.
        bicubic: the interpolated low resolution, (band, y, x) digital numbers.
        lpips: the network, if its backbone is available.
    """
    lows, widths = (x[:, None, None] for x in (case.lows, case.widths))
    result, truth, interpolated = (
        (np.where(case.valid, v.astype(np.float64), case.truth) - lows) / widths
        for v in (image, case.truth, bicubic)
    )
    bands = list(case.triplet) or list(range(len(truth)))
    band_ssim = [ssim(a, b, case.valid) for a, b in zip(result, truth, strict=True)]
    right, down = measure_shift(result[bands].mean(axis=0), truth[bands].mean(axis=0), case.valid)
    detail = detail_shares(result, truth, interpolated, case.valid)
    valid_image, valid_truth = image[:, case.valid], case.truth[:, case.valid]
    metrics = {
        "psnr": _psnr(result[bands], truth[bands], case.valid),
        "ssim": float(np.mean([band_ssim[i] for i in bands])),
        "sam": spectral_angle(valid_image, valid_truth),
        "ergas": ergas(valid_image, valid_truth, case.zoom.scale),
        "lpips": _lpips(case, result, truth, lpips),
        "consistency": 100 * low_resolution_difference(case, image),
        "shift": float(np.hypot(right, down)),
        "shift_right": right,
        "shift_down": down,
        **{name: 100 * share for name, share in detail._asdict().items()},
        **texture(result, truth, case.valid, case.triplet, case.scale),
    }
    for band in range(len(truth)):
        metrics[f"psnr_{band + 1}"] = _psnr(result[band], truth[band], case.valid)
        metrics[f"ssim_{band + 1}"] = band_ssim[band]
    return metrics


def _psnr(image: Doubles, truth: Doubles, valid: Valid) -> float:
    """Return the PSNR over the valid pixels, dB, for images in units of the value range."""
    if valid.all():
        return min(PERFECT_PSNR, psnr(image, truth, 1.0))
    return min(PERFECT_PSNR, psnr(image[..., valid], truth[..., valid], 1.0))


def low_resolution_difference(case: Case, image: Values) -> float:
    """Return the RMS of the downsampled result minus the low resolution, as a share of the range.

    Args:
        case: the low resolution, and the kernel that downsamples the result.
        image: the result, (band, y, x) digital numbers.

    Returns:
        NaN if no low-resolution pixel can be compared.
    """
    low, valid = case.low, case.valid
    rows, columns = (_weights(case.kernel, axis) for axis in (case.zoom.rows, case.zoom.columns))
    # The weights of a pixel that the result does not cover are 0.
    usable = np.logical_and.outer(rows.sum(axis=1) > 0.5, columns.sum(axis=1) > 0.5)
    usable &= low.valid.all(axis=0)
    if not valid.all():
        usable &= _downsample(abs(rows), (~valid).astype(np.float64), abs(columns)) == 0
    if not usable.any():
        return float("nan")
    differences = [
        (_downsample(rows, np.where(valid, band.astype(np.float64), 0.0), columns) - low_band)
        / width
        for band, low_band, width in zip(image, low.values, case.widths, strict=True)
    ]
    return float(np.sqrt((np.stack(differences)[:, usable] ** 2).mean()))


@lru_cache(maxsize=64)  # images of one size share their weights
def _weights(kernel: ConsistencyConfig, axis: AxisMapping) -> csr_array:
    """Return the weights that downsample a result along one axis, (source pixel, output pixel)."""
    return csr_array(footprints(kernel, axis, range(axis.size), range(axis.source)))


def _downsample(rows: csr_array, band: Doubles, columns: csr_array) -> Doubles:
    """Downsample one band, (y, x), by weights along both axes."""
    downsampled: Doubles = (columns @ (rows @ band).T).T
    return downsampled


def _lpips(case: Case, result: Doubles, truth: Doubles, lpips: Lpips | None) -> float:
    """Return the LPIPS of the triplet; the ends of its value range count as black and white."""
    if lpips is None or not case.triplet:
        return float("nan")
    triplet = list(case.triplet)
    return lpips.distance(2 * result[triplet] - 1, 2 * truth[triplet] - 1)
