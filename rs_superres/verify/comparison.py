"""Read a result and its source block by block, and downsample the result to the source's grid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array

from rs_superres.config import ConsistencyConfig
from rs_superres.grid import SNAP, AxisMapping, AxisSupport, Window, Zoom
from rs_superres.image.consistency import SUPPORT
from rs_superres.image.degradation import kernel_values
from rs_superres.image.radiometry import eroded, weigh_colours
from rs_superres.image.resampling import cubic_over_holes
from rs_superres.raster import Source, opacity, visible
from rs_superres.types import Doubles, Indices, Valid, Values

HALO = 6
"""Source pixels read around a block: for both cubic kernels, and for the reach of holes."""

HOLE_REACH = 3
"""Source pixels around a hole that are not compared: kernels up to Lanczos' mix the hole in."""

MASK_TOLERANCE = 2
"""Source pixels around a mask's edge that are not counted: methods round the edge differently."""

CUBIC = ConsistencyConfig()
"""Keys' cubic kernel, as wide as a source pixel: what a result is downsampled with by default."""

KERNEL_REACH = SUPPORT
"""Source pixels that the downsampling kernel reaches beyond a block."""

BLOCK_BYTES = 2**25
"""Approximate bytes of the result in one block."""

LARGEST_BLOCK_SIDE = 256
"""Source pixels on a side of a block, at most."""

PATCH_SIDE = 16
"""Source pixels on a side of the patches whose offset and gain are judged one by one.

The sides of blocks are multiples of it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceResultPair:
    """A source and its result, both open; band i of one corresponds to band i of the other."""

    source: Source
    result: Source
    zoom: Zoom
    """The mapping between the two grids."""
    bands: tuple[int, ...]
    """Indices of the bands that are compared, without alpha and classes."""
    classes: tuple[int, ...] = ()
    """Indices of the bands that hold classes or bits."""
    kernels: Mapping[int, ConsistencyConfig] = field(default_factory=dict)
    """The kernels that downsample the result's bands, by their indices; :data:`CUBIC` otherwise."""

    def blocks(self) -> Iterator[Window]:
        """Yield source windows, row by row, that cover what the result covers."""
        side = self.block_side
        rows, columns = (axis.covered() for axis in (self.zoom.rows, self.zoom.columns))
        for row in range(rows.start, rows.stop, side):
            for column in range(columns.start, columns.stop, side):
                yield Window(
                    row, column, min(side, rows.stop - row), min(side, columns.stop - column)
                )

    @property
    def block_side(self) -> int:
        """Source pixels on a side of a block: fewer for large scales and many bands."""
        pixels = BLOCK_BYTES / (self.result.description.pixel_bytes + 16)
        side = int(math.sqrt(pixels) / self.zoom.scale) // PATCH_SIDE * PATCH_SIDE
        return min(max(side, PATCH_SIDE), LARGEST_BLOCK_SIDE)

    def read(self, window: Window) -> ComparedBlock:
        """Read one block: a window of the source with its halo, and the result over it.

        Args:
            window: a window of the source, within what the result covers.

        Raises:
            RasterError: a raster cannot be read.
        """
        with_halo = Window(
            window.row - HALO,
            window.column - HALO,
            window.height + 2 * HALO,
            window.width + 2 * HALO,
        )
        source_values, source_valid = self.source.read_mirrored(with_halo)
        source_bands, result_bands = self.source.description.bands, self.result.description.bands
        source_valid = visible(source_bands, source_values, source_valid)
        alpha = np.where(source_valid, opacity(source_bands, source_values), 0.0)
        rows, columns = (
            _output_pixels(axis, start - KERNEL_REACH, count + 2 * KERNEL_REACH)
            for axis, start, count in (
                (self.zoom.rows, window.row, window.height),
                (self.zoom.columns, window.column, window.width),
            )
        )
        pixels = Window(rows.start, columns.start, len(rows), len(columns))
        result_values, result_valid = self.result.read(pixels)
        return ComparedBlock(
            zoom=self.zoom,
            kernels=self.kernels,
            window=window,
            pixels=pixels,
            source_values=weigh_colours(source_values, alpha),
            source_valid=source_valid,
            result_values=result_values,
            result_valid=visible(result_bands, result_values, result_valid),
            result_alpha=opacity(result_bands, result_values),
        )

    def in_source_units(self, band: int, values: Doubles) -> Doubles:
        """Convert a result's values to the source's units if their scale or offset tags differ."""
        before, after = self.source.description.bands[band], self.result.description.bands[band]
        if (before.scale, before.offset) == (after.scale, after.offset) or before.scale == 0:
            return values
        return (values * after.scale + after.offset - before.offset) / before.scale


def _output_pixels(axis: AxisMapping, start: int, count: int) -> range:
    """Return the output pixels that touch source pixels and whose centres lie in the source.

    Args:
        axis: the mapping between the two grids.
        start: the first source pixel; may lie outside the source.
        count: number of source pixels.
    """
    ends = max(start, 0), min(start + count, axis.source)
    first, last = (axis.edge(float(end)) for end in ends)
    # A centre exactly on the border is inside for some methods and outside for others: leave it.
    if ends[0] == 0:
        first = math.ceil(first - 0.5 + SNAP)
    if ends[1] == axis.source:
        last = math.ceil(last - 0.5 - SNAP)
    return range(max(0, math.floor(first)), min(axis.size, math.ceil(last)))


def _downsampling_weights(
    kernel: ConsistencyConfig,
    axis: AxisMapping,
    source_pixels: range,
    output_pixels: range,
    shift: float,
) -> csr_array:
    """Return the weights of a kernel: (source pixel, output pixel).

    Args:
        kernel: the kernel.
        axis: the mapping between the two grids.
        source_pixels: the pixels that are computed.
        output_pixels: the pixels that are weighed.
        shift: displacement of the result along the axis, source pixels, which the weights undo.
    """
    centres = np.array([axis.edge(pixel + 0.5 + shift) for pixel in source_pixels])
    pixels = np.arange(output_pixels.start, output_pixels.stop) + 0.5
    apart = np.abs(pixels - centres[:, None])
    weights = kernel_values(kernel.kernel, apart, 1 / axis.step, mtf=kernel.mtf)
    weights[apart * axis.step >= KERNEL_REACH] = 0  # where the correction of a result cuts it too
    # Sparse: a source pixel depends on few output pixels.
    return csr_array(weights / weights.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Downsampling:
    """The linear map from a block's output pixels to its source pixels."""

    rows: csr_array
    """(source row, output row) weights."""
    columns: csr_array
    """(source column, output column) weights."""

    def __call__(self, image: Doubles) -> Doubles:
        """Downsample one band, (y, x) on output pixels to (y, x) on source pixels."""
        downsampled: Doubles = (self.columns @ (self.rows @ image).T).T
        return downsampled

    def touched(self, mask: Valid) -> Valid:
        """Return which source pixels depend on any output pixel of a mask, (y, x) each."""
        rows, columns = (m.astype(np.bool_).astype(np.float64) for m in (self.rows, self.columns))
        touched: Valid = (columns @ (rows @ mask.astype(np.float64)).T).T > 0
        return touched


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedBlock:
    """A window of the source with its halo, and the result's pixels over it."""

    zoom: Zoom
    """The mapping between the two grids."""
    window: Window
    """The window of the source, without the halo."""
    pixels: Window
    """The window of the result: all pixels that the downsampling kernel reaches."""
    source_values: Values
    """(band, y, x) values of the source with a halo, mirrored beyond the scene's border.

    Colours under partial alpha are weighed by it.
    """
    source_valid: Valid
    """(band, y, x) validity of the source, with a halo; False where it is transparent."""
    result_values: Values
    """(band, y, x) values of the result."""
    result_valid: Valid
    """(band, y, x) validity of the result; False where it is transparent."""
    result_alpha: Doubles
    """(band, y, x) alpha of the result's bands, 0 where transparent; 1 without an alpha band."""
    kernels: Mapping[int, ConsistencyConfig] = field(default_factory=dict)
    """The kernels that downsample the result's bands; see :class:`SourceResultPair`."""

    def kernel(self, band: int) -> ConsistencyConfig:
        """Return the kernel that downsamples a band of the result."""
        return self.kernels.get(band, CUBIC)

    def source(self, band: int) -> Doubles:
        """Return the source's values in the window, (y, x), float64."""
        return self.source_values[band, HALO:-HALO, HALO:-HALO].astype(np.float64)

    def result(self, band: int) -> Doubles:
        """Return the result's values, (y, x), float64; 0 for NaN and infinity."""
        values = self.result_values[band].astype(np.float64)
        return np.where(np.isfinite(values), values, 0.0)

    def reference(self, band: int, dtype: str) -> Doubles:
        """Return plain cubic interpolation of the source on the result's pixels, (y, x).

        Args:
            band: index of the band.
            dtype: the values are rounded and clipped as for this dtype.
        """
        values, valid = self.source_values[band], self.source_valid[band]
        rows = AxisSupport(
            self.window.row - HALO,
            values.shape[0],
            self.zoom.rows.positions(self.pixels.row, self.pixels.height),
        )
        columns = AxisSupport(
            self.window.column - HALO,
            values.shape[1],
            self.zoom.columns.positions(self.pixels.column, self.pixels.width),
        )
        interpolated = cubic_over_holes(values, valid, rows, columns, HALO)
        if np.dtype(dtype).kind in "iu":
            limits = np.iinfo(dtype)
            interpolated = np.rint(interpolated.clip(limits.min, limits.max))
        return interpolated

    def downsampling(
        self,
        kernel: ConsistencyConfig = CUBIC,
        row_shift: float = 0.0,
        column_shift: float = 0.0,
    ) -> Downsampling:
        """Return the map that downsamples the result, after undoing a shift in source pixels."""
        window, pixels = self.window, self.pixels
        return Downsampling(
            rows=_downsampling_weights(
                kernel,
                self.zoom.rows,
                range(window.row, window.row + window.height),
                range(pixels.row, pixels.row + pixels.height),
                row_shift,
            ),
            columns=_downsampling_weights(
                kernel,
                self.zoom.columns,
                range(window.column, window.column + window.width),
                range(pixels.column, pixels.column + pixels.width),
                column_shift,
            ),
        )

    def usable(self, band: int) -> Valid:
        """Return which source pixels can be compared, (y, x).

        They are valid in both rasters and far enough from any hole.
        """
        usable = eroded(self.source_valid[band], HOLE_REACH)[HALO:-HALO, HALO:-HALO]
        missing = ~self.result_valid[band]
        if missing.any():
            usable = usable & ~self.downsampling().touched(missing)
        return usable

    def source_indices(self) -> tuple[Indices, Indices, Valid]:
        """Locate the source pixel under each of the result's pixels.

        Returns:
            Row indices, (y, 1), and column indices, (1, x), into the source's arrays with their
            halo; and which of the result's pixels lie over the window itself, (y, x).
        """
        rows = self.zoom.rows.under(self.pixels.row, self.pixels.height) - self.window.row
        columns = self.zoom.columns.under(self.pixels.column, self.pixels.width)
        columns = columns - self.window.column
        over_window = np.logical_and.outer(
            (rows >= 0) & (rows < self.window.height),
            (columns >= 0) & (columns < self.window.width),
        )
        return (rows + HALO)[:, None], (columns + HALO)[None], over_window
