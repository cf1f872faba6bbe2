"""Pictures of a case, stretched alike, and of what is wrong in them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from rs_superres.evaluation.protocol import Case
from rs_superres.image.pictures import limits_of, stretched
from rs_superres.types import Doubles, Values

SIDE = 320
"""Pixels of a picture's side, at most: the middle is shown."""

HEAT = ((0, 0, 0), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164))
"""Colours from no difference to a large one."""

LOW, TRUTH = "low resolution", "truth"

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One case as it is shown."""

    kind: str
    """best, median or worst."""
    name: str
    scale: float
    psnr: Mapping[str, float]
    """By method."""
    pictures: Mapping[str, str]
    """By what they show, in the order of the buttons; PNG in base64."""
    differences: Mapping[str, str]
    """By method."""
    most: float
    """Share of the stretch that is the brightest colour of the differences."""
    size: tuple[int, int]
    """Width and height."""


def example(
    kind: str, case: Case, images: Mapping[str, Values], psnr: Mapping[str, float]
) -> Example:
    """Draw a case.

    Args:
        kind: why it was chosen.
        case: the truth and its low resolution.
        images: results by method.
        psnr: of the same.
    """
    chosen = list(case.triplet) or [0]
    limits = limits_of(case.low.values[chosen], case.low.valid[chosen])
    rows, columns = (_middle(side) for side in case.valid.shape)
    low = _nearest(case)

    def drawn(values: Values) -> Picture:
        shown = np.where(case.valid, values[chosen], low[chosen])[:, rows, columns]
        return stretched(shown, limits)

    results = {name: drawn(image) for name, image in images.items()}
    truth = drawn(case.truth)
    apart = {
        name: np.abs(picture.astype(np.float64) - truth).mean(axis=2)
        for name, picture in results.items()
    }
    most = max(8.0, float(np.percentile(np.stack(list(apart.values())), 99.5)))
    shown = {LOW: drawn(low), **results, TRUTH: truth}
    return Example(
        kind=kind,
        name=case.name,
        scale=case.scale,
        psnr=dict(psnr),
        pictures={name: encoded(picture) for name, picture in shown.items()},
        differences={name: encoded(heated(d / most)) for name, d in apart.items()},
        most=most / 255,
        size=(truth.shape[1], truth.shape[0]),
    )


def _middle(side: int) -> slice:
    """The middle of a side."""
    first = max(0, (side - SIDE) // 2)
    return slice(first, min(side, first + SIDE))


def _nearest(case: Case) -> Values:
    """The low resolution's cells where they lie, on the truth's pixels."""
    rows, columns = (
        a.under(0, a.size).clip(0, a.source - 1) for a in (case.zoom.rows, case.zoom.columns)
    )
    return case.low.values[:, rows][:, :, columns]


def heated(share: Doubles) -> Picture:
    """Shares from 0 to 1, (y, x), as colours (y, x, 3)."""
    stops = np.linspace(0, 1, len(HEAT))
    bands = [np.interp(share.clip(0, 1), stops, [c[i] for c in HEAT]) for i in range(3)]
    return np.stack(bands, axis=2).round().astype(np.uint8)


def encoded(picture: Picture) -> str:
    """A PNG in base64."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
