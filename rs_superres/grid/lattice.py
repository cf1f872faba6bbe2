"""The lattice: the cells that a scene is computed in, and what each reads of the source.

One lattice for the whole output grid, anchored at its first pixel. A cell is computed from the
source alone, with a halo that covers whatever the networks reach, so that cells need no blending
and no order: any of them can be computed anywhere, and a window of the scene takes those it meets.
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
"""Pixels: cell sides are multiples of it, which suits any U-Net of up to seven levels."""


def _rounded_up(value: int, multiple: int) -> int:
    """The least multiple that is not below a value."""
    return -(-value // multiple) * multiple


@dataclass(frozen=True, slots=True)
class Lattice:
    """Equal cells over an output grid; those at its far borders may stand out."""

    shape: Shape
    """Of the output grid."""
    cell: Shape
    """Of every cell."""

    @classmethod
    def over(cls, shape: Shape, side: int) -> Lattice:
        """Cells of at most ``side`` pixels, the scene's sides shared out evenly among them.

        Rounded up to a multiple of :data:`SMALLEST`, as ``side`` should be.
        """
        height, width = (
            _rounded_up(-(-extent // -(-extent // side)), SMALLEST)
            for extent in (shape.height, shape.width)
        )
        return cls(shape, Shape(height, width))

    @property
    def rows(self) -> int:
        """How many rows of cells."""
        return -(-self.shape.height // self.cell.height)

    @property
    def columns(self) -> int:
        """How many columns of cells."""
        return -(-self.shape.width // self.cell.width)

    def parts(self, window: Window) -> Iterator[CellPart]:
        """Yield the part of each cell that lies in a window, row by row; the parts tile it."""
        for cell in self.cells(window):
            shared = cell.intersection(window)
            if shared is not None:
                yield CellPart(cell, shared.relative_to(cell), shared.relative_to(window))

    def cells(self, window: Window | None = None) -> Cells:
        """The cells that meet a window; all without one."""
        return Cells(self, window or Window(0, 0, self.shape.height, self.shape.width))


class CellPart(NamedTuple):
    """The part of one cell that lies in a window."""

    cell: Window
    """The entire cell, output pixels."""
    in_cell: Window
    """The part, counted from the cell's first pixel."""
    in_window: Window
    """The part, counted from the window's first pixel."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Those cells of a lattice that meet a window, row by row, each at its full size."""

    lattice: Lattice
    window: Window

    def starts(self) -> tuple[range, range]:
        """First rows and first columns of the cells."""
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
    """The source cells and the positions along one axis, for one cell of the lattice."""

    start: int
    """First source cell that is read; may be negative."""
    count: int
    """How many are read, the same for every cell of a lattice."""
    positions: npt.NDArray[np.float64]
    """Output pixel centres, in source cells."""


def axis_support(
    axis: AxisMapping, start: int, count: int, *, margin: int, halo: int
) -> AxisSupport:
    """What output pixels start .. start + count - 1, and a margin around them, ask of the source.

    Args:
        axis: the output among the source.
        start: first output pixel.
        count: how many.
        margin: output pixels computed on either side and dropped later.
        halo: source cells that a value depends on, on either side.
    """
    pixels = count + 2 * margin
    positions = axis.positions(start - margin, pixels)
    first = int(np.floor(positions[0]))
    return AxisSupport(first - halo, axis.reach(pixels) + 2 * halo, positions)


def reflected(start: int, count: int, size: int) -> npt.NDArray[np.int64]:
    """Source cells start .. start + count - 1 with those outside mirrored at the border.

    The scene goes on beyond its border as its mirror image (the border cell twice), as often as
    needed, so that nothing is cut or dimmed there.
    """
    index = np.arange(start, start + count, dtype=np.int64) % (2 * size)
    return np.where(index < size, index, 2 * size - 1 - index)


def evenly_spaced(size: int, side: int, most: int) -> list[int]:
    """Evenly spread starts of spans of ``side`` along an axis: as many as cover it, or ``most``."""
    count = min(most, -(-size // side))
    return [round(i * (size - side) / max(1, count - 1)) for i in range(count)]


def covered(window: Window, shape: Shape) -> Window:
    """The part of a scene that a window of it and its mirror images shows."""
    rows = reflected(window.row, window.height, shape.height)
    columns = reflected(window.column, window.width, shape.width)
    top, left = int(rows.min()), int(columns.min())
    return Window(top, left, int(rows.max()) - top + 1, int(columns.max()) - left + 1)


def read_mirrored(
    read: Callable[[Window], tuple[Values, Valid]], window: Window, shape: Shape
) -> tuple[Values, Valid]:
    """Read any window of a scene that goes on beyond its border as its mirror image.

    Args:
        read: gives values and validity, (band, y, x) each, of a window within the scene.
        window: what is wanted; it may stand out.
        shape: of the scene.
    """
    inside = covered(window, shape)
    values, valid = read(inside)
    rows = reflected(window.row, window.height, shape.height) - inside.row
    columns = reflected(window.column, window.width, shape.width) - inside.column
    take = np.ix_(np.arange(len(values)), rows, columns)
    return values[take], valid[take]
