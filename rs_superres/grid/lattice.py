"""The lattice of cells that the output is computed in, and the source pixels that each cell reads.

The whole output grid has one lattice, anchored at its first pixel. A cell is computed from the
source alone, with a halo as wide as the networks' receptive field. So cells need no blending, can
be computed in any order or on different machines, and a window of the output needs only the cells
that overlap it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rs_superres.grid.grid import AxisMapping, Shape, Window
from rs_superres.types import Valid, Values

SMALLEST = 64
"""Sides of cells are multiples of this many output pixels, which suits U-Nets of up to 7 levels."""


def _rounded_up(value: int, multiple: int) -> int:
    """Return the smallest multiple that is at least ``value``."""
    return -(-value // multiple) * multiple


@dataclass(frozen=True, slots=True)
class Lattice:
    """A division of the output grid into cells of one shape.

    Cell (i, j) covers the output pixels from row i x cell.height and column j x cell.width on.
    Every cell has the full shape, so those in the last row and column can extend beyond the output.
    """

    shape: Shape
    """Shape of the output grid in output pixels."""
    cell: Shape
    """Shape of each cell in output pixels."""

    @classmethod
    def over(cls, shape: Shape, side: int) -> Lattice:
        """Divide an output grid into as few cells of at most ``side`` pixels as cover it.

        Along each axis, n = ceil(extent / side) cells are needed. The extent is shared evenly among
        them: a cell's side is extent / n, rounded up to a multiple of :data:`SMALLEST`.

        Args:
            shape: shape of the output grid.
            side: largest side of a cell in output pixels, a multiple of :data:`SMALLEST`.
        """
        height, width = (
            _rounded_up(-(-extent // -(-extent // side)), SMALLEST)
            for extent in (shape.height, shape.width)
        )
        return cls(shape, Shape(height, width))

    @property
    def rows(self) -> int:
        """Number of rows of cells."""
        return -(-self.shape.height // self.cell.height)

    @property
    def columns(self) -> int:
        """Number of columns of cells."""
        return -(-self.shape.width // self.cell.width)

    def parts(self, window: Window) -> Iterator[CellPart]:
        """Yield the part of each cell that lies in a window, row by row.

        The parts cover every pixel of the window exactly once.
        """
        for cell in self.cells(window):
            shared = cell.intersection(window)
            if shared is not None:
                yield CellPart(cell, shared.relative_to(cell), shared.relative_to(window))

    def cells(self, window: Window | None = None) -> Cells:
        """Return the cells that overlap a window of the output; all cells without a window."""
        return Cells(self, window or Window(0, 0, self.shape.height, self.shape.width))


class CellPart(NamedTuple):
    """The rectangle that a cell and a window share, counted from the first pixel of either.

    ``array_of_window[part.in_window.slices] = array_of_cell[part.in_cell.slices]`` copies it.
    """

    cell: Window
    """The complete cell, in output pixels."""
    in_cell: Window
    """The shared rectangle, counted from the cell's first pixel."""
    in_window: Window
    """The shared rectangle, counted from the window's first pixel."""


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a lattice that overlap a window, as a sized iterable of windows.

    Iteration goes row by row. Each cell has its full shape, even where it extends beyond the
    window or the output.
    """

    lattice: Lattice
    window: Window
    """A window of the output, in output pixels."""

    def starts(self) -> tuple[range, range]:
        """Return the first output row of each row of cells, and the first column of each column."""
        cell, window = self.lattice.cell, self.window
        return (
            range(window.row // cell.height * cell.height, window.row + window.height, cell.height),
            range(
                window.column // cell.width * cell.width, window.column + window.width, cell.width
            ),
        )

    def __len__(self) -> int:
        rows, columns = self.starts()
        return len(rows) * len(columns)

    def __iter__(self) -> Iterator[Window]:
        rows, columns = self.starts()
        cell = self.lattice.cell
        for row in rows:
            for column in columns:
                yield Window(row, column, cell.height, cell.width)


@dataclass(frozen=True, slots=True)
class AxisSupport:
    """The source pixels to read along one axis, and where output pixels lie among them.

    Output pixel k lies at index ``positions[k] - start`` of the array that was read, which holds
    the source pixels start .. start + count - 1.
    """

    start: int
    """First source pixel to read; negative where the halo extends beyond the source."""
    count: int
    """Number of source pixels to read; the same for every cell of a lattice."""
    positions: npt.NDArray[np.float64]
    """(n,) centres of the output pixels, margins included, as positions in source pixels."""


class WindowAxis(NamedTuple):
    """One axis of a window of a result, and the source pixels that are read for it."""

    mapping: AxisMapping
    """The map from output pixels to source positions."""
    pixels: range
    """The window's output pixels, which may lie beyond the output."""
    source: range
    """The source pixels, which may lie beyond the source, where it is mirrored."""


def axis_support(
    axis: AxisMapping, start: int, count: int, *, margin: int, halo: int
) -> AxisSupport:
    """Return what a cell needs of the source along one axis.

    With p the positions of the output pixels start - margin .. start + count + margin - 1, the
    first source pixel is floor(p[0]) - halo, and the number of source pixels is
    :meth:`AxisMapping.reach` of count + 2 margin pixels, plus 2 halo.

    Args:
        axis: the map from output pixels to source positions.
        start: the cell's first output pixel.
        count: the cell's side in output pixels.
        margin: output pixels that are computed on either side of the cell and dropped.
        halo: source pixels on either side that a value depends on, beyond the two neighbours.
    """
    pixels = count + 2 * margin
    positions = axis.positions(start - margin, pixels)
    first = int(np.floor(positions[0]))
    return AxisSupport(first - halo, axis.reach(pixels) + 2 * halo, positions)


def reflected(start: int, count: int, size: int) -> npt.NDArray[np.int64]:
    """Return source pixels start .. start + count - 1, mirrored at the edges of the source.

    The edge pixel is repeated (NumPy's "symmetric" padding), and the mirror image continues in both
    directions without end: ... 1 0 | 0 1 ... n-1 | n-1 n-2 ... So edges are neither cut nor
    darkened.

    Args:
        start: first source pixel; may be negative.
        count: number of source pixels.
        size: number of pixels that the source has along this axis.

    Returns:
        (count,) indices from 0 to size - 1.
    """
    index = np.arange(start, start + count, dtype=np.int64) % (2 * size)
    return np.where(index < size, index, 2 * size - 1 - index)


def evenly_spaced(size: int, side: int, most: int) -> list[int]:
    """Return the starts of evenly spaced spans along an axis, the first at 0.

    Args:
        size: length of the axis.
        side: length of a span. With more than one span, the last ends at ``size``.
        most: largest number of spans; fewer if fewer cover the axis.
    """
    count = min(most, -(-size // side))
    return [round(i * (size - side) / max(1, count - 1)) for i in range(count)]


def covered(window: Window, shape: Shape) -> Window:
    """Return the smallest window within the source that :func:`read_mirrored` has to read.

    Args:
        window: the requested window, in source pixels; it may extend beyond the source.
        shape: shape of the source.
    """
    rows = reflected(window.row, window.height, shape.height)
    columns = reflected(window.column, window.width, shape.width)
    top, left = int(rows.min()), int(columns.min())
    return Window(top, left, int(rows.max()) - top + 1, int(columns.max()) - left + 1)


def read_mirrored(
    read: Callable[[Window], tuple[Values, Valid]], window: Window, shape: Shape
) -> tuple[Values, Valid]:
    """Read a window of a source that continues beyond its edges as its mirror image.

    ``read`` is called once.

    Args:
        read: reads values and validity, each (band, y, x), of a window within the source.
        window: the requested window, in source pixels; it may extend beyond the source.
        shape: shape of the source.

    Returns:
        Values and validity of the requested window, each (band, y, x).
    """
    inside = covered(window, shape)
    values, valid = read(inside)
    rows = reflected(window.row, window.height, shape.height) - inside.row
    columns = reflected(window.column, window.width, shape.width) - inside.column
    take = np.ix_(np.arange(len(values)), rows, columns)
    return values[take], valid[take]
