"""What an evaluation compares: a truth, its low resolution, and bicubic interpolation.

The truth is cropped to what its low resolution covers, and the low resolution is made from that
crop. All images are rounded and clipped to the dtype.
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

MIRRORED = 3
"""Low-resolution pixels that are mirrored at the border before cubic interpolation."""

NEGLIGIBLE = 1e-3
"""Share of a kernel's largest weight: smaller weights have no effect after rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A truth and its low resolution, at one scale."""

    name: str
    """The name of the tile or pair."""
    scale: float
    """The requested scale; for pairs of sensors, the ratio of their pixel sizes."""
    low: LowResolution
    """The low resolution."""
    zoom: Zoom
    """The low resolution's grid, and the truth's grid over it."""
    truth: Values
    """(band, y, x) digital numbers, with holes filled smoothly."""
    valid: Valid
    """(y, x): the pixels that are compared, valid in truth and result."""
    triplet: tuple[int, ...]
    """Indices of red, green and blue; empty if there are none."""
    lows: Doubles
    """(band,) digital numbers: the low ends of the truth's value ranges."""
    widths: Doubles
    """(band,) digital numbers: the widths of the value ranges, which are the metrics' peaks."""
    kernel: ConsistencyConfig
    """The degradation that made the low resolution; for pairs of sensors, the assumed one."""

    @property
    def pixels(self) -> int:
        """Number of pixels of the truth, valid or not."""
        return self.valid.size


def make_case(
    name: str, bands: Bands, image: tuple[Values, Valid], scale: float, kernel: ConsistencyConfig
) -> Case:
    """Crop an image to what its low resolution covers, and make the low resolution.

    Args:
        name: the image's name.
        bands: the image's bands.
        image: digital numbers and validity, (band, y, x) each.
        scale: the factor between low resolution and truth.
        kernel: the degradation.
    """
    values, valid = image
    truth, shape = compared(values, scale)
    valid = valid[:, : truth.shape[1], : truth.shape[2]]
    truth = fill_invalid(truth, valid, bands.middles)
    zoom = Zoom.onto(Grid(Shape(*shape), None), Shape(*truth.shape[1:]))
    low_valid = _untouched(valid, shape, kernel)
    return Case(
        name=name,
        scale=scale,
        low=LowResolution(
            values=degrade(truth, shape, kernel),
            valid=low_valid,
            bands=bands.bands,
            groups=bands.groups,
        ),
        zoom=zoom,
        truth=truth,
        valid=np.asarray((valid & validity_on_output(zoom, low_valid)).all(axis=0)),
        triplet=bands.triplet,
        lows=bands.lows,
        widths=bands.widths,
        kernel=kernel,
    )


def validity_on_output(zoom: Zoom, valid: Valid) -> Valid:
    """Return the validity of the source pixel under each output pixel, (band, y, x).

    Args:
        zoom: the mapping between the two grids.
        valid: the source's validity, (band, y, x).
    """
    rows, columns = (axis.under(0, axis.size) for axis in (zoom.rows, zoom.columns))
    height, width = zoom.rows.source, zoom.columns.source
    inside = np.logical_and.outer((rows >= 0) & (rows < height), (columns >= 0) & (columns < width))
    bands = np.arange(len(valid))
    nearest = valid[np.ix_(bands, rows.clip(0, height - 1), columns.clip(0, width - 1))]
    on_output: Valid = nearest & inside
    return on_output


def fill_invalid(values: Values, valid: Valid, middles: Doubles) -> Values:
    """Continue valid pixels smoothly into holes.

    Args:
        values: (band, y, x) digital numbers.
        valid: (band, y, x).
        middles: (band,) digital numbers that far parts of holes are filled with.
    """
    if valid.all():
        return values
    centre = middles[:, None, None]
    with np.errstate(invalid="ignore"):
        difference = np.where(valid, values.astype(np.float64) - centre, 0.0)
    return quantise(fill_holes(difference, valid) + centre, values.dtype.name, None)


def degrade(values: Values, shape: tuple[int, int], kernel: ConsistencyConfig) -> Values:
    """Downsample an image and round it to its dtype.

    Pillow downsamples 8-bit images by bicubic, and rounds between rows and columns too.

    Args:
        values: (band, y, x) digital numbers.
        shape: (y, x) of the low resolution.
        kernel: the degradation.
    """
    if values.dtype == np.uint8 and kernel.kernel == "bicubic":
        return bicubic(values.astype(np.uint8), shape)
    rows, columns = _matrices(values, shape, kernel)
    return quantise(rows @ values.astype(np.float64) @ columns.T, values.dtype.name, None)


def _matrices(
    values: Values, shape: tuple[int, int], kernel: ConsistencyConfig
) -> tuple[Doubles, Doubles]:
    """Return the weights of the degradation along rows and columns, (low, high) each."""
    rows, columns = (
        kernel_matrix(kernel.kernel, low_side, side, mtf=kernel.mtf)
        for low_side, side in zip(shape, values.shape[1:], strict=True)
    )
    return rows, columns


def _untouched(valid: Valid, shape: tuple[int, int], kernel: ConsistencyConfig) -> Valid:
    """Return the low-resolution pixels that depend on no invalid pixel, (band, y, x)."""
    if valid.all():
        return np.ones((len(valid), *shape), dtype=np.bool_)
    rows, columns = (
        (np.abs(weights) > NEGLIGIBLE * np.max(weights)).astype(np.float32)
        for weights in _matrices(valid, shape, kernel)
    )
    touched: Valid = rows @ (~valid).astype(np.float32) @ columns.T > 0
    return ~touched


def interpolate(case: Case) -> Values:
    """Interpolate the low resolution onto the truth's grid by bicubic.

    Where both grids have the same extent, Pillow interpolates 8-bit images, and the same kernel
    interpolates other dtypes.

    Returns:
        (band, Y, X) in the dtype of the low resolution.
    """
    low, zoom = case.low, case.zoom
    middles = np.empty(len(low.values))
    for group in low.groups:
        middles[list(group.bands)] = group.value_range.centre
    values = fill_invalid(low.values, low.valid, middles)
    height, width = zoom.output.shape.height, zoom.output.shape.width
    if all(a == AxisMapping.over_extent(a.source, a.size) for a in (zoom.rows, zoom.columns)):
        if values.dtype == np.uint8:
            return bicubic(values.astype(np.uint8), (height, width))
        return resampled(values, (height, width))
    padding = ((0, 0), (MIRRORED, MIRRORED), (MIRRORED, MIRRORED))
    rows, columns = (
        # Positions outside the low resolution are clipped: nothing is compared there.
        AxisSupport(
            -MIRRORED,
            axis.source + 2 * MIRRORED,
            axis.positions(0, axis.size).clip(-1.0, axis.source),
        )
        for axis in (zoom.rows, zoom.columns)
    )
    result = cubic(np.pad(values, padding, mode="symmetric"), rows, columns)
    return quantise(result, values.dtype.name, None)
