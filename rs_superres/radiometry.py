"""Digital numbers and network values: ranges, holes, and the way back to a dtype.

Arrays are (band, y, x).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Valid = npt.NDArray[np.bool_]

DTYPES = ("uint8", "int8", "uint16", "int16", "float32")
"""The dtypes that single precision carries whole."""

FILL_RADIUS = 16
"""Pixels: how far into a hole its valid neighbours are continued."""

PERCENTILES = (0.5, 99.5)
"""Of a scene's values: what maps to -1 and 1 where nothing else says so."""


@dataclass(frozen=True, slots=True)
class ValueRange:
    """The digital numbers that map to the network's -1 and 1; the map goes on beyond them."""

    low: float
    high: float

    def to_network(self, values: npt.NDArray[np.generic]) -> Floats:
        """Digital numbers to network values."""
        half = (self.high - self.low) / 2
        scaled = (values.astype(np.float64) - self.low) / half - 1
        return scaled.astype(np.float32)

    def from_network(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Network values to digital numbers, in float64 and not rounded."""
        half = (self.high - self.low) / 2
        return (values.astype(np.float64) + 1) * half + self.low

    @classmethod
    def of_samples(cls, values: npt.NDArray[np.generic]) -> ValueRange:
        """The range of a scene's sampled valid values (any shape, perhaps none)."""
        if values.size == 0:
            return cls(0.0, 1.0)
        low, high = (float(p) for p in np.percentile(values.astype(np.float64), PERCENTILES))
        # A constant scene: any width serves, the constant maps to -1.
        return cls(low, high) if high > low else cls(low, low + 1.0)


def fill_holes(values: Floats, valid: Valid, radius: int = FILL_RADIUS) -> Floats:
    """Continue valid values into holes, ring by ring; beyond ``radius`` the middle value, 0.

    What is filled depends on the valid pixels within ``radius`` alone, never on what a hole held.

    Args:
        values: (band, y, x) network values; anything, NaN too, where not valid.
        valid: (band, y, x).
        radius: rings that are filled.
    """
    if valid.all():
        return values
    known = valid.copy()
    filled = np.where(known, values, np.float32(0))
    for _ in range(radius):
        count = _box_sum(known.astype(np.float32))
        ring = ~known & (count > 0)
        if not ring.any():
            break
        total = _box_sum(filled)
        filled[ring] = total[ring] / count[ring]
        known |= ring
    return filled


def _box_sum(x: Floats) -> Floats:
    """Sum over 3 x 3 pixels, zero outside; the order of additions is the same everywhere."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    tall = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    out: Floats = tall[..., :-2] + tall[..., 1:-1] + tall[..., 2:]
    return out


def quantise(
    values: npt.NDArray[np.float64], dtype: str, nodata: float | None
) -> npt.NDArray[np.generic]:
    """Round half to even and clip to the dtype, never landing on nodata.

    Args:
        values: digital numbers of valid pixels.
        dtype: numpy's name of the raster's dtype.
        nodata: its nodata value; a value that rounds to it takes the neighbour on its own side.
    """
    kind = np.dtype(dtype)
    if kind.kind == "f":
        out = values.astype(kind)
        if nodata is not None:
            taken = out == kind.type(nodata)
            out[taken] = np.nextafter(kind.type(nodata), kind.type(0 if nodata else 1))
        return out
    limits = np.iinfo(kind)
    rounded = np.clip(np.rint(values), limits.min, limits.max)
    if nodata is not None and limits.min <= nodata <= limits.max:
        taken = rounded == nodata
        side = np.where(values >= nodata, 1, -1)
        side = np.where(nodata == limits.min, 1, np.where(nodata == limits.max, -1, side))
        rounded = np.where(taken, nodata + side, rounded)
    return rounded.astype(kind)
