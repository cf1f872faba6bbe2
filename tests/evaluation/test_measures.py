"""Shifts and shares of detail whose values are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import fourier_shift

from rs_superres.evaluation.measures import DETAIL_WEIGHT, detail_shares, measure_shift
from tests.rasters import Array, textured


@pytest.mark.parametrize(("right", "down"), [(0.3, 0.0), (-0.62, 0.4), (2.5, -1.25)])
def test_a_known_shift_is_measured(right: float, down: float) -> None:
    image = textured(1, 1, 128, 128)[0].astype(np.float64)
    moved = np.fft.ifftn(fourier_shift(np.fft.fftn(image), (down, right))).real
    measured = measure_shift(moved, image, np.ones(image.shape, dtype=np.bool_))
    assert measured == pytest.approx((right, down), abs=0.06)


TRUTH = np.random.default_rng(0).normal(0.5, 0.2, (2, 40, 40))
SMOOTH = TRUTH.mean(axis=(1, 2), keepdims=True) + np.zeros_like(TRUTH)
EVERYWHERE = np.ones((40, 40), dtype=np.bool_)


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (TRUTH, "improvement"),
        (SMOOTH, "omission"),
        (SMOOTH + 0.9 * (TRUTH - SMOOTH), "improvement"),
        (SMOOTH + 0.1 * (TRUTH - SMOOTH), "omission"),
        (SMOOTH - (TRUTH - SMOOTH), "hallucination"),
        (SMOOTH + 3 * np.abs(TRUTH - SMOOTH).max(), "hallucination"),
    ],
)
def test_extreme_results_are_of_one_kind(image: Array, kind: str) -> None:
    shares = detail_shares(image, TRUTH, SMOOTH, EVERYWHERE)
    assert shares._asdict()[kind] == pytest.approx(1, abs=0.02)
    assert sum(shares) == pytest.approx(1)


def test_shares_of_detail_follow_the_equations_of_the_framework() -> None:
    image = TRUTH + np.random.default_rng(1).normal(0, 0.15, TRUTH.shape)
    counts = {"im": 0, "om": 0, "ha": 0}
    for y in range(40):
        for x in range(40):
            sr, hr, lr = image[:, y, x], TRUTH[:, y, x], SMOOTH[:, y, x]
            ref, d_im, d_om = (
                float(np.abs(a - b).mean()) for a, b in ((lr, hr), (sr, hr), (sr, lr))
            )
            if max(ref, d_im, d_om) <= 0.02:
                continue
            d_im, d_om = d_im / max(ref, 1e-3), d_om / max(ref, 1e-3)
            h = d_im + d_om - 1
            kinds = {
                "im": d_im + d_om * (1 - np.exp(-h * DETAIL_WEIGHT)),
                "om": d_om + d_im * (1 - np.exp(-h * DETAIL_WEIGHT)),
                "ha": np.exp(-d_im * d_om * DETAIL_WEIGHT),
            }
            counts[min(kinds, key=lambda k: kinds[k])] += 1
    shares = detail_shares(image, TRUTH, SMOOTH, EVERYWHERE)
    total = sum(counts.values())
    assert shares == pytest.approx(tuple(c / total for c in counts.values()))
    assert min(counts.values()) > 0


def test_only_valid_pixels_with_detail_are_judged() -> None:
    assert np.isnan(detail_shares(SMOOTH, SMOOTH, SMOOTH, EVERYWHERE)).all()
    half = EVERYWHERE.copy()
    half[:, 20:] = False
    mixed = np.where(half, TRUTH, SMOOTH)
    assert detail_shares(mixed, TRUTH, SMOOTH, half).improvement == 1
