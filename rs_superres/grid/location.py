"""Where on the Earth a grid lies, and how large its pixels are there."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.warp import transform, transform_bounds

from rs_superres.grid.grid import Grid

DEGREE = 111_320.0
"""Metres of a degree of latitude, and of longitude at the equator."""


@dataclass(frozen=True, slots=True)
class Place:
    """A box in degrees (WGS 84); one across the antimeridian ends east of 180."""

    west: float
    south: float
    east: float
    north: float

    def near(self, other: Place, metres: float) -> bool:
        """Whether two boxes overlap, or lie within a distance of each other."""
        up = metres / DEGREE
        latitude = math.radians((self.south + self.north) / 2)
        across = up / max(0.01, math.cos(latitude))
        # Between the middles, the short way around.
        apart = ((self.west + self.east - other.west - other.east) / 2 + 180) % 360 - 180
        widths = (self.east - self.west + other.east - other.west) / 2
        return (
            abs(apart) < widths + across
            and self.south < other.north + up
            and other.south < self.north + up
        )


def place_of(grid: Grid) -> Place | None:
    """The box that a grid covers; None where it is nowhere on a map, or not on this planet."""
    if grid.transform is None or grid.crs is None:
        return None
    try:
        west, south, east, north = transform_bounds(grid.crs, "EPSG:4326", *grid.bounds)
    except (RasterioError, CPLE_BaseError):
        return None
    place = Place(west, south, east if west <= east else east + 360, north)
    return place if all(map(math.isfinite, (west, south, east, north))) else None


def pixel_size(grid: Grid) -> float | None:
    """The side of a square as large as a pixel in the middle of a grid, metres; None if unknown."""
    if grid.transform is None or grid.crs is None:
        return None
    column, row = grid.shape.width / 2, grid.shape.height / 2
    points = [grid.transform @ p for p in ((column, row), (column + 1, row), (column, row + 1))]
    xs, ys = zip(*points, strict=True)
    try:
        longitudes, latitudes = transform(grid.crs, "EPSG:4326", xs, ys)
    except (RasterioError, CPLE_BaseError):
        return None
    if not all(map(math.isfinite, (*longitudes, *latitudes))):
        return None
    narrower = math.cos(math.radians(latitudes[0]))
    (across, up), (across_down, up_down) = (
        (((east - longitudes[0] + 180) % 360 - 180) * narrower, north - latitudes[0])
        for east, north in zip(longitudes[1:], latitudes[1:], strict=True)
    )
    area = abs(across * up_down - up * across_down) * DEGREE**2
    return math.sqrt(area) if area > 0 else None
