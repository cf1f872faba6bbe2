"""Digital numbers and network values: value ranges, holes, and rounding to a dtype.

Network values are digital numbers scaled so that the value range becomes [-1, 1]. Arrays are
(band, y, x).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import scipy

from rs_superres.types import Doubles, Floats, Valid

Real = TypeVar("Real", np.float32, np.float64)

SINGLE = ("uint8", "int8", "uint16", "int16", "float32")
"""Dtypes whose values float32 represents exactly."""

DOUBLE = ("uint32", "int32", "float64")
"""Dtypes whose values float32 does not represent exactly.

Their cubic interpolation is computed in float64, and the networks only add detail to it.
"""

DTYPES = SINGLE + DOUBLE
"""Dtypes of rasters that can be super-resolved."""

FILL_RADIUS = 16
"""Distance in source pixels up to which holes are filled from valid pixels."""

LARGEST_NETWORK_VALUE = 1e12
"""Network values are clipped to this magnitude.

The squares of much larger ones overflow float32 to infinity, and infinity times a weight of 0 is
NaN.
"""

PERCENTILES = (0.5, 99.5)
"""Percentiles of a scene's valid values that map to -1 and 1 by default."""


@dataclass(frozen=True, slots=True)
class ValueRange:
    """The digital numbers that map to the network values -1 (``low``) and 1 (``high``).

    The map is linear and not clipped at these two.
    """

    low: float
    high: float
    widened: bool = False
    """True if both percentiles of the scene are one value, which says nothing of the others."""

    @property
    def centre(self) -> float:
        """The digital number that maps to the network value 0."""
        return (self.low + self.high) / 2

    @property
    def half(self) -> float:
        """Half the width of the range: the digital numbers per unit of network values."""
        return (self.high - self.low) / 2

    def to_network(self, values: npt.NDArray[np.generic]) -> Floats:
        """Convert digital numbers of any dtype and shape to network values, in float32.

        The result is clipped to :data:`LARGEST_NETWORK_VALUE`; NaN stays NaN.
        """
        # Invalid pixels can hold anything, such as signalling NaNs and values that overflow.
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = (values.astype(np.float64) - self.low) / self.half - 1
            return scaled.clip(-LARGEST_NETWORK_VALUE, LARGEST_NETWORK_VALUE).astype(np.float32)

    def from_network(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Convert network values of any shape to digital numbers, in float64 and not rounded."""
        out = values.astype(np.float64)
        out += 1
        out *= self.half
        out += self.low
        return out

    @classmethod
    def of_samples(
        cls,
        values: npt.NDArray[np.generic],
        percentiles: tuple[float, float] = PERCENTILES,
    ) -> ValueRange:
        """Return the value range of a scene.

        Args:
            values: a sample of the scene's valid digital numbers, of any shape; may be empty.
            percentiles: the percentiles of the values that are the ends of the range.

        Returns:
            The range between the percentiles. If both are one value v, as in a raster of counts of
            which nearly all are 0, the range reaches from v to the percentiles of the other values.
            0 to 1 for no values, v to v + 1 if all are v.
        """
        if values.size == 0:
            return cls(0.0, 1.0)
        numbers = values.astype(np.float64)
        low, high = (float(p) for p in np.percentile(numbers, percentiles))
        if low < high:
            return cls(low, high)
        others = numbers[numbers != low]
        if others.size == 0:
            return cls(low, low + 1.0)
        bottom, top = (float(p) for p in np.percentile(others, percentiles))
        return cls(min(low, bottom), max(high, top), widened=True)


def valid_by_value(values: npt.NDArray[np.generic], nodata: float | None) -> Valid:
    """Return which values are valid: all but nodata, NaN and infinities.

    Args:
        values: digital numbers of any shape.
        nodata: the nodata value, which is compared in the dtype of ``values``; None if there is
            none.

    Returns:
        True for valid values, of the shape of ``values``.
    """
    valid = np.ones(values.shape, dtype=np.bool_)
    if nodata is not None:
        valid &= values != values.dtype.type(nodata)
    if values.dtype.kind == "f":
        valid &= np.isfinite(values)
    return valid


def fill_holes(
    values: npt.NDArray[Real], valid: Valid, radius: int = FILL_RADIUS
) -> npt.NDArray[Real]:
    """Fill holes from their valid neighbours, from the edge inwards, and the rest with 0.

    Ring by ring, each pixel becomes the mean of its known neighbours among the 3 x 3 pixels around
    it. A filled pixel depends on valid pixels within ``radius`` only, never on what a hole held.

    Args:
        values: (band, y, x) values whose range has its middle at 0; anything, such as NaN, where
            they are not valid.
        valid: (band, y, x) validity.
        radius: number of rings to fill, which is the distance in pixels.

    Returns:
        (band, y, x) of the same dtype; ``values`` itself if all are valid.
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


def weigh_colours(values: npt.NDArray[Any], alpha: Doubles) -> npt.NDArray[Any]:
    """Move colours of low alpha towards those of more opaque neighbours.

    The less opaque a pixel, the less its colour is worth: it may be rounded coarsely, or mixed with
    a background. Over the 3 x 3 pixels around a pixel of colour x and alpha a, let m be the mean
    colour and b the mean alpha, both weighed by alpha. The pixel becomes m + w (x - m), where
    w = min(1, a / b). Where all pixels are equally opaque, w is 1, and nothing changes.

    Args:
        values: (band, y, x) digital numbers; anything where ``alpha`` is 0.
        alpha: (band, y, x) alpha, 0 where values are not visible or not valid.

    Returns:
        (band, y, x) in float64, or ``values`` itself if all visible pixels are equally opaque.
    """
    seen = alpha[alpha > 0]
    if seen.size == 0 or seen.min() == seen.max():
        return values
    colours = np.where(alpha > 0, values, 0).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        total = _box_sum(alpha)
        mean, mean_alpha = _box_sum(alpha * colours) / total, _box_sum(alpha**2) / total
        moved = mean + alpha / mean_alpha * (colours - mean)
    # Near the largest float64 the sums overflow; such colours stay.
    faint = (alpha > 0) & (alpha < mean_alpha) & np.isfinite(moved)
    return np.where(faint, moved, values)


def _box_sum(x: npt.NDArray[Real]) -> npt.NDArray[Real]:
    """Sum 3 x 3 pixels, with zeros outside the array.

    The additions have the same order at every pixel, so a window's sums equal the scene's.
    """
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    tall = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    out: npt.NDArray[Real] = tall[..., :-2] + tall[..., 1:-1] + tall[..., 2:]
    return out


def limits(dtype: str, bits: int | None = None) -> tuple[float, float]:
    """Return the smallest and largest finite digital number of a raster.

    Args:
        dtype: NumPy's name of the dtype.
        bits: number of bits of an unsigned integer, if fewer than the dtype has.
    """
    if np.dtype(dtype).kind == "f":
        largest = float(np.finfo(dtype).max)
        return -largest, largest
    return np.iinfo(dtype).min, np.iinfo(dtype).max if bits is None else 2**bits - 1


def quantise(
    values: npt.NDArray[np.float64], dtype: str, nodata: float | None, bits: int | None = None
) -> npt.NDArray[np.generic]:
    """Convert valid values to the raster's dtype, so that none becomes nodata.

    Integers are rounded, halves to even, and all values are clipped to :func:`limits`. An integer
    that would equal nodata becomes the next one on the side of its unrounded value, or the next one
    inside the dtype if nodata is a limit. A float that would equal nodata becomes the next float
    towards 0, or towards 1 if nodata is 0.

    Args:
        values: digital numbers of valid pixels, of any shape.
        dtype: NumPy's name of the raster's dtype.
        nodata: the raster's nodata value; None if there is none.
        bits: number of bits of an unsigned integer, if fewer than the dtype has.

    Returns:
        Values of the given dtype, of the shape of ``values``.
    """
    kind = np.dtype(dtype)
    smallest, largest = limits(dtype, bits)
    if kind.kind == "f":
        out = values.clip(smallest, largest).astype(kind)
        if nodata is not None:
            hits = out == kind.type(nodata)
            out[hits] = np.nextafter(kind.type(nodata), kind.type(0 if nodata else 1))
        return out
    rounded = np.rint(values)
    np.clip(rounded, smallest, largest, out=rounded)
    if nodata is not None:  # no value equals a nodata that the dtype cannot hold
        side = np.where(values >= nodata, 1, -1)
        side = np.where(nodata == smallest, 1, np.where(nodata == largest, -1, side))
        rounded = np.where(rounded == nodata, nodata + side, rounded)
    return rounded.astype(kind)


def neighbour_range(values: Doubles, valid: Valid, radius: int) -> tuple[Doubles, Doubles]:
    """Return the least and the greatest valid value in the square around each pixel.

    Args:
        values: (y, x) values.
        valid: (y, x) validity.
        radius: half the side of the square in pixels, without the centre.

    Returns:
        Two (y, x) arrays: infinity and minus infinity where no pixel of the square is valid.
    """
    side = 2 * radius + 1
    least = scipy.ndimage.minimum_filter(np.where(valid, values, np.inf), side, mode="nearest")
    greatest = scipy.ndimage.maximum_filter(np.where(valid, values, -np.inf), side, mode="nearest")
    return least, greatest


def eroded(valid: Valid, radius: int) -> Valid:
    """Return where all pixels of the surrounding square are valid.

    Args:
        valid: (y, x) validity. Beyond the edges, the edge pixels are repeated.
        radius: half the side of the square in pixels, without the centre.

    Returns:
        (y, x) validity; ``valid`` itself if all pixels are valid.
    """
    if valid.all():
        return valid
    out: Valid = scipy.ndimage.minimum_filter(valid, size=2 * radius + 1, mode="nearest")
    return out
