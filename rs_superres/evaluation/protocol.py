"""What is compared: tiles of the truth, shrunk by a named degradation.

The truth is cropped to what its low resolution covers, low resolution is made from that crop, and
everything is rounded and clipped to the dtype.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rs_superres.config import ConsistencyConfig
from rs_superres.evaluation.bands import Bands
from rs_superres.grid import AxisMapping, AxisSupport, Grid, Shape, Zoom
from rs_superres.image.degradation import bicubic, compared, kernel_matrix, resampled
from rs_superres.image.radiometry import fill_holes, quantise
from rs_superres.image.resampling import cubic
from rs_superres.scene.image import LowResolution
from rs_superres.types import Doubles, Valid, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A truth and its low resolution."""

    name: str
    scale: float
    """As it was asked for; of pairs the ratio of their pixel sizes."""
    low: LowResolution
    zoom: Zoom
    """The low resolution's grid, and the truth's over it."""
    truth: Values
    """(band, y, x); where it is not valid, something smooth."""
    valid: Valid
    """(y, x): what is compared, valid in truth and result."""
    triplet: tuple[int, ...]
    """Indices of red, green and blue; empty where there are none."""
    lows: Doubles
    """(band,) digital numbers: the low ends of the truth's value ranges."""
    widths: Doubles
    """(band,) digital numbers: the peaks of the metrics."""
    kernel: ConsistencyConfig
    """How the low resolution was made; of pairs, how it is taken to have been."""

    @property
    def pixels(self) -> int:
        """Of the truth."""
        return self.valid.size


def shrunk(
    name: str, bands: Bands, image: tuple[Values, Valid], scale: float, kernel: ConsistencyConfig
) -> Case:
    """An image and its low resolution at a scale.

    Args:
        name: of the image.
        bands: what its bands are.
        image: digital numbers and validity, (band, y, x) each.
        scale: the magnification.
        kernel: the degradation.
    """
    values, valid = image
    truth, shape = compared(values, scale)
    valid = valid[:, : truth.shape[1], : truth.shape[2]]
    truth = without_holes(truth, valid, bands.middles)
    zoom = Zoom.onto(Grid(Shape(*shape), None), Shape(*truth.shape[1:]))
    low_valid = _untouched(valid, shape, kernel)
    return Case(
        name=name,
        scale=scale,
        low=LowResolution(
            values=degraded(truth, shape, kernel),
            valid=low_valid,
            bands=bands.bands,
            groups=bands.groups,
        ),
        zoom=zoom,
        truth=truth,
        valid=np.asarray((valid & over(zoom, low_valid)).all(axis=0)),
        triplet=bands.triplet,
        lows=bands.lows,
        widths=bands.widths,
        kernel=kernel,
    )


def over(zoom: Zoom, valid: Valid) -> Valid:
    """The validity of the source's cell under each output pixel, (band, y, x)."""
    rows, columns = ((axis.under(0, axis.size), axis.source) for axis in (zoom.rows, zoom.columns))
    inside = np.logical_and.outer(*((u >= 0) & (u < most) for u, most in (rows, columns)))
    taken = np.ix_(np.arange(len(valid)), *(u.clip(0, most - 1) for u, most in (rows, columns)))
    found: Valid = valid[taken] & inside
    return found


def without_holes(values: Values, valid: Valid, middles: Doubles) -> Values:
    """Digital numbers, (band, y, x), with valid neighbours continued into holes."""
    if valid.all():
        return values
    centre = middles[:, None, None]
    with np.errstate(invalid="ignore"):
        apart = np.where(valid, values.astype(np.float64) - centre, 0.0)
    return quantise(fill_holes(apart, valid) + centre, values.dtype.name, None)


def degraded(values: Values, shape: tuple[int, int], kernel: ConsistencyConfig) -> Values:
    """An image, (band, y, x), shrunk to a shape and rounded to its dtype.

    Eight bits by bicubic are Pillow's, which rounds between rows and columns too.
    """
    if values.dtype == np.uint8 and kernel.kernel == "bicubic":
        return bicubic(values.astype(np.uint8), shape)
    rows, columns = _matrices(values, shape, kernel)
    return quantise(rows @ values.astype(np.float64) @ columns.T, values.dtype.name, None)


def _matrices(
    values: Values, shape: tuple[int, int], kernel: ConsistencyConfig
) -> tuple[Doubles, Doubles]:
    """The degradation along rows and columns."""
    rows, columns = (
        kernel_matrix(kernel.kernel, cells, pixels, mtf=kernel.mtf)
        for cells, pixels in zip(shape, values.shape[1:], strict=True)
    )
    return rows, columns


def _untouched(valid: Valid, shape: tuple[int, int], kernel: ConsistencyConfig) -> Valid:
    """Cells of the low resolution that no invalid pixel is part of, (band, y, x)."""
    if valid.all():
        return np.ones((len(valid), *shape), dtype=np.bool_)
    # What a Gaussian weighs by less than a thousandth is not felt after rounding.
    rows, columns = (
        (np.abs(m) > 1e-3 * np.max(m)).astype(np.float32) for m in _matrices(valid, shape, kernel)
    )
    touched: Valid = rows @ (~valid).astype(np.float32) @ columns.T > 0
    return ~touched


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
    if all(a == AxisMapping.over_extent(a.source, a.size) for a in (zoom.rows, zoom.columns)):
        if values.dtype == np.uint8:
            return bicubic(values.astype(np.uint8), (shape.height, shape.width))
        return resampled(values, (shape.height, shape.width))
    edge = ((0, 0), (BORDER, BORDER), (BORDER, BORDER))
    rows, columns = (
        # Beyond the border nothing is compared; the positions must only be there.
        AxisSupport(-BORDER, a.source + 2 * BORDER, a.positions(0, a.size).clip(-1.0, a.source))
        for a in (zoom.rows, zoom.columns)
    )
    made = cubic(np.pad(values, edge, mode="symmetric"), rows, columns)
    return quantise(made, values.dtype.name, None)
