"""Where on the Earth a grid lies, and how large its pixels are there."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds

from rs_superres.grid import Grid

DEGREE = 111_320.0
"""Metres of a degree of latitude, and of longitude at the equator."""


@dataclass(frozen=True, slots=True)
class Place:
    """A box in degrees (WGS 84)."""

    west: float
    south: float
    east: float
    north: float

    def near(self, other: Place, metres: float) -> bool:
        """Whether two boxes overlap, or lie within a distance of each other."""
        up = metres / DEGREE
        latitude = math.radians((self.south + self.north) / 2)
        across = up / max(0.01, math.cos(latitude))
        return (
            self.west < other.east + across
            and other.west < self.east + across
            and self.south < other.north + up
            and other.south < self.north + up
        )


def place_of(grid: Grid) -> Place | None:
    """The box that a grid covers; None where it is nowhere on a map, or not on this planet."""
    if grid.transform is None or grid.crs is None:
        return None
    height, width = grid.shape.height, grid.shape.width
    corners = [grid.transform @ (x, y) for x in (0, width) for y in (0, height)]
    xs, ys = zip(*corners, strict=True)
    try:
        box = transform_bounds(grid.crs, "EPSG:4326", min(xs), min(ys), max(xs), max(ys))
    except (RasterioError, CPLE_BaseError):
        return None
    return Place(*box) if all(map(math.isfinite, box)) else None


def pixel_size(grid: Grid) -> float | None:
    """The side of a square as large as a pixel in the middle of a grid, metres; None if unknown."""
    if grid.transform is None:
        return None
    place = place_of(grid)
    if place is None:
        return None
    # The area of the pixel's parallelogram over that of its box, times the box on the ground:
    # true for rotated grids, and good to a few percent in any projection.
    t, height, width = grid.transform, grid.shape.height, grid.shape.width
    box_height = height * abs(t.e) + width * abs(t.d)
    box_width = width * abs(t.a) + height * abs(t.b)
    up = (place.north - place.south) * DEGREE
    across = (place.east - place.west) * DEGREE
    across *= math.cos(math.radians((place.south + place.north) / 2))
    area = abs(t.determinant) / (box_height * box_width) * up * across
    return math.sqrt(area) if area > 0 else None
