"""The area of interest on an output grid: which cells it meets, and which pixels lie inside.

Polygons are converted to output pixel coordinates once. Whether a pixel lies inside therefore does
not depend on the window or cell for which this is computed.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import shapely
from affine import Affine
from rasterio import warp
from rasterio.crs import CRS
from rasterio.features import geometry_mask
from shapely import Polygon, affinity
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from rs_superres.errors import InputError
from rs_superres.grid import SNAP, Grid, Window
from rs_superres.raster import FAILURES, extent_text, longitude_turns
from rs_superres.types import Doubles, Valid
from rs_superres.vector.polygons import Polygons, polygon_union, read_polygons

logger = logging.getLogger(__name__)

PIECES = 4096
"""Number of segments into which an edge as long as the scene is cut before it is reprojected.

The error falls with the square of the number: an edge that would bow by a tenth of its length is
off by about 1e-8 of it.
"""

LONGEST = 2e7
"""Largest length that is cut into `PIECES`: half of the way around the Earth, in metres.

The poles of a scene may lie at 10^23 metres in another CRS.
"""

SURROUNDINGS = 0.05
"""Width of the strip around the scene in which polygons are kept, as a share of the scene's side.

The cut edges lie far enough outside the scene that no pixel depends on them.
"""

STRIPS = 6
"""Number of strips into which a scene around the Earth is cut to find it in another CRS.

GDAL cannot tell the two borders of a scene 360 degrees wide apart, nor which way round a box lies
that is wider than half a turn.
"""

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
    """Read polygons from a vector file and convert them to pixels of an output grid.

    A geographic grid holds the polygons at each of its longitudes at which they lie: at 183
    degrees for polygons at -177, and at both if the grid has both.

    Args:
        path: A vector file in any CRS; see `read_polygons`.
        grid: The output grid, with a transform and a CRS.

    Raises:
        InputError: The grid has no transform or CRS, the file cannot be used, or its polygons do
            not overlap the grid.
    """
    if grid.transform is None or grid.crs is None:
        raise InputError(
            "aoi= needs a raster with an affine transform and a CRS; without them, bounds= takes "
            "source pixels"
        )
    polygons = read_polygons(path)
    to_pixels = ~grid.transform
    with rasterio.Env():  # outside it, GDAL writes its errors to stderr
        on_map = _reprojected(polygons, grid.bounds, CRS.from_wkt(grid.crs))
        on_map = _at_longitudes_of(grid.bounds, on_map, longitude_turns(grid.crs))
    matrix = to_pixels.a, to_pixels.b, to_pixels.d, to_pixels.e, to_pixels.c, to_pixels.f
    geometry = affinity.affine_transform(on_map, matrix)
    # Rounding removes errors of the CRS, so an edge drawn through pixel centres stays on them.
    geometry = shapely.transform(geometry, lambda points: np.round(points, DECIMALS))
    height, width = grid.shape.height, grid.shape.width
    clipped = shapely.intersection(polygon_union([geometry]), shapely.box(0, 0, width, height))
    pixels = polygon_union([clipped])
    if pixels.is_empty:
        left, bottom, right, top = polygons.geometry.bounds
        raise InputError(
            f"the polygons of {path} do not touch the scene: they span {left:g} to {right:g}, "
            f"{bottom:g} to {top:g} in {polygons.crs.to_string():.60}, the scene "
            f"{extent_text(grid)}"
        )
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
    turns = longitude_turns(crs.to_wkt())
    try:
        near, length = polygons.geometry, _longest_side(polygons.geometry.bounds)
        boxes = [_surroundings(box) for box in _scene_boxes(scene, crs, polygons.crs)]
        if boxes:
            clip = shapely.union_all([b for box in boxes for b in _within_turn(box, polygons.crs)])
            near = shapely.intersection(_with_turns(polygons), clip)
            length = min(_longest_side(boxes[0]), LONGEST)
        elif len(turns) == 1:
            raise refusal
        cut = shapely.segmentize(near, length / PIECES)
        reprojected: BaseGeometry = shapely.transform(
            cut, lambda points: _reprojected_points(points, polygons.crs, crs)
        )
    except FAILURES as error:
        raise refusal from error
    if not np.isfinite(shapely.get_coordinates(reprojected)).all():
        raise refusal
    return reprojected if len(turns) == 1 else _unwrapped(reprojected, turns)


def _reprojected_points(points: Doubles, source: CRS, target: CRS) -> Doubles:
    """Reproject points, (n, 2); coordinates become infinite where that is impossible."""
    if len(points) == 0:
        return points
    return np.column_stack(warp.transform(source, target, points[:, 0], points[:, 1])[:2])


def _unwrapped(geometry: BaseGeometry, turns: Sequence[float]) -> BaseGeometry:
    """Repair polygons whose longitudes jump by a turn, from 180 to -180 degrees, along a ring.

    Args:
        geometry: Polygons in a geographic CRS, their edges cut into short segments.
        turns: From `longitude_turns` of that CRS.
    """
    polygons: list[BaseGeometry] = []
    for polygon in shapely.get_parts(shapely.get_parts([geometry])):
        if not isinstance(polygon, Polygon):
            continue
        rings = [shapely.get_coordinates(r) for r in (polygon.exterior, *polygon.interiors)]
        if any(abs(np.diff(ring[:, 0])).max(initial=0) > turns[1] / 2 for ring in rings):
            shell, *holes = (_unwrapped_ring(ring, turns[1]) for ring in rings)
            # A hole may begin a turn before or after its shell.
            everywhere = [affinity.translate(hole, turn) for hole in holes for turn in turns]
            polygons.append(shapely.difference(shell, shapely.union_all(everywhere)))
        else:
            polygons.append(polygon)
    return shapely.GeometryCollection(polygons)


def _unwrapped_ring(ring: Doubles, turn: float) -> BaseGeometry:
    """Return what a ring of longitudes and latitudes, (n, 2), encloses, without jumps."""
    longitudes = np.unwrap(ring[:, 0], period=turn)
    points = np.column_stack((longitudes, ring[:, 1]))
    if abs(longitudes[-1] - longitudes[0]) > turn / 2:  # around a pole, which it encloses
        pole = math.copysign(turn / 4, ring[:, 1].mean())
        points = np.vstack((points, [(longitudes[-1], pole), (longitudes[0], pole)]))
    return polygon_union([Polygon(points)])


def _at_longitudes_of(
    scene: Bounds, geometry: BaseGeometry, turns: Sequence[float]
) -> BaseGeometry:
    """Move polygons by whole turns to each longitude of a scene at which they lie.

    Args:
        scene: Bounds of the scene, in units of its CRS.
        geometry: Polygons in the scene's CRS.
        turns: From `longitude_turns` of that CRS.
    """
    left, _, right, _ = geometry.bounds
    near = [turn for turn in turns if left + turn < scene[2] and right + turn > scene[0]]
    if near in ([], [0.0]):
        return geometry
    return polygon_union(affinity.translate(geometry, turn) for turn in near)


def _with_turns(polygons: Polygons) -> BaseGeometry:
    """Return polygons, repeated within -180 to 180 degrees if longitudes lie beyond."""
    geometry, turns = polygons.geometry, longitude_turns(polygons.crs.to_wkt())
    left, _, right, _ = geometry.bounds
    if len(turns) == 1 or max(-left, right) <= turns[1] / 2:
        return geometry
    return shapely.union_all([affinity.translate(geometry, turn) for turn in turns])


def _scene_boxes(scene: Bounds, crs: CRS, target: CRS) -> list[Bounds]:
    """Return bounding boxes of a scene in another CRS.

    Returns:
        One box for each strip of the scene; none if the scene cannot be reprojected. A box across
        the antimeridian of ``target`` ends beyond 180 degrees.
    """
    left, bottom, right, top = scene
    turns, target_turns = longitude_turns(crs.to_wkt()), longitude_turns(target.to_wkt())
    strips = 1
    if len(turns) > 1:
        strips = min(math.ceil(STRIPS * (right - left) / turns[1]), 2 * STRIPS)
    edges = np.linspace(left, right, strips + 1)
    boxes = []
    for west, east in pairwise(edges):
        try:
            x0, y0, x1, y1 = warp.transform_bounds(crs, target, west, bottom, east, top)
        except FAILURES:
            return []
        if not np.isfinite((x0, y0, x1, y1)).all():
            return []
        if x0 > x1 and len(target_turns) > 1:
            x1 += target_turns[1]  # across the antimeridian
        boxes.append((x0, y0, x1, y1))
    return boxes


def _surroundings(box: Bounds) -> Bounds:
    """Return a box with the strip around it in which polygons are kept."""
    left, bottom, right, top = box
    x, y = SURROUNDINGS * (right - left), SURROUNDINGS * (top - bottom)
    return left - x, bottom - y, right + x, top + y


def _longest_side(box: Bounds) -> float:
    """Return the longer side of a box."""
    return max(box[2] - box[0], box[3] - box[1])


def _within_turn(box: Bounds, crs: CRS) -> list[BaseGeometry]:
    """Return a box as a polygon; in a geographic CRS cut at 180 degrees, moved to -180 to 180."""
    left, bottom, right, top = box
    turns = longitude_turns(crs.to_wkt())
    if len(turns) == 1:
        return [shapely.box(*box)]
    half = turns[1] / 2
    bottom, top = max(bottom, -half / 2), min(top, half / 2)
    spans = [(max(left + turn, -half), min(right + turn, half)) for turn in turns]
    return [shapely.box(west, bottom, east, top) for west, east in spans if west < east]


def _boxes(cells: list[Window]) -> npt.NDArray[np.object_]:
    """Return the rectangles of cells, in pixel coordinates."""
    rows, columns, heights, widths = np.array(
        [(c.row, c.column, c.height, c.width) for c in cells], dtype=np.float64
    ).T
    boxes: npt.NDArray[np.object_] = shapely.box(columns, rows, columns + widths, rows + heights)
    return boxes
