"""Interpolation of bands in float64, where no network is at work: nearest, linear and cubic.

Arrays are (band, y, x); a patch says which source cells an array holds along an axis, and where
the output's pixels stand among them.
"""

from __future__ import annotations

import numpy as np

from rs_superres.grid import AxisSupport
from rs_superres.types import Doubles, Values


def linear(values: Values, rows: AxisSupport, columns: AxisSupport) -> Doubles:
    """Bilinear interpolation; each position needs the cells before and after it."""
    out = values.astype(np.float64)
    for axis, along in ((1, rows), (2, columns)):
        place = along.positions - along.start
        first = np.floor(place).astype(np.int64)
        t = np.expand_dims(place - first, 2 - axis)
        out = out.take(first, axis) * (1 - t) + out.take(first + 1, axis) * t
    return out


def cubic(values: Values, rows: AxisSupport, columns: AxisSupport) -> Doubles:
    """Cubic convolution (Keys 1981, a = -1/2); each position needs two cells on either side."""
    out = values.astype(np.float64)
    for axis, along in ((1, rows), (2, columns)):
        place = along.positions - along.start
        first = np.floor(place).astype(np.int64)
        taps = (
            out.take(first + k, axis) * np.expand_dims(keys(np.abs(place - first - k)), 2 - axis)
            for k in (-1, 0, 1, 2)
        )
        out = sum(taps, start=np.zeros(()))
    return out


def keys(distance: Doubles) -> Doubles:
    """The cubic convolution kernel (Keys 1981, a = -1/2) at absolute distances, in cells."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
