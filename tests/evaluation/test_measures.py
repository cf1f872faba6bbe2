"""A known shift is measured."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import fourier_shift

from rs_superres.evaluation.measures import CAUTION, detail, shift
from tests.rasters import Array, textured


@pytest.mark.parametrize(("right", "down"), [(0.3, 0.0), (-0.62, 0.4), (2.5, -1.25)])
def test_a_known_shift_is_found(right: float, down: float) -> None:
    image = textured(1, 1, 128, 128)[0].astype(np.float64)
    moved = np.fft.ifftn(fourier_shift(np.fft.fftn(image), (down, right))).real
    found = shift(moved, image, np.ones(image.shape, dtype=np.bool_))
    assert found == pytest.approx((right, down), abs=0.06)


TRUTH = np.random.default_rng(0).normal(0.5, 0.2, (2, 40, 40))
PLAIN = TRUTH.mean(axis=(1, 2), keepdims=True) + np.zeros_like(TRUTH)
EVERYWHERE = np.ones((40, 40), dtype=np.bool_)


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (TRUTH, "improvement"),
        (PLAIN, "omission"),
        (PLAIN + 0.9 * (TRUTH - PLAIN), "improvement"),
        (PLAIN + 0.1 * (TRUTH - PLAIN), "omission"),
        (PLAIN - (TRUTH - PLAIN), "hallucination"),
        (PLAIN + 3 * np.abs(TRUTH - PLAIN).max(), "hallucination"),
    ],
)
def test_corners(image: Array, kind: str) -> None:
    found = detail(image, TRUTH, PLAIN, EVERYWHERE)
    assert found._asdict()[kind] == pytest.approx(1, abs=0.02)
    assert sum(found) == pytest.approx(1)


def test_the_equations() -> None:
    """Pixel by pixel, as the framework writes them down."""
    image = TRUTH + np.random.default_rng(1).normal(0, 0.15, TRUTH.shape)
    counts = {"im": 0, "om": 0, "ha": 0}
    for y in range(40):
        for x in range(40):
            sr, hr, lr = image[:, y, x], TRUTH[:, y, x], PLAIN[:, y, x]
            ref, d_im, d_om = (float(np.abs(a - b).mean()) for a, b in
                               ((lr, hr), (sr, hr), (sr, lr)))  # fmt: skip
            if max(ref, d_im, d_om) <= 0.02:
                continue
            d_im, d_om = d_im / max(ref, 1e-3), d_om / max(ref, 1e-3)
            h = d_im + d_om - 1
            kinds = {
                "im": d_im + d_om * (1 - np.exp(-h * CAUTION)),
                "om": d_om + d_im * (1 - np.exp(-h * CAUTION)),
                "ha": np.exp(-d_im * d_om * CAUTION),
            }
            counts[min(kinds, key=lambda k: kinds[k])] += 1
    found = detail(image, TRUTH, PLAIN, EVERYWHERE)
    total = sum(counts.values())
    assert found == pytest.approx(tuple(c / total for c in counts.values()))
    assert min(counts.values()) > 0


def test_where_nothing_differs_nothing_is_judged() -> None:
    assert np.isnan(detail(PLAIN, PLAIN, PLAIN, EVERYWHERE)).all()
    half = EVERYWHERE.copy()
    half[:, 20:] = False
    mixed = np.where(half, TRUTH, PLAIN)
    assert detail(mixed, TRUTH, PLAIN, half).improvement == 1
