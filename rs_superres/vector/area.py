"""The area of interest on an output grid: which cells it meets, and which pixels lie inside.

Polygons are converted to output pixel coordinates once. Whether a pixel lies inside therefore does
not depend on the window or cell for which this is computed.
"""

from __future__ import annotations

import hashlib
import logging
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
from rs_superres.vector.geojson import Polygons, polygon_union, read_polygons

logger = logging.getLogger(__name__)

PIECES = 4096
"""Number of segments into which an edge as long as the scene is cut before it is reprojected.

The error falls with the square of the number: an edge that would bow by a tenth of its length is
off by about 1e-8 of it.
"""

SURROUNDINGS = 0.05
"""Width of the strip around the scene in which polygons are kept, as a share of the scene's side.

The cut edges lie far enough outside the scene that no pixel depends on them.
"""

TURNS = (-360.0, 0.0, 360.0)
"""Degrees that can be added to a longitude without changing the location."""

DECIMALS = 9
"""Decimals of pixel coordinates; further ones are rounding errors."""

Bounds = tuple[float, float, float, float]
"""Left, bottom, right, top."""


@dataclass(frozen=True, slots=True)
class Area:
    """Polygons on an output grid."""

    pixels: BaseGeometry
    """Valid polygons in output pixel coordinates (column, row), clipped to the grid."""
    window: Window
    """The bounding box in output pixels, snapped outward."""

    def meeting(self, cells: Iterable[Window]) -> tuple[Window, ...]:
        """Return the cells that overlap the area; touching it is not enough."""
        candidates = list(cells)
        shapely.prepare(self.pixels)
        boxes = _boxes(candidates)
        # A cell that only touches the border holds no pixel centre of the area.
        overlaps = shapely.intersects(self.pixels, boxes) & ~shapely.touches(self.pixels, boxes)
        return tuple(c for c, overlap in zip(candidates, overlaps, strict=True) if overlap)

    def inside(self, cell: Window) -> Valid:
        """Return whether the centre of each pixel of a cell lies inside, (y, x).

        GDAL's rule for polygons applies: a centre on an edge that two polygons share belongs to
        exactly one of them.
        """
        shape = cell.height, cell.width
        [box] = _boxes([cell])
        shapely.prepare(self.pixels)
        if shapely.contains_properly(self.pixels, box):
            return np.ones(shape, dtype=np.bool_)
        # The cost of rasterizing grows with the vertices, so clip to the cell and 2 pixels around
        # it. The new edges do not pass through pixel centres of the cell.
        larger = Window(cell.row - 2, cell.column - 2, cell.height + 4, cell.width + 4)
        near = polygon_union(shapely.intersection(self.pixels, _boxes([larger])))
        if near.is_empty:
            return np.zeros(shape, dtype=np.bool_)
        in_cell = affinity.translate(near, -cell.column, -cell.row)
        mask: Valid = geometry_mask([mapping(in_cell)], shape, Affine.identity(), invert=True)
        return mask

    @property
    def checksum(self) -> str:
        """SHA-256 of the polygons, in hexadecimal."""
        return hashlib.sha256(shapely.to_wkb(shapely.normalize(self.pixels))).hexdigest()


def read_area(path: Path, grid: Grid) -> Area:
    """Read polygons from a GeoJSON file and convert them to pixels of an output grid.

    Args:
        path: A GeoJSON file, in any CRS.
        grid: The output grid, with a transform and a CRS.

    Raises:
        InputError: The grid has no transform or CRS, the file cannot be used, or its polygons do
            not overlap the grid.
    """
    if grid.transform is None or grid.crs is None:
        raise InputError("aoi= needs a raster with an affine transform and a CRS")
    polygons = read_polygons(path)
    to_pixels = ~grid.transform
    with rasterio.Env():  # outside it, GDAL writes its errors to stderr
        on_map = _reprojected(polygons, grid.bounds, CRS.from_wkt(grid.crs))
    matrix = to_pixels.a, to_pixels.b, to_pixels.d, to_pixels.e, to_pixels.c, to_pixels.f
    geometry = affinity.affine_transform(on_map, matrix)
    # Rounding removes errors of the CRS, so an edge drawn through pixel centres stays on them.
    geometry = shapely.transform(geometry, lambda points: np.round(points, DECIMALS))
    height, width = grid.shape.height, grid.shape.width
    clipped = shapely.intersection(polygon_union([geometry]), shapely.box(0, 0, width, height))
    pixels = polygon_union([clipped])
    if pixels.is_empty:
        raise InputError(f"the polygons of {path} do not touch the scene{_extent_text(polygons)}")
    left, top, right, bottom = pixels.bounds
    row, rows = _snapped(top, bottom, height)
    column, columns = _snapped(left, right, width)
    logger.debug(
        "read %s: CRS %s, %d vertices, %d x %d output pixels",
        path,
        polygons.crs.to_string(),
        shapely.get_num_coordinates(pixels),
        columns,
        rows,
    )
    return Area(pixels, Window(row, column, rows, columns))


def _extent_text(polygons: Polygons) -> str:
    """Return the extent of polygons, as the end of a message."""
    left, bottom, right, top = polygons.geometry.bounds
    name = polygons.crs.to_string()
    return f": they span {left:g} to {right:g}, {bottom:g} to {top:g} in {name:.60}"


def _snapped(low: float, high: float, size: int) -> tuple[int, int]:
    """Return the first pixel that an interval of an axis touches, and their number (at least 1)."""
    first = min(math.floor(low + SNAP), size - 1)
    return first, max(math.ceil(high - SNAP), first + 1) - first


def _reprojected(polygons: Polygons, scene: Bounds, crs: CRS) -> BaseGeometry:
    """Reproject the part of polygons near a scene to the scene's CRS.

    Edges are first cut into short segments, since a straight edge is curved in another CRS.

    Args:
        polygons: In any CRS.
        scene: Bounds of the scene, in units of its CRS.
        crs: The CRS of the scene.

    Raises:
        InputError: The polygons cannot be reprojected.
    """
    if polygons.crs == crs:
        return polygons.geometry
    refusal = InputError(
        f"the polygons of {polygons.path} cannot be reprojected to the scene's CRS"
    )
    try:
        boxes = _scene_boxes(scene, crs, polygons.crs)
        if not boxes:
            raise refusal
        near = shapely.intersection(_with_turns(polygons), shapely.union_all(boxes))
        left, bottom, right, top = shapely.total_bounds(boxes[:1])
        cut = shapely.segmentize(near, max(right - left, top - bottom) / PIECES)
        reprojected: BaseGeometry = shapely.transform(
            cut, lambda points: _reprojected_points(points, polygons.crs, crs)
        )
    except FAILURES as error:
        raise refusal from error
    if not np.isfinite(shapely.get_coordinates(reprojected)).all():
        raise refusal
    return reprojected


def _reprojected_points(points: Doubles, source: CRS, target: CRS) -> Doubles:
    """Reproject points, (n, 2); coordinates become infinite where that is impossible."""
    if len(points) == 0:
        return points
    return np.column_stack(warp.transform(source, target, points[:, 0], points[:, 1])[:2])


def _with_turns(polygons: Polygons) -> BaseGeometry:
    """Return polygons, repeated within -180 to 180 degrees if longitudes lie beyond."""
    geometry = polygons.geometry
    left, _, right, _ = geometry.bounds
    if not polygons.crs.is_geographic or max(-left, right) <= 180:
        return geometry
    return shapely.union_all([affinity.translate(geometry, turn) for turn in TURNS])


def _scene_boxes(scene: Bounds, crs: CRS, target: CRS) -> list[BaseGeometry]:
    """Return the bounding box of a scene in another CRS, with its surroundings.

    Returns:
        One box, or two if the scene lies across the antimeridian, or none if the scene cannot be
        reprojected.
    """
    left, bottom, right, top = warp.transform_bounds(crs, target, *scene)
    if not np.isfinite((left, bottom, right, top)).all():
        return []
    if left > right:
        right += 360.0  # across the antimeridian
    x, y = SURROUNDINGS * (right - left), SURROUNDINGS * (top - bottom)
    left, bottom, right, top = left - x, bottom - y, right + x, top + y
    if not target.is_geographic:
        return [shapely.box(left, bottom, right, top)]
    bottom, top = max(bottom, -90.0), min(top, 90.0)
    if right - left > 360:
        return [shapely.box(-180.0, bottom, 180.0, top)]
    spans = [(max(left + turn, -180.0), min(right + turn, 180.0)) for turn in TURNS]
    return [shapely.box(west, bottom, east, top) for west, east in spans if west < east]


def _boxes(cells: list[Window]) -> npt.NDArray[np.object_]:
    """Return the rectangles of cells, in pixel coordinates."""
    rows, columns, heights, widths = np.array(
        [(c.row, c.column, c.height, c.width) for c in cells], dtype=np.float64
    ).T
    boxes: npt.NDArray[np.object_] = shapely.box(columns, rows, columns + widths, rows + heights)
    return boxes
