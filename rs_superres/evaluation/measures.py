"""Metrics of an image against its truth, as pure functions on arrays.

SSIM and the sub-pixel correlation are scikit-image's. The shares of detail follow opensr-test
(Aybar et al. 2024).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rs_superres.image.radiometry import eroded
from rs_superres.system.extras import needed_for
from rs_superres.types import Doubles, Valid, Values

PURPOSE = "an evaluation"
"""What needs scikit-image."""

SSIM_RADIUS = 5
"""Pixels on either side of a pixel that SSIM's Gaussian window covers."""

SHIFT_STEPS = 50
"""Steps per pixel in which a shift is measured."""

DETAIL_WEIGHT = 0.05
"""The weight L of the detail scores, the framework's default."""

DETAIL_THRESHOLD = 0.02
"""Share of the value range: pixels at which no two of the three images differ by more hold no
detail."""

DETAIL_FLOOR = 1e-3
"""Share of the value range: the least detail of the truth that the distances are divided by."""


def check_packages() -> None:
    """Refuse an evaluation, before it starts, if scikit-image is not installed.

    Raises:
        MissingPackageError: it is not.
    """
    with needed_for(PURPOSE):
        import skimage.metrics  # noqa: F401, PLC0415 (optional)


def ssim(image: Doubles, truth: Doubles, valid: Valid) -> float:
    """Return the SSIM of one band, with the Gaussian window of Wang et al. (2004) and peak 1.

    Args:
        image: (y, x), about 0 to 1. scikit-image computes variances as differences of squares,
            which loses all precision for values far from 0.
        truth: (y, x), in the same units.
        valid: (y, x); pixels whose window contains an invalid pixel do not count.

    Returns:
        NaN if no pixel counts.
    """
    with needed_for(PURPOSE):
        from skimage.metrics import structural_similarity  # noqa: PLC0415 (optional)

    _, index = structural_similarity(
        truth,
        image,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    inner = np.s_[SSIM_RADIUS:-SSIM_RADIUS, SSIM_RADIUS:-SSIM_RADIUS]
    counted = eroded(valid, SSIM_RADIUS)[inner]
    return float(index[inner][counted].mean()) if counted.any() else float("nan")


def spectral_angle(image: Values, truth: Values) -> float:
    """Return the mean angle between the spectra of two images, degrees.

    Args:
        image: (band, pixel).
        truth: (band, pixel).

    Returns:
        NaN for a single band, or if all spectra are zero.
    """
    if len(truth) < 2:
        return float("nan")
    a, b = image.astype(np.float64), truth.astype(np.float64)
    lengths = np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0)
    nonzero = lengths > 0
    if not nonzero.any():
        return float("nan")
    cosine = (a * b).sum(axis=0)[nonzero] / lengths[nonzero]
    return float(np.degrees(np.arccos(cosine.clip(-1, 1))).mean())


def ergas(image: Values, truth: Values, scale: float) -> float:
    """Return the relative global error (Wald 2000), per cent divided by the scale.

    Args:
        image: (band, pixel).
        truth: (band, pixel).
        scale: the factor between low and high resolution.

    Returns:
        NaN if a band's mean is 0 or less, where the error is not defined.
    """
    a, b = image.astype(np.float64), truth.astype(np.float64)
    means = b.mean(axis=1)
    if (means <= 0).any():
        return float("nan")
    relative = ((a - b) ** 2).mean(axis=1) / means**2
    return float(100 / scale * np.sqrt(relative.mean()))


def measure_shift(image: Doubles, truth: Doubles, valid: Valid) -> tuple[float, float]:
    """Measure how far an image is shifted against its truth, by sub-pixel correlation.

    Args:
        image: (y, x).
        truth: (y, x).
        valid: (y, x); other pixels do not count.

    Returns:
        The shift to the right and down, pixels; NaN for images without texture.
    """
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in valid.shape)) * valid
    if not window.any():
        return float("nan"), float("nan")
    tapered = [(v - np.average(v, weights=window)) * window for v in (truth, image)]
    if min(np.ptp(t) for t in tapered) < 1e-9:  # flat except for rounding errors
        return float("nan"), float("nan")
    with needed_for(PURPOSE):
        from skimage.registration import phase_cross_correlation  # noqa: PLC0415 (optional)

    (down, right), _, _ = phase_cross_correlation(
        *tapered, upsample_factor=SHIFT_STEPS, normalization=None
    )
    return -float(right), -float(down)


class Detail(NamedTuple):
    """Shares of the pixels with detail, with the sum 1; NaN if no pixel has detail."""

    improvement: float
    """Share of pixels that are close to the truth."""
    omission: float
    """Share of pixels that are close to the interpolated low resolution."""
    hallucination: float
    """Share of pixels that are close to neither."""


def detail_shares(image: Doubles, truth: Doubles, bicubic: Doubles, valid: Valid) -> Detail:
    """Classify the pixels by what became of their detail (Aybar et al. 2024).

    Args:
        image: the result, (band, y, x), in units of the value range.
        truth: the truth, in the same shape and units.
        bicubic: the interpolated low resolution, in the same shape and units.
        valid: (y, x); other pixels do not count.
    """
    truth_detail, to_truth, to_bicubic = (
        np.abs(a - b).mean(axis=0)[valid]
        for a, b in ((bicubic, truth), (image, truth), (image, bicubic))
    )
    has_detail = np.maximum(np.maximum(truth_detail, to_truth), to_bicubic) > DETAIL_THRESHOLD
    if not has_detail.any():
        return Detail(np.nan, np.nan, np.nan)
    floor = np.maximum(truth_detail[has_detail], DETAIL_FLOOR)
    # The framework's symbols: distances of improvement and of omission.
    im, om = to_truth[has_detail] / floor, to_bicubic[has_detail] / floor
    beyond = 1 - np.exp(-DETAIL_WEIGHT * (im + om - 1))
    scores = np.stack([im + om * beyond, om + im * beyond, np.exp(-DETAIL_WEIGHT * im * om)])
    shares = np.bincount(scores.argmin(axis=0), minlength=3) / scores.shape[1]
    return Detail(*(float(share) for share in shares))
