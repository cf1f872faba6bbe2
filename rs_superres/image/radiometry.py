"""Digital numbers and network values: ranges, holes, and the way back to a dtype.

Arrays are (band, y, x).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import scipy

from rs_superres.types import Floats, Valid

Real = TypeVar("Real", np.float32, np.float64)

SINGLE = ("uint8", "int8", "uint16", "int16", "float32")
"""The dtypes that single precision carries whole."""

DOUBLE = ("uint32", "int32", "float64")
"""Those that it does not: their base is interpolated in double precision."""

DTYPES = SINGLE + DOUBLE
"""The dtypes of rasters that are super-resolved."""

FILL_RADIUS = 16
"""Pixels: how far into a hole its valid neighbours are continued."""

GREATEST = 1e12
"""Network values at most: the squares of larger ones are beyond single precision, and no numbers
wherever weights of 0 meet them."""

PERCENTILES = (0.5, 99.5)
"""Of a scene's values: what maps to -1 and 1 where nothing else says so."""


@dataclass(frozen=True, slots=True)
class ValueRange:
    """The digital numbers that map to the network's -1 and 1; the map goes on beyond them."""

    low: float
    high: float

    @property
    def centre(self) -> float:
        """The digital number that maps to 0."""
        return (self.low + self.high) / 2

    @property
    def half(self) -> float:
        """How many digital numbers one network value is."""
        return (self.high - self.low) / 2

    def to_network(self, values: npt.NDArray[np.generic]) -> Floats:
        """Digital numbers to network values."""
        # What stands in a hole may be a signalling NaN, or beyond all numbers.
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = (values.astype(np.float64) - self.low) / self.half - 1
            return scaled.clip(-GREATEST, GREATEST).astype(np.float32)

    def from_network(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Network values to digital numbers, in float64 and not rounded."""
        return (values.astype(np.float64) + 1) * self.half + self.low

    @classmethod
    def of_samples(cls, values: npt.NDArray[np.generic]) -> ValueRange:
        """The range of a scene's sampled valid values (any shape, perhaps none)."""
        if values.size == 0:
            return cls(0.0, 1.0)
        low, high = (float(p) for p in np.percentile(values.astype(np.float64), PERCENTILES))
        # A constant scene: any width serves, the constant maps to -1.
        return cls(low, high) if high > low else cls(low, low + 1.0)


def valid_by_value(values: npt.NDArray[np.generic], nodata: float | None) -> Valid:
    """Which values are valid by themselves: neither nodata nor infinite nor no number."""
    valid = np.ones(values.shape, dtype=np.bool_)
    if nodata is not None:
        valid &= values != values.dtype.type(nodata)
    if values.dtype.kind == "f":
        valid &= np.isfinite(values)
    return valid


def fill_holes(
    values: npt.NDArray[Real], valid: Valid, radius: int = FILL_RADIUS
) -> npt.NDArray[Real]:
    """Continue valid values into holes, ring by ring; beyond ``radius`` the middle value, 0.

    What is filled depends on the valid pixels within ``radius`` alone, never on what a hole held.

    Args:
        values: (band, y, x), 0 in the middle of their range; anything, NaN too, where not valid.
        valid: (band, y, x).
        radius: rings that are filled.
    """
    if valid.all():
        return values
    known = valid.copy()
    filled = np.where(known, values, values.dtype.type(0))
    for _ in range(radius):
        count = _box_sum(known.astype(values.dtype))
        ring = ~known & (count > 0)
        if not ring.any():
            break
        total = _box_sum(filled)
        filled[ring] = total[ring] / count[ring]
        known |= ring
    return filled


def _box_sum(x: npt.NDArray[Real]) -> npt.NDArray[Real]:
    """Sum over 3 x 3 pixels, zero outside; the order of additions is the same everywhere."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    tall = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    out: npt.NDArray[Real] = tall[..., :-2] + tall[..., 1:-1] + tall[..., 2:]
    return out


def limits(dtype: str, bits: int | None = None) -> tuple[float, float]:
    """The least and the greatest digital number of a dtype, of so many bits."""
    if np.dtype(dtype).kind == "f":
        greatest = float(np.finfo(dtype).max)
        return -greatest, greatest
    return np.iinfo(dtype).min, np.iinfo(dtype).max if bits is None else 2**bits - 1


def quantise(
    values: npt.NDArray[np.float64], dtype: str, nodata: float | None, bits: int | None = None
) -> npt.NDArray[np.generic]:
    """Round half to even and clip to the dtype, never landing on nodata.

    Args:
        values: digital numbers of valid pixels.
        dtype: numpy's name of the raster's dtype.
        nodata: its nodata value; a value that rounds to it takes the neighbour on its own side.
        bits: how many bits an unsigned integer has, where fewer than its dtype's.
    """
    kind = np.dtype(dtype)
    least, most = limits(dtype, bits)
    if kind.kind == "f":
        out = values.clip(least, most).astype(kind)
        if nodata is not None:
            taken = out == kind.type(nodata)
            out[taken] = np.nextafter(kind.type(nodata), kind.type(0 if nodata else 1))
        return out
    rounded = np.clip(np.rint(values), least, most)
    if nodata is not None:  # one that the dtype does not hold is landed on by nothing
        side = np.where(values >= nodata, 1, -1)
        side = np.where(nodata == least, 1, np.where(nodata == most, -1, side))
        rounded = np.where(rounded == nodata, nodata + side, rounded)
    return rounded.astype(kind)


def eroded(valid: Valid, radius: int) -> Valid:
    """Where all within a radius is valid, (y, x)."""
    if valid.all():
        return valid
    out: Valid = scipy.ndimage.minimum_filter(valid, size=2 * radius + 1, mode="nearest")
    return out
