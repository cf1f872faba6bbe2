"""Where a grid lies on the Earth, and the size of its pixels in metres."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform, transform_bounds, transform_geom

from rs_superres.grid import Grid
from rs_superres.raster.gdal import FAILURES

DEGREE = 111_320.0
"""Length in metres of a degree of latitude, and of a degree of longitude at the equator."""

SEMI_MAJOR_AXIS = 6_378_137.0
"""Radius in metres of WGS 84 at the equator."""

SQUARED_ECCENTRICITY = 0.00669437999
"""Squared first eccentricity of WGS 84."""

EDGE_POINTS = 8
"""Points on each side of a footprint: straight sides are curved in other projections."""

TURNS = (0, 1, -1, 2, -2)
"""Turns around the Earth between two conventions for longitudes: -180 to 180, 0 to 360, others."""


def longitude_turns(crs: str | None) -> tuple[float, ...]:
    """Return what can be added to the x of a CRS without changing the location; 0 comes first.

    Args:
        crs: A CRS as WKT, or None.

    Returns:
        0 alone, unless the CRS is geographic; else 0, 360, -360, 720 and -720 degrees, in the
        unit of the CRS.
    """
    parsed = None if crs is None else CRS.from_wkt(crs)
    if parsed is None or not parsed.is_geographic:
        return (0.0,)
    turn = round(2 * math.pi / parsed.units_factor[1], 6)
    return tuple(turns * turn for turns in TURNS)


def extent_text(grid: Grid) -> str:
    """Return the extent of a grid with a CRS, as a part of a message."""
    left, bottom, right, top = (f"{value:.9g}" for value in grid.bounds)
    name = "its CRS" if grid.crs is None else CRS.from_wkt(grid.crs).to_string()
    return f"{left} to {right}, {bottom} to {top} in {name:.60}"


def unit_note(grid: Grid, size: float) -> str:
    """Return the unit of a grid's CRS, and what a pixel size means in it, to end a message."""
    if grid.crs is None:
        return ""
    crs = CRS.from_wkt(grid.crs)
    unit = crs.units_factor[0]
    if not crs.is_geographic:
        return f"; the unit of the CRS is the {unit}"
    metres = DEGREE * 360 / longitude_turns(grid.crs)[1]
    return (
        f"; the unit of the CRS is the {unit}: {size:g} {unit}s are about {size * metres:.3g} m, "
        f"and {size:g} m are about {size / metres:.3g} {unit}s"
    )


@dataclass(frozen=True, slots=True)
class Place:
    """A box of longitudes and latitudes in degrees (WGS 84).

    A box across the antimeridian has an ``east`` above 180, so ``west`` is at most ``east``.
    """

    west: float
    south: float
    east: float
    north: float

    def near(self, other: Place, metres: float) -> bool:
        """Return True if two boxes overlap or are less than a distance apart on both axes.

        A degree of longitude is taken as cos(latitude) x :data:`DEGREE` metres, at the middle
        latitude of this box.
        """
        latitude_gap = metres / DEGREE
        latitude = math.radians((self.south + self.north) / 2)
        longitude_gap = latitude_gap / max(0.01, math.cos(latitude))
        # Between the two middles, the short way around the Earth.
        apart = ((self.west + self.east - other.west - other.east) / 2 + 180) % 360 - 180
        half_widths = (self.east - self.west + other.east - other.west) / 2
        return (
            abs(apart) < half_widths + longitude_gap
            and self.south < other.north + latitude_gap
            and other.south < self.north + latitude_gap
        )


def place_of(grid: Grid) -> Place | None:
    """Return the box on the Earth that a grid covers.

    Returns:
        The box, or None if the grid has no transform or no CRS, if the CRS is local, or if the
        coordinates cannot be converted to longitude and latitude.
    """
    if grid.transform is None or grid.crs is None:
        return None
    try:
        west, south, east, north = transform_bounds(grid.crs, "EPSG:4326", *grid.bounds)
    except FAILURES:
        return None
    place = Place(west, south, east if west <= east else east + 360, north)
    return place if all(map(math.isfinite, (west, south, east, north))) else None


def footprint(grid: Grid) -> dict[str, Any] | None:
    """Return the area that a grid covers as a GeoJSON polygon in degrees, cut at 180 degrees.

    Returns:
        The polygon, or several; None where :func:`place_of` gives None.
    """
    if grid.transform is None or place_of(grid) is None:
        return None
    height, width = grid.shape.height, grid.shape.width
    steps = [i / EDGE_POINTS for i in range(EDGE_POINTS)]
    ring = [
        *((t * width, 0) for t in steps),
        *((width, t * height) for t in steps),
        *(((1 - t) * width, height) for t in steps),
        *((0, (1 - t) * height) for t in steps),
        (0, 0),
    ]
    points = [list(grid.transform @ point) for point in ring]
    polygon = {"type": "Polygon", "coordinates": [points[::-1]]}  # anticlockwise if north is up
    found: dict[str, Any] = transform_geom(
        grid.crs, "OGC:CRS84", polygon, antimeridian_cutting=True, precision=7
    )
    plain: dict[str, Any] = json.loads(json.dumps(found))  # lists, not tuples
    return plain


def crs_code(crs: str | None) -> str | None:
    """Return a CRS's authority and code, such as EPSG:32633; None if it has none."""
    if crs is None:
        return None
    try:
        authority = CRS.from_wkt(crs).to_authority()
    except CRSError:
        return None
    return None if authority is None else ":".join(authority)


def pixel_size(grid: Grid) -> float | None:
    """Return the size of a grid's middle pixel in metres: the square root of its area.

    Returns:
        The size, or None where :func:`place_of` would give None or the pixel has no area.
    """
    if grid.transform is None or grid.crs is None:
        return None
    column, row = grid.shape.width / 2, grid.shape.height / 2
    points = [grid.transform @ p for p in ((column, row), (column + 1, row), (column, row + 1))]
    xs, ys = zip(*points, strict=True)
    try:
        longitudes, latitudes = transform(grid.crs, "EPSG:4326", xs, ys)
    except FAILURES:
        return None
    if not all(map(math.isfinite, (*longitudes, *latitudes))):
        return None
    of_longitude, of_latitude = _degrees_at(latitudes[0])
    # The pixel's two sides as (east, north) vectors in degrees.
    (row_east, row_north), (column_east, column_north) = (
        ((east - longitudes[0] + 180) % 360 - 180, north - latitudes[0])
        for east, north in zip(longitudes[1:], latitudes[1:], strict=True)
    )
    area = abs(row_east * column_north - row_north * column_east) * of_longitude * of_latitude
    return math.sqrt(area) if area > 0 else None


def _degrees_at(latitude: float) -> tuple[float, float]:
    """Return the lengths in metres of a degree of longitude and of latitude on WGS 84."""
    angle = math.radians(latitude)
    flattened = 1 - SQUARED_ECCENTRICITY * math.sin(angle) ** 2
    across = SEMI_MAJOR_AXIS / math.sqrt(flattened)
    along = across * (1 - SQUARED_ECCENTRICITY) / flattened
    return math.radians(across * math.cos(angle)), math.radians(along)
