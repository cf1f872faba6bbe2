"""Interpolation of bands in float64, where no network is at work: nearest, linear and cubic.

Arrays are (band, y, x); a patch says which source cells an array holds along an axis, and where
the output's pixels stand among them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rs_superres.tiles import Patch


def linear(values: npt.NDArray[np.generic], rows: Patch, columns: Patch) -> npt.NDArray[np.float64]:
    """Bilinear interpolation; each position needs the cells before and after it."""
    out = values.astype(np.float64)
    for axis, along in ((1, rows), (2, columns)):
        place = along.positions - along.start
        first = np.floor(place).astype(np.int64)
        t = np.expand_dims(place - first, 2 - axis)
        out = out.take(first, axis) * (1 - t) + out.take(first + 1, axis) * t
    return out


def cubic(values: npt.NDArray[np.generic], rows: Patch, columns: Patch) -> npt.NDArray[np.float64]:
    """Cubic convolution (Keys 1981, a = -1/2); each position needs two cells on either side."""
    out = values.astype(np.float64)
    for axis, along in ((1, rows), (2, columns)):
        place = along.positions - along.start
        first = np.floor(place).astype(np.int64)
        weights = _keys(place - first)
        taps = (
            out.take(first + k - 1, axis) * np.expand_dims(w, 2 - axis)
            for k, w in enumerate(weights)
        )
        out = sum(taps, start=np.zeros(()))
    return out


def _keys(t: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64]]:
    """Weights of the cells -1, 0, 1 and 2 around positions t in [0, 1): (n,) each."""
    near = [(1.5 * d - 2.5) * d**2 + 1 for d in (t, 1 - t)]
    far = [((-0.5 * d + 2.5) * d - 4) * d + 2 for d in (t + 1, 2 - t)]
    return [far[0], near[0], near[1], far[1]]
