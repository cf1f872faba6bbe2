"""Pixel grids: their shape, their georeference, and how output pixels map to source pixels.

Two ways to count along an axis are used:

- A *pixel coordinate* is 0 at the outer edge of the first pixel and 1 at that pixel's far edge,
  so pixel i has its centre at i + 0.5. Affine transforms take pixel coordinates.
- A *position* is 0 at the centre of the first source pixel, so source pixel i has its centre at i.
  Interpolation takes positions. A position is the pixel coordinate minus 0.5.
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
"""Tolerance in pixels: values this close to a pixel edge, or to a tie in rounding, count as on it.
"""

LARGEST_SIDE = 2**31 - 1
"""Longest side of a raster in pixels: GDAL stores sides as signed 32-bit integers."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Height and width in pixels."""

    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of pixels: its first row and column, and its height and width."""

    row: int
    column: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """The window's rows and columns as slices, to index a (y, x) array."""
        return (
            slice(self.row, self.row + self.height),
            slice(self.column, self.column + self.width),
        )

    def intersection(self, other: Window) -> Window | None:
        """Return the pixels that both windows share, or None if they share none."""
        row, column = max(self.row, other.row), max(self.column, other.column)
        height = min(self.row + self.height, other.row + other.height) - row
        width = min(self.column + self.width, other.column + other.width) - column
        return Window(row, column, height, width) if height > 0 and width > 0 else None

    def finer(self, factor: int) -> Window:
        """Return the same rectangle in smaller pixels, ``factor`` along a side of each."""
        return Window(
            self.row * factor, self.column * factor, self.height * factor, self.width * factor
        )

    def relative_to(self, other: Window) -> Window:
        """Return the same rectangle, counted from the first pixel of ``other``."""
        return Window(self.row - other.row, self.column - other.column, self.height, self.width)


@dataclass(frozen=True, slots=True)
class Grid:
    """A raster's shape and its position on the ground."""

    shape: Shape
    transform: Affine | None
    """From pixel coordinates (column, row) to map coordinates; None without a georeference."""
    crs: str | None = None
    """The coordinate reference system as WKT; None if unknown."""

    @property
    def window(self) -> Window:
        """The window that covers the whole grid."""
        return Window(0, 0, self.shape.height, self.shape.width)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """The bounding box of the grid's corners: left, bottom, right, top in units of the CRS.

        Raises:
            InputError: the grid has no transform.
        """
        if self.transform is None:
            raise InputError("bounds in map units need a georeferenced raster")
        corners = [
            self.transform @ (x, y) for x in (0, self.shape.width) for y in (0, self.shape.height)
        ]
        xs, ys = zip(*corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def coarser(self, factor: int) -> Grid:
        """Return the grid of larger pixels over the same extent.

        Args:
            factor: pixels along a side of a larger one; it divides both sides.
        """
        transform = self.transform
        if transform is not None and factor > 1:
            transform = transform @ Affine.scale(factor)
        shape = Shape(self.shape.height // factor, self.shape.width // factor)
        return Grid(shape, transform, self.crs)

    def crop(self, window: Window) -> Grid:
        """Return the grid of a window of this grid; the window may extend beyond the grid."""
        transform = self.transform
        if transform is not None:
            transform = transform @ Affine.translation(window.column, window.row)
        return Grid(Shape(window.height, window.width), transform, self.crs)

    def window_of(self, bounds: tuple[float, float, float, float]) -> Window | None:
        """Return the smallest window that covers map bounds, cut to the grid; None outside it.

        On a rotated grid the window covers the bounding box of the rotated rectangle.

        Args:
            bounds: left, bottom, right, top in units of the CRS.

        Raises:
            InputError: the grid has no transform.
        """
        if self.transform is None:
            raise InputError("bounds in map units need a georeferenced raster")
        left, bottom, right, top = bounds
        inverse = ~self.transform
        corners = [inverse @ (x, y) for x in (left, right) for y in (bottom, top)]
        columns, rows = zip(*corners, strict=True)
        return self.snapped((min(rows), min(columns), max(rows), max(columns)))

    def snapped(self, box: tuple[float, float, float, float]) -> Window | None:
        """Snap a box of pixel coordinates outward to whole pixels, and cut it to the grid.

        Args:
            box: top, left, bottom, right in pixel coordinates; rows count downwards.

        Returns:
            The window, or None if the box is empty or lies outside the grid.
        """
        top, left = (math.floor(v + SNAP) for v in box[:2])
        bottom, right = (math.ceil(v - SNAP) for v in box[2:])
        return Window(top, left, bottom - top, right - left).intersection(self.window)


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisMapping:
    """The linear map from output pixels to source positions along one axis, rows or columns.

    The centre of output pixel o lies at the position

        p(o) = ((2 o + 1) a + b) / d        in source pixels,

    where source pixel i has its centre at i. Over the same extent, n source pixels and N output
    pixels give p(o) = ((2 o + 1) n - N) / (2 N). Then a, b and d are integers, so the numerator is
    exact and only the division rounds.
    """

    source: int
    """Number of source pixels along the axis."""
    size: int
    """Number of output pixels along the axis."""
    a: float
    """Coefficient a of p(o): half an output pixel in source pixels, times d."""
    b: float
    """Coefficient b of p(o): the start of the output, times d."""
    d: float
    """Divisor d of p(o)."""

    @classmethod
    def over_extent(cls, source: int, size: int) -> AxisMapping:
        """Map ``size`` output pixels onto exactly the extent of ``source`` source pixels."""
        return cls(source=source, size=size, a=float(source), b=float(-size), d=2.0 * size)

    @classmethod
    def stepping(cls, source: int, size: int, *, step: float, start: float) -> AxisMapping:
        """Map ``size`` output pixels of a given size, from a given start.

        Args:
            source: number of source pixels.
            size: number of output pixels.
            step: size of an output pixel, in source pixels.
            start: source pixel coordinate of the first output pixel's outer edge.
        """
        return cls(source=source, size=size, a=step / 2, b=start - 0.5, d=1.0)

    @property
    def step(self) -> float:
        """Size of an output pixel in source pixels: 2 a / d, below 1 for super-resolution."""
        return 2 * self.a / self.d

    def positions(self, start: int, count: int) -> npt.NDArray[np.float64]:
        """Return the positions p(o) of output pixels start .. start + count - 1.

        Args:
            start: first output pixel; may be negative.
            count: number of output pixels; the last may lie beyond the output.

        Returns:
            (count,) positions in source pixels, increasing.
        """
        pixels = np.arange(start, start + count, dtype=np.float64)
        return ((2 * pixels + 1) * self.a + self.b) / self.d

    def reach(self, count: int) -> int:
        """Return how many source pixels linear interpolation of ``count`` output pixels reads.

        These are the source pixels before and after each position. The number does not depend on
        where the output pixels start, so all cells of a lattice read windows of one size.
        """
        return math.ceil((count - 1) * self.step) + 2

    def under(self, start: int, count: int) -> npt.NDArray[np.int64]:
        """Return which source pixel contains the centre of each of ``count`` output pixels.

        A centre on the edge between two source pixels belongs to the second one, and a centre on
        the far edge of the source to the last one.

        Returns:
            (count,) indices of source pixels; one outside 0 .. source - 1 means that the centre
            lies outside the source.
        """
        coordinates = self.positions(start, count) + 0.5
        pixels = np.floor(coordinates).astype(np.int64)
        return np.where(np.abs(coordinates - self.source) <= SNAP, self.source - 1, pixels)

    def part(self, start: int, size: int) -> AxisMapping:
        """Return the map of ``size`` output pixels from ``start`` on, counted from 0 again."""
        return replace(self, size=size, b=self.b + 2 * start * self.a)

    def coarser(self, factor: int) -> AxisMapping:
        """Return the map of the same output pixels to positions among larger source pixels.

        A position p becomes (p + 1/2) / factor - 1/2.

        Args:
            factor: source pixels in a larger one; it divides their number.
        """
        b = self.b + self.d / 2 * (1 - factor)
        return replace(self, source=self.source // factor, b=b, d=self.d * factor)

    def covered(self) -> range:
        """Return the source pixels that lie completely within the output's extent."""
        first = self.positions(0, 1)[0] + 0.5 - self.step / 2
        last = first + self.size * self.step
        slack = SNAP + self.step * 1e-3
        return range(max(0, math.ceil(first - slack)), min(self.source, math.floor(last + slack)))

    def edge(self, coordinate: float) -> float:
        """Convert a source pixel coordinate to the output's pixel coordinate."""
        return ((coordinate - 0.5) * self.d - self.b) / (2 * self.a)


@dataclass(frozen=True, slots=True, kw_only=True)
class Zoom:
    """A source grid, an output grid of finer pixels, and the map between them along each axis.

    The output pixel (row, column) has its centre at the source position
    (``rows.positions(row, 1)``, ``columns.positions(column, 1)``).
    """

    source: Grid
    output: Grid
    rows: AxisMapping
    columns: AxisMapping

    @property
    def scale(self) -> float:
        """The geometric mean of both axes' factors between source and output pixels.

        Rounding the sides to whole pixels makes it differ slightly from the requested scale.
        """
        return 1 / math.sqrt(self.rows.step * self.columns.step)

    @property
    def inside(self) -> bool:
        """True if the centre of every output pixel lies in the source."""
        return all(
            axis.under(0, 1)[0] >= 0 and axis.under(axis.size - 1, 1)[0] < axis.source
            for axis in (self.rows, self.columns)
        )

    def coarser(self, factor: int) -> Zoom:
        """Return the zoom to the same output from a source of larger pixels over the same extent.

        Args:
            factor: source pixels along a side of a larger one; it divides both sides.
        """
        return Zoom(
            source=self.source.coarser(factor),
            output=self.output,
            rows=self.rows.coarser(factor),
            columns=self.columns.coarser(factor),
        )

    def part(self, window: Window) -> Zoom:
        """Return the zoom from the same source to a window of the output."""
        return Zoom(
            source=self.source,
            output=self.output.crop(window),
            rows=self.rows.part(window.row, window.height),
            columns=self.columns.part(window.column, window.width),
        )

    @classmethod
    def by_scale(cls, source: Grid, scale: str | float | Fraction) -> Zoom:
        """Enlarge a grid by a factor and keep its extent.

        Each side becomes round-half-up(side x scale), computed exactly.

        Args:
            source: the grid to enlarge.
            scale: the factor, above 1; see :func:`exact_scale`.

        Raises:
            InputError: the scale is not a number above 1, or a side would exceed
                :data:`LARGEST_SIDE`.
        """
        factor = exact_scale(scale)
        height, width = (
            math.floor(side * factor + Fraction(1, 2))
            for side in (source.shape.height, source.shape.width)
        )
        return cls.onto(source, _checked(Shape(height, width)))

    @classmethod
    def onto(cls, source: Grid, shape: Shape) -> Zoom:
        """Divide the source's extent into an output grid of the given shape."""
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
    def by_resolution(cls, source: Grid, x: float, y: float, *, note: str = "") -> Zoom:
        """Cover the source with output pixels of exactly the given size.

        Both grids share the upper left corner. Each side is rounded half up to whole pixels, so
        the other corners can move by up to half an output pixel.

        Args:
            source: a georeferenced grid.
            x: size of an output pixel along a row, in units of the CRS.
            y: size of an output pixel along a column, in units of the CRS.
            note: end of the message if the size is not finer than the source's pixels.

        Raises:
            InputError: the source has no georeference, the size is not finer than the source's
                pixels, or a side would exceed :data:`LARGEST_SIDE`.
        """
        t = _georeferenced(source, "resolution=")
        sizes = math.hypot(t.a, t.d), math.hypot(t.b, t.e)
        if not (0 < x < sizes[0] and 0 < y < sizes[1]):
            raise InputError(
                f"resolution={x:g},{y:g}, expected above 0 and finer than the source's "
                f"{sizes[0]:g} x {sizes[1]:g}{note}"
            )
        steps = x / sizes[0], y / sizes[1]
        width, height = (
            # 7 pixels of 0.3 hold 10.5 of 0.2, which rounds up. In doubles it is just below 10.5.
            math.floor(side * source_size / output_size + 0.5 + SNAP)
            for side, source_size, output_size in (
                (source.shape.width, sizes[0], x),
                (source.shape.height, sizes[1], y),
            )
        )
        transform = t @ Affine.scale(*steps)
        if t.b == t.d == 0:
            # Write x and y exactly: 1.2 x (0.7 / 1.2) is not 0.7 in doubles.
            transform = Affine(math.copysign(x, t.a), 0, t.c, 0, math.copysign(y, t.e), t.f)
        return cls(
            source=source,
            output=Grid(_checked(Shape(height, width)), transform, source.crs),
            rows=AxisMapping.stepping(source.shape.height, height, step=steps[1], start=0.0),
            columns=AxisMapping.stepping(source.shape.width, width, step=steps[0], start=0.0),
        )

    @classmethod
    def by_grid(cls, source: Grid, like: Grid) -> Zoom:
        """Use exactly another raster's grid as the output grid.

        Args:
            source: a georeferenced grid.
            like: a georeferenced grid in the same CRS; the caller checks that.

        Raises:
            InputError: a grid has no georeference, the two are rotated against each other or do
                not overlap, or the pixels of ``like`` are not finer.
        """
        source_transform = _georeferenced(source, "like=")
        between = ~source_transform @ _georeferenced(like, "like=")
        if max(abs(between.b), abs(between.d)) * max(like.shape.width, like.shape.height) > SNAP:
            raise InputError("the like= grid is rotated against the source, expected parallel")
        if not (0 < between.a < 1 and 0 < between.e < 1):
            raise InputError(
                f"the like= pixels are {between.a:g} x {between.e:g} source pixels, expected "
                "above 0 and below 1, with rows and columns in the same directions"
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
            pixels = axis.under(0, axis.size)
            if pixels[0] >= axis.source or pixels[-1] < 0:
                raise InputError("the like= grid does not touch the source")
        return zoom


def exact_scale(scale: str | float | Fraction) -> Fraction:
    """Return a scale as the exact decimal that was written: 2.3 is 23/10.

    Raises:
        InputError: the scale is not a number above 1.
    """
    try:
        factor = Fraction(str(scale))
    except (ValueError, ZeroDivisionError):
        factor = Fraction(0)
    if factor <= 1:
        raise InputError(f"scale={scale}, expected a number above 1")
    return factor


def _checked(shape: Shape) -> Shape:
    """Return a shape if a raster file can have it.

    Raises:
        InputError: a side is longer than :data:`LARGEST_SIDE`.
    """
    if max(shape.height, shape.width) > LARGEST_SIDE:
        raise InputError(
            f"the result would have a side of more than {LARGEST_SIDE} pixels, which no raster "
            "file holds; choose a smaller scale"
        )
    return shape


def _georeferenced(grid: Grid, option: str) -> Affine:
    """Return the transform of a grid that has a CRS as well.

    Raises:
        InputError: the transform or the CRS is missing; the message says that
            ``option`` needs both.
    """
    if grid.transform is None or grid.crs is None:
        raise InputError(
            f"{option} needs a raster with an affine transform and a CRS; use scale= instead"
        )
    return grid.transform
