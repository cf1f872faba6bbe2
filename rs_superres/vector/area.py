"""The part of a scene that polygons ask for: which cells it meets, which pixels are inside.

Polygons are brought to the output's pixel coordinates once, whole; what is asked of them later
does not depend on the window or the cell that asks.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import shapely
from affine import Affine
from rasterio import warp
from rasterio.crs import CRS
from rasterio.features import geometry_mask
from shapely import affinity
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from rs_superres.errors import InputError
from rs_superres.grid import SNAP, Grid, Window
from rs_superres.raster import FAILURES
from rs_superres.types import Doubles, Valid
from rs_superres.vector.geojson import Polygons, joined, read_polygons

PIECES = 4096
"""An edge as long as the scene is cut into so many before it is reprojected.

What a chord misses falls with the square: where an edge as long as the scene would bend by a
tenth of its length, its pieces are off by a 10^-8 of it.
"""

AROUND = 0.05
"""How far around the scene polygons are kept, in its own width: what is cut there shows nowhere."""


TURNS = (-360.0, 0.0, 360.0)
"""Degrees of longitude that lead to the same place."""

DECIMALS = 9
"""Of pixel coordinates: beyond them is rounding."""

Bounds = tuple[float, float, float, float]
"""Left, bottom, right, top."""


@dataclass(frozen=True, slots=True)
class Area:
    """Polygons on an output grid."""

    pixels: BaseGeometry
    """Valid polygons in pixel coordinates (column, row) of the output, none of it outside."""
    window: Window
    """Their bounding box, snapped outward."""

    def meeting(self, cells: Iterable[Window]) -> tuple[Window, ...]:
        """Those cells that share some area with it."""
        candidates = list(cells)
        shapely.prepare(self.pixels)
        boxes = _boxes(candidates)
        # What only touches a border holds no centre of a pixel.
        meets = shapely.intersects(self.pixels, boxes) & ~shapely.touches(self.pixels, boxes)
        return tuple(c for c, met in zip(candidates, meets, strict=True) if met)

    def inside(self, cell: Window) -> Valid:
        """Whether each pixel's centre is inside: (y, x).

        By GDAL's rule for polygons; of two that share an edge, one has the centres on it.
        """
        shape = cell.height, cell.width
        [box] = _boxes([cell])
        shapely.prepare(self.pixels)
        if shapely.contains_properly(self.pixels, box):
            return np.ones(shape, dtype=np.bool_)
        # Rasterizing costs by the vertex, so take what lies near; the cut keeps off the centres.
        around = Window(cell.row - 2, cell.column - 2, cell.height + 4, cell.width + 4)
        near = joined(shapely.intersection(self.pixels, _boxes([around])))
        if near.is_empty:
            return np.zeros(shape, dtype=np.bool_)
        place = affinity.translate(near, -cell.column, -cell.row)
        found: Valid = geometry_mask([mapping(place)], shape, Affine.identity(), invert=True)
        return found

    @property
    def checksum(self) -> str:
        """SHA-256 of the polygons, hexadecimal."""
        return hashlib.sha256(shapely.to_wkb(shapely.normalize(self.pixels))).hexdigest()


def read_area(path: Path, grid: Grid) -> Area:
    """Read polygons of any CRS and lay them on an output grid.

    Raises:
        InputError: the grid has no place on a map, the file cannot be used, or its polygons hold
            no pixel of the grid.
    """
    if grid.transform is None or grid.crs is None:
        raise InputError("--aoi needs a raster with an affine transform and a CRS")
    polygons = read_polygons(path)
    there = ~grid.transform
    with rasterio.Env():  # without it GDAL writes its errors to stderr
        placed = _reprojected(polygons, grid.bounds, CRS.from_wkt(grid.crs))
    laid = affinity.affine_transform(placed, (there.a, there.b, there.d, there.e, there.c, there.f))
    # A polygon drawn through centres of pixels goes through them, whatever the CRS rounded off.
    laid = shapely.transform(laid, lambda points: np.round(points, DECIMALS))
    height, width = grid.shape.height, grid.shape.width
    pixels = joined([shapely.intersection(joined([laid]), shapely.box(0, 0, width, height))])
    if pixels.is_empty:
        raise InputError(f"the polygons of {path} do not touch the scene{_where(polygons)}")
    left, top, right, bottom = pixels.bounds
    row, rows = _snapped(top, bottom, height)
    column, columns = _snapped(left, right, width)
    return Area(pixels, Window(row, column, rows, columns))


def _where(polygons: Polygons) -> str:
    """Where they lie, for whoever took one place for another."""
    left, bottom, right, top = polygons.geometry.bounds
    name = polygons.crs.to_string()
    return f": they span {left:g} to {right:g}, {bottom:g} to {top:g} in {name:.60}"


def _snapped(low: float, high: float, size: int) -> tuple[int, int]:
    """The first pixel and the count of those that an interval of an axis touches, at least one."""
    first = min(math.floor(low + SNAP), size - 1)
    return first, max(math.ceil(high - SNAP), first + 1) - first


def _reprojected(polygons: Polygons, scene: Bounds, crs: CRS) -> BaseGeometry:
    """What polygons have around a scene, in its CRS; edges are cut so finely that they stay true.

    Raises:
        InputError: they have no place there.
    """
    if polygons.crs == crs:
        return polygons.geometry
    refusal = InputError(
        f"the polygons of {polygons.path} cannot be reprojected to the scene's CRS"
    )
    try:
        boxes = _surroundings(scene, crs, polygons.crs)
        if not boxes:
            raise refusal
        near = shapely.intersection(_everywhere(polygons), shapely.union_all(boxes))
        left, bottom, right, top = shapely.total_bounds(boxes[:1])
        cut = shapely.segmentize(near, max(right - left, top - bottom) / PIECES)
        moved: BaseGeometry = shapely.transform(
            cut, lambda points: _moved(points, polygons.crs, crs)
        )
    except FAILURES as error:
        raise refusal from error
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise refusal
    return moved


def _moved(points: Doubles, here: CRS, there: CRS) -> Doubles:
    """Points (n, 2) from one CRS to another; infinite where there is no such place."""
    if len(points) == 0:
        return points
    return np.column_stack(warp.transform(here, there, points[:, 0], points[:, 1])[:2])


def _everywhere(polygons: Polygons) -> BaseGeometry:
    """Polygons with longitudes beyond 180 told within -180 to 180 too."""
    geometry = polygons.geometry
    left, _, right, _ = geometry.bounds
    if not polygons.crs.is_geographic or max(-left, right) <= 180:
        return geometry
    return shapely.union_all([affinity.translate(geometry, turn) for turn in TURNS])


def _surroundings(scene: Bounds, crs: CRS, wanted: CRS) -> list[BaseGeometry]:
    """A scene's box in another CRS, a little larger; two across the antimeridian, or none."""
    left, bottom, right, top = warp.transform_bounds(crs, wanted, *scene)
    if not np.isfinite((left, bottom, right, top)).all():
        return []
    if left > right:
        right += 360.0  # across the antimeridian
    x, y = AROUND * (right - left), AROUND * (top - bottom)
    left, bottom, right, top = left - x, bottom - y, right + x, top + y
    if not wanted.is_geographic:
        return [shapely.box(left, bottom, right, top)]
    bottom, top = max(bottom, -90.0), min(top, 90.0)
    if right - left > 360:
        return [shapely.box(-180.0, bottom, 180.0, top)]
    spans = [(max(left + turn, -180.0), min(right + turn, 180.0)) for turn in TURNS]
    return [shapely.box(west, bottom, east, top) for west, east in spans if west < east]


def _boxes(cells: list[Window]) -> npt.NDArray[np.object_]:
    """The rectangles of cells, in pixel coordinates."""
    rows, columns, heights, widths = np.array(
        [(c.row, c.column, c.height, c.width) for c in cells], dtype=np.float64
    ).T
    boxes: npt.NDArray[np.object_] = shapely.box(columns, rows, columns + widths, rows + heights)
    return boxes
