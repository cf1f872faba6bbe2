"""Gaussian noise computed from a key and a pixel position; any window can be generated alone.

Each draw is a hash of (key, row, column, channel): the finaliser of SplitMix64 (Steele et al.
2014), chained, followed by the Box-Muller transform. So overlapping windows hold the same noise,
regardless of what was drawn before or on which machine.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

_U64 = npt.NDArray[np.uint64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: _U64) -> _U64:
    """Apply the finaliser of SplitMix64, in which every input bit affects every output bit."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _chain(state: _U64, value: npt.NDArray[np.int64]) -> _U64:
    """Return the hash state after it has absorbed one more number."""
    return _mix(state + _GOLDEN * (value.astype(np.uint64) + np.uint64(1)))


def normal_field(
    key: Iterable[int], *, row: int, column: int, shape: tuple[int, int, int]
) -> npt.NDArray[np.float32]:
    """Return standard normal noise in a window of an infinite field.

    Args:
        key: integers that identify the field: seed, sample, step, band group.
        row: first row of the window; may be negative.
        column: first column of the window; may be negative.
        shape: (channels, height, width) of the window.

    Returns:
        (channels, height, width) noise. It is part of every result's definition, so it must not
        change between versions.
    """
    channels, height, width = shape
    state = np.zeros(1, dtype=np.uint64)
    for number in key:
        state = _chain(state, np.array([number], dtype=np.int64))
    rows = _chain(state, np.arange(row, row + height, dtype=np.int64))
    pixels = _chain(rows[:, None], np.arange(column, column + width, dtype=np.int64))
    out = np.empty((channels, height, width), dtype=np.float32)
    for first in range(0, channels, 2):
        bits = _chain(pixels, np.array([first], dtype=np.int64))
        # The two halves of the 64 bits are uniform draws. The first is above 0, so that its
        # logarithm is finite.
        radius = ((bits >> np.uint64(32)).astype(np.float64) + 1) / 2**32
        radius = np.sqrt(-2 * np.log(radius))
        angle = (bits & np.uint64(0xFFFFFFFF)).astype(np.float64) * (2 * np.pi / 2**32)
        out[first] = radius * np.cos(angle)
        if first + 1 < channels:
            out[first + 1] = radius * np.sin(angle)
    return out
