"""Bicubic interpolation of a case: what every result is told beside."""

from __future__ import annotations

import numpy as np

from rs_superres.degrade import bicubic, resampled
from rs_superres.dtypes import Values
from rs_superres.evaluation.protocol import Case, without_holes
from rs_superres.grid import Axis
from rs_superres.radiometry import quantise
from rs_superres.resample import cubic
from rs_superres.tiles import Patch

BORDER = 3
"""Cells around the low resolution that its mirror image supplies."""


def interpolated(case: Case) -> Values:
    """The low resolution on the truth's grid: Pillow's for eight bits, the same kernel for others.

    Returns:
        (band, Y, X) in the dtype of the low resolution.
    """
    low, zoom = case.low, case.zoom
    middles = np.empty(len(low.values))
    for group in low.groups:
        middles[list(group.bands)] = group.value_range.centre
    values = without_holes(low.values, low.valid, middles)
    shape = zoom.output.shape
    if all(a == Axis.over_extent(a.source, a.size) for a in (zoom.rows, zoom.columns)):
        if values.dtype == np.uint8:
            return bicubic(values.astype(np.uint8), (shape.height, shape.width))
        return resampled(values, (shape.height, shape.width))
    edge = ((0, 0), (BORDER, BORDER), (BORDER, BORDER))
    rows, columns = (
        # Beyond the border nothing is compared; the positions must only be there.
        Patch(-BORDER, a.source + 2 * BORDER, a.positions(0, a.size).clip(-1.0, a.source))
        for a in (zoom.rows, zoom.columns)
    )
    made = cubic(np.pad(values, edge, mode="symmetric"), rows, columns)
    return quantise(made, values.dtype.name, None)
