"""A result and its source, read side by side in blocks, and brought to one grid."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rs_superres.grid import SNAP, AxisMapping, AxisSupport, Window, Zoom
from rs_superres.image.degradation import kernel_weights
from rs_superres.image.radiometry import eroded, fill_holes
from rs_superres.image.resampling import cubic
from rs_superres.raster import Source
from rs_superres.types import Doubles, Indices, Valid, Values

HALO = 6
"""Source pixels around a block: the kernels of both ways, and the reach of a hole."""

REACH = 3
"""Source pixels around a hole that are not compared: kernels up to Lanczos' mix it in there."""

MARGIN = 2
"""Source pixels around a mask's edge that say nothing: methods round it differently."""

KERNEL = 2
"""Source pixels that the cubic kernel reaches."""

BLOCK_BYTES = 2**25
"""Of the result in one block, roughly."""

PLACE = 16
"""Source pixels: the side of the places that are compared one by one; blocks are multiples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceResultPair:
    """Both rasters, open; band i of one is band i of the other."""

    source: Source
    out: Source
    zoom: Zoom
    bands: tuple[int, ...]
    """Indices of the bands that are compared: all but alpha."""

    def blocks(self) -> Iterator[Window]:
        """Windows of the source that together cover what the result covers, in rows."""
        side = self.block_side
        rows, columns = (axis.covered() for axis in (self.zoom.rows, self.zoom.columns))
        for row in range(rows.start, rows.stop, side):
            for column in range(columns.start, columns.stop, side):
                yield Window(
                    row, column, min(side, rows.stop - row), min(side, columns.stop - column)
                )

    @property
    def block_side(self) -> int:
        """Source pixels of a block's side: fewer at large scales and of many bands."""
        pixels = BLOCK_BYTES / (self.out.description.pixel_bytes + 16)
        side = int(math.sqrt(pixels) / self.zoom.scale) // PLACE * PLACE
        return min(max(side, PLACE), 256)

    def read(self, window: Window) -> ComparedBlock:
        """Read one block, with what lies around it."""
        around = Window(
            window.row - HALO,
            window.column - HALO,
            window.height + 2 * HALO,
            window.width + 2 * HALO,
        )
        values, valid = self.source.read_mirrored(around)
        rows = _pixels(self.zoom.rows, window.row - KERNEL, window.height + 2 * KERNEL)
        columns = _pixels(self.zoom.columns, window.column - KERNEL, window.width + 2 * KERNEL)
        pixels = Window(rows.start, columns.start, len(rows), len(columns))
        made, made_valid = self.out.read(pixels)
        return ComparedBlock(
            zoom=self.zoom,
            window=window,
            pixels=pixels,
            values=values,
            valid=seen(self.source, values, valid),
            made=made,
            made_valid=seen(self.out, made, made_valid),
        )

    def converted(self, band: int, made: Doubles) -> Doubles:
        """A result's numbers in those of the source, where their tags scale them differently."""
        here, there = self.source.description.bands[band], self.out.description.bands[band]
        if (here.scale, here.offset) == (there.scale, there.offset) or here.scale == 0:
            return made
        return (made * there.scale + there.offset - here.offset) / here.scale


def seen(raster: Source, values: Values, valid: Valid) -> Valid:
    """Validity with what is fully transparent taken out, (band, y, x)."""
    for i, band in enumerate(raster.description.bands):
        if band.is_alpha:
            valid = valid & (values[i] > 0)
    return valid


def _pixels(axis: AxisMapping, cell: int, count: int) -> range:
    """The result's pixels that touch some source pixels, their centres inside the source."""
    cells = max(cell, 0), min(cell + count, axis.source)
    first, last = (axis.edge(float(c)) for c in cells)
    if cells[0] == 0:
        first = math.ceil(first - 0.5 + SNAP)
    if cells[1] == axis.source:
        # A centre on the border is inside for some methods, outside for others.
        last = math.ceil(last - 0.5 - SNAP)
    return range(max(0, math.floor(first)), min(axis.size, math.ceil(last)))


def weights(axis: AxisMapping, cells: range, pixels: range, shift: float = 0.0) -> Doubles:
    """Keys' cubic as wide as a source pixel, which brings a result back: (cell, pixel).

    Args:
        axis: the result among the source.
        cells: source pixels.
        pixels: those of the result that are weighed.
        shift: source pixels by which the result is taken to lie too far on.
    """
    centres = np.array([axis.edge(cell + 0.5 + shift) for cell in cells])
    return kernel_weights(
        "bicubic", centres, 1 / axis.step, np.arange(pixels.start, pixels.stop) + 0.5
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedBlock:
    """A window of the source, its surroundings, and the result's pixels over it."""

    zoom: Zoom
    window: Window
    """Of the source."""
    pixels: Window
    """Of the result: whatever the kernel reaches."""
    values: Values
    """(band, y, x) of the source, mirrored beyond its border, with a halo."""
    valid: Valid
    made: Values
    """(band, y, x) of the result."""
    made_valid: Valid

    def source(self, band: int) -> Doubles:
        """The window's source, (y, x), float64."""
        return self.values[band, HALO:-HALO, HALO:-HALO].astype(np.float64)

    def reference(self, band: int, dtype: str) -> Doubles:
        """Plain cubic interpolation on the result's pixels, (y, x), rounded as the dtype is."""
        valid = self.valid[[band]]
        values = np.where(valid, self.values[[band]], 0).astype(np.float64)
        if not valid.all():
            middle = values[valid].mean() if valid.any() else 0.0
            values = fill_holes(np.where(valid, values - middle, 0.0), valid, HALO) + middle
        rows = AxisSupport(
            self.window.row - HALO,
            values.shape[1],
            self.zoom.rows.positions(self.pixels.row, self.pixels.height),
        )
        columns = AxisSupport(
            self.window.column - HALO,
            values.shape[2],
            self.zoom.columns.positions(self.pixels.column, self.pixels.width),
        )
        out: Doubles = cubic(values, rows, columns)[0]
        if np.dtype(dtype).kind in "iu":
            limits = np.iinfo(dtype)
            out = np.rint(out.clip(limits.min, limits.max))
        return out

    def result(self, band: int) -> Doubles:
        """The result's pixels, (y, x), float64; 0 where they are no number."""
        made = self.made[band].astype(np.float64)
        return np.where(np.isfinite(made), made, 0.0) if self.made.dtype.kind == "f" else made

    def operators(self, rows: float = 0.0, columns: float = 0.0) -> tuple[Doubles, Doubles]:
        """The matrices that bring the result back, from a place shifted by source pixels."""
        window, pixels = self.window, self.pixels
        return (
            weights(self.zoom.rows, _range(window.row, window.height),
                    _range(pixels.row, pixels.height), rows),
            weights(self.zoom.columns, _range(window.column, window.width),
                    _range(pixels.column, pixels.width), columns),
        )  # fmt: skip

    def sound(self, band: int) -> Valid:
        """Source pixels that can be compared: valid in both and far from any hole, (y, x)."""
        inner = np.s_[HALO:-HALO, HALO:-HALO]
        good = eroded(self.valid[band], REACH)[inner]
        missing = ~self.made_valid[band]
        if missing.any():
            rows, columns = (m != 0 for m in self.operators())
            good = good & ~((rows.astype(np.float32) @ missing.astype(np.float32))
                            @ columns.T.astype(np.float32) > 0)  # fmt: skip
        return good

    def under(self) -> tuple[Indices, Indices, Valid]:
        """Which of the block's source pixels lies under each of the result's, as indices.

        And which pixels of the result the block owns: those over its window, (y, x).
        """
        rows = self.zoom.rows.under(self.pixels.row, self.pixels.height) - self.window.row
        columns = self.zoom.columns.under(self.pixels.column, self.pixels.width)
        columns = columns - self.window.column
        own = np.logical_and.outer(
            (rows >= 0) & (rows < self.window.height),
            (columns >= 0) & (columns < self.window.width),
        )
        return (rows + HALO)[:, None], (columns + HALO)[None], own


def _range(start: int, count: int) -> range:
    """Numbers from a start."""
    return range(start, start + count)
