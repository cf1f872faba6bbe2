"""Linear and cubic interpolation of bands in float64, without a network.

``nets.prior`` has the same two interpolations as torch tensors with gradients, in the precision of
the network. They are separate on purpose, and ``tests/image/test_resampling.py`` compares them.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from rs_superres.grid import AxisSupport
from rs_superres.image.radiometry import fill_holes
from rs_superres.types import Doubles, Valid, Values


def linear(values: Values, rows: AxisSupport, columns: AxisSupport) -> Doubles:
    """Interpolate bilinearly at the positions of two axes.

    Each position needs the source pixels before and after it.

    Args:
        values: (band, y, x) values of the source pixels that ``rows`` and ``columns`` describe.
        rows: source rows, and the positions to interpolate at.
        columns: source columns, and the positions to interpolate at.

    Returns:
        (band, row positions, column positions).
    """
    out = values.astype(np.float64)
    for axis, along in ((1, rows), (2, columns)):
        place = along.positions - along.start
        first = np.floor(place).astype(np.int64)
        t = np.expand_dims(place - first, 2 - axis)
        out = out.take(first, axis) * (1 - t) + out.take(first + 1, axis) * t
    return out


def cubic(values: Values, rows: AxisSupport, columns: AxisSupport) -> Doubles:
    """Interpolate by cubic convolution (Keys 1981, a = -1/2) at the positions of two axes.

    Each position needs two source pixels on either side.

    Args:
        values: (band, y, x) values of the source pixels that ``rows`` and ``columns`` describe.
        rows: source rows, and the positions to interpolate at.
        columns: source columns, and the positions to interpolate at.

    Returns:
        (band, row positions, column positions).
    """
    height, width = values.shape[1:]
    down, across = _cubic_matrix(rows, height), _cubic_matrix(columns, width)
    out = np.empty((len(values), down.shape[0], across.shape[0]))
    for band, interpolated in zip(values.astype(np.float64), out, strict=True):
        interpolated[:] = (across @ (down @ band).T).T
    return out


def _cubic_matrix(along: AxisSupport, size: int) -> csr_array:
    """Return cubic convolution along an axis of ``size`` pixels as a matrix, (positions, size)."""
    place = along.positions - along.start
    index = np.floor(place).astype(np.int64)[:, None] + np.arange(-1, 3)
    weights = cubic_kernel(np.abs(place[:, None] - index))
    starts = np.arange(0, index.size + 1, 4)
    return csr_array((weights.ravel(), index.ravel(), starts), shape=(len(place), size))


def cubic_over_holes(
    values: Values, valid: Valid, rows: AxisSupport, columns: AxisSupport, radius: int
) -> Doubles:
    """Interpolate one band as :func:`cubic`, after filling its holes from valid neighbours.

    Args:
        values: (y, x) values of the source pixels that ``rows`` and ``columns`` describe; anything
            where they are not valid.
        valid: (y, x) validity.
        rows: source rows, and the positions to interpolate at.
        columns: source columns, and the positions to interpolate at.
        radius: distance in source pixels up to which holes are filled.

    Returns:
        (row positions, column positions).
    """
    known = np.where(valid, values, 0).astype(np.float64)
    if not valid.all():
        mean = known[valid].mean() if valid.any() else 0.0
        centred = np.where(valid, known - mean, 0.0)
        known = fill_holes(centred[None], valid[None], radius)[0] + mean
    interpolated: Doubles = cubic(known[None], rows, columns)[0]
    return interpolated


def cubic_kernel(distance: Doubles) -> Doubles:
    """Return the cubic convolution kernel (Keys 1981, a = -1/2) at distances of 0 or more.

    It is 3/2 d^3 - 5/2 d^2 + 1 up to a distance d of 1 pixel, -1/2 d^3 + 5/2 d^2 - 4 d + 2 from
    there to 2 pixels, and 0 beyond.
    """
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
