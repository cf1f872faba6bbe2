"""Measure whether the edges of holes and of transparency show colours that are not there.

If what lies hidden in a hole enters an interpolation, a dark or white rim runs along the hole's
edge. Values on the edge must lie between those of the valid source pixels around them. How far they
lie outside is compared with the same figure away from holes, since sharp methods overshoot
everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from rs_superres.image.radiometry import eroded, neighbour_range
from rs_superres.image.statistics import Moments
from rs_superres.types import Doubles, Indices
from rs_superres.verify.comparison import HOLE_REACH, ComparedBlock

Kind = TypeVar("Kind", bound=np.generic)

NEIGHBOURHOOD = 2
"""Source pixels on either side of a pixel whose values are a pixel's local range."""


@dataclass
class Rims:
    """How far a band's pixels lie outside their local range, digital numbers."""

    edge: Moments = field(default_factory=Moments)
    """Over pixels at the edge of a hole."""
    elsewhere: Moments = field(default_factory=Moments)
    """Over pixels away from holes."""

    def add(self, block: ComparedBlock, band: int, result: Doubles) -> None:
        """Add the pixels of one block that has holes; others say nothing about edges.

        Args:
            block: the block that is compared.
            band: index of the band.
            result: (y, x) of the result's values, in the unit of the source.
        """
        valid = block.source_valid[band]
        if valid.all() or not valid.any():
            return
        rows, columns, over_window = block.source_indices()
        low, high = neighbour_range(
            block.source_values[band].astype(np.float64), valid, NEIGHBOURHOOD
        )
        alpha = block.result_alpha[band]
        at_edge = ~eroded(~valid, 1) & ~eroded(valid, 1)
        away = eroded(valid, HOLE_REACH)
        for moments, place in ((self.edge, at_edge), (self.elsewhere, away)):
            counted = over_window & block.result_valid[band] & _at(place, rows, columns)
            lowest, highest = (_at(end, rows, columns)[counted] for end in (low, high))
            excess = np.maximum(lowest - result[counted], result[counted] - highest).clip(min=0.0)
            # As seen on a background: the less opaque a foreign colour is, the less it counts.
            moments.add(excess * alpha[counted] / (alpha.max() or 1.0))


def _at(image: npt.NDArray[Kind], rows: Indices, columns: Indices) -> npt.NDArray[Kind]:
    """Return an image's pixels, (y, x), under each of the result's pixels."""
    return image[np.clip(rows, 0, image.shape[0] - 1), np.clip(columns, 0, image.shape[1] - 1)]
