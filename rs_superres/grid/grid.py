"""Grids: a raster's shape and place, and how the pixels of a finer grid lie among its own.

Pixel coordinates count from the upper left corner of the first pixel; positions count in cells
with a cell's centre at its integer. The corners of a scene never move.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from affine import Affine

from rs_superres.errors import InputError

SNAP = 1e-6
"""Pixels: a bound this near to a pixel's edge lies on it, a side this near to the next half too."""

LARGEST_SIDE = 2**31 - 1
"""Pixels: GDAL counts them in 32 bits."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Height and width in pixels."""

    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of pixels: where it starts and how large it is."""

    row: int
    column: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns as array indices."""
        return (
            slice(self.row, self.row + self.height),
            slice(self.column, self.column + self.width),
        )

    def intersection(self, other: Window) -> Window | None:
        """What two windows share; None where that is nothing."""
        row, column = max(self.row, other.row), max(self.column, other.column)
        height = min(self.row + self.height, other.row + other.height) - row
        width = min(self.column + self.width, other.column + other.width) - column
        return Window(row, column, height, width) if height > 0 and width > 0 else None

    def relative_to(self, other: Window) -> Window:
        """The same rectangle counted from another's first pixel."""
        return Window(self.row - other.row, self.column - other.column, self.height, self.width)


@dataclass(frozen=True, slots=True)
class Grid:
    """Where a raster's pixels lie on the ground."""

    shape: Shape
    transform: Affine | None
    """Pixel (column, row) to map coordinates; None where there is none."""
    crs: str | None = None
    """The coordinate reference system as WKT; None where there is none."""

    @property
    def window(self) -> Window:
        """All of it."""
        return Window(0, 0, self.shape.height, self.shape.width)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top of its corners' bounding box, in units of the CRS.

        Raises:
            InputError: there is no transform.
        """
        if self.transform is None:
            raise InputError("bounds in map units need a georeferenced raster")
        corners = [
            self.transform @ (x, y) for x in (0, self.shape.width) for y in (0, self.shape.height)
        ]
        xs, ys = zip(*corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def crop(self, window: Window) -> Grid:
        """The grid of a window."""
        transform = self.transform
        if transform is not None:
            transform = transform @ Affine.translation(window.column, window.row)
        return Grid(Shape(window.height, window.width), transform, self.crs)

    def window_of(self, bounds: tuple[float, float, float, float]) -> Window:
        """The pixels that map bounds touch, snapped outward.

        Args:
            bounds: left, bottom, right, top in the units of the CRS.

        Raises:
            InputError: there is no transform, or the bounds miss the grid.
        """
        if self.transform is None:
            raise InputError("bounds in map units need a georeferenced raster")
        left, bottom, right, top = bounds
        inverse = ~self.transform
        corners = [inverse @ (x, y) for x in (left, right) for y in (bottom, top)]
        columns, rows = zip(*corners, strict=True)
        return self.snapped((min(rows), min(columns), max(rows), max(columns)))

    def snapped(self, box: tuple[float, float, float, float]) -> Window:
        """The pixels that a box of pixel coordinates touches, within the grid.

        Args:
            box: top, left, bottom, right; rows count downwards.

        Raises:
            InputError: the box is empty or misses the grid.
        """
        top, left = (math.floor(v + SNAP) for v in box[:2])
        bottom, right = (math.ceil(v - SNAP) for v in box[2:])
        found = Window(top, left, bottom - top, right - left).intersection(self.window)
        if found is None:
            raise InputError(
                f"the bounds cover pixel rows {top} to {bottom} and columns {left} to {right}, "
                f"none of the raster's {self.shape.height} x {self.shape.width}"
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisMapping:
    """How the pixels of an output axis lie along the source's.

    The centre of output pixel o stands at ((2 o + 1) a + b) / d source cells. For a scale the
    three are integers, so the one rounding is that of the division.
    """

    source: int
    """Cells of the source."""
    size: int
    """Pixels of the output."""
    a: float
    b: float
    d: float

    @classmethod
    def over_extent(cls, source: int, size: int) -> AxisMapping:
        """``size`` pixels over exactly the extent of ``source`` cells."""
        return cls(source=source, size=size, a=float(source), b=float(-size), d=2.0 * size)

    @classmethod
    def stepping(cls, source: int, size: int, *, step: float, start: float) -> AxisMapping:
        """Pixels of ``step`` cells; the first one's edge at cell coordinate ``start``."""
        return cls(source=source, size=size, a=step / 2, b=start - 0.5, d=1.0)

    @property
    def step(self) -> float:
        """An output pixel's size in source cells."""
        return 2 * self.a / self.d

    def positions(self, start: int, count: int) -> npt.NDArray[np.float64]:
        """Where output pixels start .. start + count - 1 stand, in source cells."""
        pixels = np.arange(start, start + count, dtype=np.float64)
        return ((2 * pixels + 1) * self.a + self.b) / self.d

    def reach(self, count: int) -> int:
        """Cells that any ``count`` pixels in a row lie between: the same for all windows."""
        return math.ceil((count - 1) * self.step) + 2

    def under(self, start: int, count: int) -> npt.NDArray[np.int64]:
        """The source cell under each pixel's centre; outside 0 .. source - 1 there is none.

        A centre on the line between two cells is the latter's, on the far border the last one's.
        """
        place = self.positions(start, count) + 0.5
        cells = np.floor(place).astype(np.int64)
        return np.where(np.abs(place - self.source) <= SNAP, self.source - 1, cells)

    def part(self, start: int, size: int) -> AxisMapping:
        """``size`` of the output's pixels, counted from number ``start``."""
        return replace(self, size=size, b=self.b + 2 * start * self.a)

    def covered(self) -> range:
        """The source cells that lie whole in the output."""
        first = self.positions(0, 1)[0] + 0.5 - self.step / 2
        last = first + self.size * self.step
        slack = SNAP + self.step * 1e-3
        return range(max(0, math.ceil(first - slack)), min(self.source, math.floor(last + slack)))

    def edge(self, cell: float) -> float:
        """The output pixel coordinate of a source pixel coordinate."""
        return ((cell - 0.5) * self.d - self.b) / (2 * self.a)


@dataclass(frozen=True, slots=True, kw_only=True)
class Zoom:
    """A source grid, the output grid over it, and the two axes between them."""

    source: Grid
    output: Grid
    rows: AxisMapping
    columns: AxisMapping

    @property
    def scale(self) -> float:
        """The magnification: the geometric mean of both axes' true ratios."""
        return 1 / math.sqrt(self.rows.step * self.columns.step)

    @property
    def inside(self) -> bool:
        """Whether every output pixel's centre stands in the source."""
        return all(
            axis.under(0, 1)[0] >= 0 and axis.under(axis.size - 1, 1)[0] < axis.source
            for axis in (self.rows, self.columns)
        )

    def part(self, window: Window) -> Zoom:
        """A window of the output among the whole source."""
        return Zoom(
            source=self.source,
            output=self.output.crop(window),
            rows=self.rows.part(window.row, window.height),
            columns=self.columns.part(window.column, window.width),
        )

    @classmethod
    def by_scale(cls, source: Grid, scale: str | float | Fraction) -> Zoom:
        """Enlarge by a factor: each side becomes round-half-up(side x scale), the extent stays.

        Raises:
            InputError: the scale is not a number above 1.
        """
        factor = exact_scale(scale)
        height, width = (
            math.floor(side * factor + Fraction(1, 2))
            for side in (source.shape.height, source.shape.width)
        )
        return cls.onto(source, _writable(Shape(height, width)))

    @classmethod
    def onto(cls, source: Grid, shape: Shape) -> Zoom:
        """Pixels of a shape over exactly the source's extent."""
        transform = source.transform
        if transform is not None:
            transform = transform @ Affine.scale(
                source.shape.width / shape.width, source.shape.height / shape.height
            )
        return cls(
            source=source,
            output=Grid(shape, transform, source.crs),
            rows=AxisMapping.over_extent(source.shape.height, shape.height),
            columns=AxisMapping.over_extent(source.shape.width, shape.width),
        )

    @classmethod
    def by_resolution(cls, source: Grid, x: float, y: float) -> Zoom:
        """Pixels of exactly this size from the same upper left corner.

        Args:
            source: georeferenced.
            x: size along a row, in units of the CRS.
            y: size along a column.

        Raises:
            InputError: no georeference, or the pixel is not finer than the source's.
        """
        t = _georeferenced(source, "--res")
        sizes = math.hypot(t.a, t.d), math.hypot(t.b, t.e)
        if not (0 < x < sizes[0] and 0 < y < sizes[1]):
            raise InputError(
                f"resolution {x:g} x {y:g}, expected above 0 and finer than the source's "
                f"{sizes[0]:g} x {sizes[1]:g}"
            )
        steps = x / sizes[0], y / sizes[1]
        width, height = (
            # 7 pixels of 0.3 at 0.2 are 10.5, rounded up, though 0.3 is not 3/10 in a double.
            math.floor(side * size / wanted + 0.5 + SNAP)
            for side, size, wanted in (
                (source.shape.width, sizes[0], x),
                (source.shape.height, sizes[1], y),
            )
        )
        transform = t @ Affine.scale(*steps)
        if t.b == t.d == 0:
            transform = Affine(math.copysign(x, t.a), 0, t.c, 0, math.copysign(y, t.e), t.f)
        return cls(
            source=source,
            output=Grid(_writable(Shape(height, width)), transform, source.crs),
            rows=AxisMapping.stepping(source.shape.height, height, step=steps[1], start=0.0),
            columns=AxisMapping.stepping(source.shape.width, width, step=steps[0], start=0.0),
        )

    @classmethod
    def by_grid(cls, source: Grid, like: Grid) -> Zoom:
        """Exactly another raster's grid, in the same CRS.

        Raises:
            InputError: the grids are turned against each other, do not touch, or the other is
                not finer.
        """
        here, there = _georeferenced(source, "--like"), _georeferenced(like, "--like")
        between = ~here @ there
        if max(abs(between.b), abs(between.d)) * max(like.shape.width, like.shape.height) > SNAP:
            raise InputError("the --like grid is rotated against the source, expected parallel")
        if not (0 < between.a < 1 and 0 < between.e < 1):
            raise InputError(
                f"the --like pixels are {between.a:g} x {between.e:g} source pixels, expected "
                "above 0 and below 1, running the same way"
            )
        zoom = cls(
            source=source,
            output=like,
            rows=AxisMapping.stepping(
                source.shape.height, like.shape.height, step=between.e, start=between.f
            ),
            columns=AxisMapping.stepping(
                source.shape.width, like.shape.width, step=between.a, start=between.c
            ),
        )
        for axis in (zoom.rows, zoom.columns):
            cells = axis.under(0, axis.size)
            if cells[0] >= axis.source or cells[-1] < 0:
                raise InputError("the --like grid does not touch the source")
        return zoom


def exact_scale(scale: str | float | Fraction) -> Fraction:
    """A scale as the decimal that was written: 2.3 is 23/10.

    Raises:
        InputError: not a number above 1.
    """
    try:
        factor = Fraction(str(scale))
    except (ValueError, ZeroDivisionError):
        factor = Fraction(0)
    if factor <= 1:
        raise InputError(f"scale {scale}, expected a number above 1")
    return factor


def _writable(shape: Shape) -> Shape:
    """A shape that a raster file can have.

    Raises:
        InputError: a side is beyond what GDAL counts.
    """
    if max(shape.height, shape.width) > LARGEST_SIDE:
        raise InputError(
            f"the result would have a side of more than {LARGEST_SIDE} pixels, which no raster "
            "file holds; choose a smaller scale"
        )
    return shape


def _georeferenced(grid: Grid, wanted_by: str) -> Affine:
    """The transform of a grid that has a CRS too."""
    if grid.transform is None or grid.crs is None:
        raise InputError(f"{wanted_by} needs a raster with an affine transform and a CRS")
    return grid.transform
