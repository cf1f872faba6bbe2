"""What became of the detail that low resolution lacks: improved, omitted or hallucinated.

By the correctness scores of opensr-test (Aybar et al. 2024), pixel by pixel: with d_im the distance
of result and truth, d_om that of result and interpolated low resolution, both over the distance of
the latter two,

    H = d_im + d_om - 1
    improvement = d_im + d_om (1 - exp(-L H)),  omission = d_om + d_im (1 - exp(-L H)),
    hallucination = exp(-L d_im d_om)

each small where a pixel is of its kind. A pixel is counted for the smallest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rs_superres.dtypes import Doubles, Valid

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
