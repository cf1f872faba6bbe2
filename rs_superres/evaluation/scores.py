"""The metrics of one result, beside its truth and its low resolution.

Values are taken from the low end of their band's value range, in units of its width,
so bands and rasters of all dtypes count alike.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.sparse import csr_array

from rs_superres.config import ConsistencyConfig
from rs_superres.evaluation.lpips import Lpips
from rs_superres.evaluation.measures import detail, ergas, shift, similarity, spectral_angle
from rs_superres.evaluation.protocol import Case
from rs_superres.grid import AxisMapping
from rs_superres.image.consistency import footprints
from rs_superres.image.statistics import psnr
from rs_superres.types import Doubles, Valid, Values

PERFECT = 100.0
"""dB: what equal images count as, lest they rule every mean."""


def scores(case: Case, image: Values, plain: Values, lpips: Lpips | None) -> dict[str, float]:
    """Every metric of a result; no number (NaN) for those that it does not have.

    Args:
        case: the truth.
        image: (band, y, x), the result.
        plain: the low resolution by bicubic.
        lpips: with its backbone, if there is one.
    """
    lows, widths = (x[:, None, None] for x in (case.lows, case.widths))
    made, true, soft = (
        (np.where(case.valid, v.astype(np.float64), case.truth) - lows) / widths
        for v in (image, case.truth, plain)
    )
    chosen = list(case.triplet) or list(range(len(true)))
    similar = [similarity(a, b, case.valid) for a, b in zip(made, true, strict=True)]
    right, down = shift(made[chosen].mean(axis=0), true[chosen].mean(axis=0), case.valid)
    kinds = detail(made, true, soft, case.valid)
    found = {
        "psnr": _psnr(made[chosen], true[chosen], case.valid),
        "ssim": float(np.mean([similar[i] for i in chosen])),
        "sam": spectral_angle(image[:, case.valid], case.truth[:, case.valid]),
        "ergas": ergas(image[:, case.valid], case.truth[:, case.valid], case.zoom.scale),
        "lpips": _lpips(case, made, true, lpips),
        "consistency": 100 * difference_below(case, image),
        "shift": float(np.hypot(right, down)),
        "shift_right": right,
        "shift_down": down,
        **{name: 100 * share for name, share in kinds._asdict().items()},
    }
    for band in range(len(true)):
        found[f"psnr_{band + 1}"] = _psnr(made[band], true[band], case.valid)
        found[f"ssim_{band + 1}"] = similar[band]
    return found


def _psnr(image: Doubles, truth: Doubles, valid: Valid) -> float:
    """In units of the value range."""
    if valid.all():
        return min(PERFECT, psnr(image, truth, 1.0))
    return min(PERFECT, psnr(image[..., valid], truth[..., valid], 1.0))


def difference_below(case: Case, image: Values) -> float:
    """RMS of the result, brought back by the case's kernel, less the low resolution."""
    low, valid = case.low, case.valid
    rows, columns = (_back(case.kernel, axis) for axis in (case.zoom.rows, case.zoom.columns))
    whole = np.logical_and.outer(rows.sum(axis=1) > 0.5, columns.sum(axis=1) > 0.5)
    whole &= low.valid.all(axis=0)
    if not valid.all():
        whole &= _weighed(abs(rows), (~valid).astype(np.float64), abs(columns)) == 0
    if not whole.any():
        return float("nan")
    apart = [
        (_weighed(rows, np.where(valid, band.astype(np.float64), 0.0), columns) - under) / width
        for band, under, width in zip(image, low.values, case.widths, strict=True)
    ]
    return float(np.sqrt((np.stack(apart)[:, whole] ** 2).mean()))


@lru_cache(maxsize=64)  # images of one size share theirs
def _back(kernel: ConsistencyConfig, axis: AxisMapping) -> csr_array:
    """What brings a result back along one axis, (cell, pixel)."""
    return csr_array(footprints(kernel, axis, range(axis.size), range(axis.source)))


def _weighed(rows: csr_array, band: Doubles, columns: csr_array) -> Doubles:
    """One band, (y, x), by matrices along both axes."""
    out: Doubles = (columns @ (rows @ band).T).T
    return out


def _lpips(case: Case, made: Doubles, true: Doubles, lpips: Lpips | None) -> float:
    """Of the triplet, its value range taken for black and white."""
    if lpips is None or not case.triplet:
        return float("nan")
    index = list(case.triplet)
    return lpips.distance(2 * made[index] - 1, 2 * true[index] - 1)
