"""Distances between two images, as pure functions on arrays.

SSIM and the correlation are scikit-image's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from skimage.metrics import structural_similarity
from skimage.registration import phase_cross_correlation

from rs_superres.image.radiometry import eroded
from rs_superres.types import Doubles, Valid, Values

WINDOW = 5
"""Pixels on either side that SSIM's Gaussian window sees."""

FINE = 50
"""Parts of a pixel that a shift is told in."""


def similarity(image: Doubles, truth: Doubles, valid: Valid) -> float:
    """SSIM of one band, (y, x), with the Gaussian window of Wang et al. (2004), peak 1.

    Values lie about 0 to 1: scikit-image takes variances as differences of squares, which leave
    nothing of values that are far from 0.
    """
    _, index = structural_similarity(
        truth,
        image,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    inner = np.s_[WINDOW:-WINDOW, WINDOW:-WINDOW]
    counted = eroded(valid, WINDOW)[inner]
    return float(index[inner][counted].mean()) if counted.any() else float("nan")


def spectral_angle(image: Values, truth: Values) -> float:
    """The mean angle between spectra, (band, pixel), degrees; no number of a single band."""
    if len(truth) < 2:
        return float("nan")
    a, b = image.astype(np.float64), truth.astype(np.float64)
    lengths = np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0)
    there = lengths > 0
    cosine = (a * b).sum(axis=0)[there] / lengths[there]
    return float(np.degrees(np.arccos(cosine.clip(-1, 1))).mean()) if there.any() else float("nan")


def ergas(image: Values, truth: Values, scale: float) -> float:
    """The relative global error (Wald 2000) of (band, pixel), per cent over the scale.

    No number where a band's mean is 0 or below: then it means nothing.
    """
    a, b = image.astype(np.float64), truth.astype(np.float64)
    means = b.mean(axis=1)
    if (means <= 0).any():
        return float("nan")
    relative = ((a - b) ** 2).mean(axis=1) / means**2
    return float(100 / scale * np.sqrt(relative.mean()))


def shift(image: Doubles, truth: Doubles, valid: Valid) -> tuple[float, float]:
    """How far to the right and down a result, (y, x), lies off, by sub-pixel correlation."""
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in valid.shape)) * valid
    if not window.any():
        return float("nan"), float("nan")
    parts = [(v - np.average(v, weights=window)) * window for v in (truth, image)]
    if min(np.ptp(p) for p in parts) < 1e-9:  # flat, but for rounding
        return float("nan"), float("nan")
    found, _, _ = phase_cross_correlation(*parts, upsample_factor=FINE, normalization=None)
    return -float(found[1]), -float(found[0])


CAUTION = 0.05
"""L: what the framework takes by default."""

THRESHOLD = 0.02
"""Share of the value range: pixels at which none of the three images differs by more hold no
detail to judge."""


class Detail(NamedTuple):
    """Shares of the pixels that hold detail; they sum to 1, no numbers where none does."""

    improvement: float
    omission: float
    hallucination: float


def detail(image: Doubles, truth: Doubles, plain: Doubles, valid: Valid) -> Detail:
    """Count pixels by what became of their detail.

    Args:
        image: (band, y, x), in units of the value range.
        truth: the same place.
        plain: the low resolution, interpolated.
        valid: (y, x).
    """
    reference, apart, kept = (
        np.abs(a - b).mean(axis=0)[valid]
        for a, b in ((plain, truth), (image, truth), (image, plain))
    )
    judged = np.maximum(np.maximum(reference, apart), kept) > THRESHOLD
    if not judged.any():
        return Detail(np.nan, np.nan, np.nan)
    # Where the truth has no detail of its own, a thousandth of the range stands for it.
    floor = np.maximum(reference[judged], 1e-3)
    im, om = apart[judged] / floor, kept[judged] / floor
    beyond = 1 - np.exp(-CAUTION * (im + om - 1))
    scores = np.stack([im + om * beyond, om + im * beyond, np.exp(-CAUTION * im * om)])
    kinds = np.bincount(scores.argmin(axis=0), minlength=3) / scores.shape[1]
    return Detail(*(float(k) for k in kinds))
