"""Pictures of the report: results with the same contrast stretch, and their differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rs_superres.evaluation.protocol import Case
from rs_superres.image.pictures import encode_png, limits_of, stretched
from rs_superres.types import Doubles, Values

LARGEST_PICTURE_SIDE = 320
"""Pixels on a side of a picture, at most; the middle of larger images is shown."""

LEAST_DIFFERENCE = 8.0
"""Grey levels: the least difference that has the brightest colour."""

HEAT = ((0, 0, 0), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164))
"""Colours from no difference to a large one, red, green and blue."""

LOW, TRUTH = "low resolution", "truth"

Picture = npt.NDArray[np.uint8]
"""(y, x, 3) red, green and blue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One case as the report shows it."""

    kind: str
    """``best``, ``median`` or ``worst``."""
    name: str
    """The name of the tile or pair."""
    scale: float
    """The scale of the results."""
    source: str
    """The source's name."""
    psnr: Mapping[str, float]
    """PSNR by method, dB."""
    pictures: Mapping[str, str]
    """Pictures by what they show, in the order of the buttons; PNG in base64."""
    differences: Mapping[str, str]
    """Pictures of the difference from the truth, by method; PNG in base64."""
    most: float
    """The difference with the brightest colour, as a share of the contrast stretch."""
    size: tuple[int, int]
    """Width and height of the pictures."""


def make_example(
    kind: str, case: Case, source: str, images: Mapping[str, Values], psnr: Mapping[str, float]
) -> Example:
    """Draw the pictures of a case.

    Args:
        kind: why the case was chosen: ``best``, ``median`` or ``worst``.
        case: the truth and its low resolution.
        source: the source's name.
        images: results by method, (band, y, x) digital numbers each.
        psnr: PSNR by method, dB.
    """
    bands = list(case.triplet) or [0]
    limits = limits_of(case.low.values[bands], case.low.valid[bands])
    rows, columns = (_middle(side) for side in case.valid.shape)
    low = _low_on_output(case)

    def draw(values: Values) -> Picture:
        shown = np.where(case.valid, values[bands], low[bands])[:, rows, columns]
        return stretched(shown, limits)

    results = {name: draw(image) for name, image in images.items()}
    truth = draw(case.truth)
    differences = {
        name: np.abs(picture.astype(np.float64) - truth).mean(axis=2)
        for name, picture in results.items()
    }
    largest = float(np.percentile(np.stack(list(differences.values())), 99.5))
    most = max(LEAST_DIFFERENCE, largest)
    pictures = {LOW: draw(low), **results, TRUTH: truth}
    return Example(
        kind=kind,
        name=case.name,
        scale=case.scale,
        source=source,
        psnr=dict(psnr),
        pictures={name: encode_png(picture) for name, picture in pictures.items()},
        differences={name: encode_png(heat_map(d / most)) for name, d in differences.items()},
        most=most / 255,
        size=(truth.shape[1], truth.shape[0]),
    )


def _middle(side: int) -> slice:
    """Return the middle of a side, at most as long as a picture."""
    first = max(0, (side - LARGEST_PICTURE_SIDE) // 2)
    return slice(first, min(side, first + LARGEST_PICTURE_SIDE))


def _low_on_output(case: Case) -> Values:
    """Return the low resolution on the truth's pixels by nearest neighbour, (band, y, x)."""
    rows, columns = (
        axis.under(0, axis.size).clip(0, axis.source - 1)
        for axis in (case.zoom.rows, case.zoom.columns)
    )
    return case.low.values[:, rows][:, :, columns]


def heat_map(share: Doubles) -> Picture:
    """Colour shares from 0 to 1: (y, x) to (y, x, 3)."""
    stops = np.linspace(0, 1, len(HEAT))
    bands = [np.interp(share.clip(0, 1), stops, [colour[i] for colour in HEAT]) for i in range(3)]
    return np.stack(bands, axis=2).round().astype(np.uint8)
