"""GeoJSON: polygons read, with the CRS that they are in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from rasterio.crs import CRS
from rasterio.errors import CRSError
from shapely import Polygon
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from rs_superres.errors import InputError

LONGITUDE_LATITUDE = "EPSG:4326"
"""GeoJSON's own CRS, CRS84: GDAL's order of axes makes the two one."""

_CRS_NAME = re.compile(
    r"urn:(x-)?ogc:def:crs:\S+|https?://(www\.)?opengis\.net/def/crs/\S+|[A-Za-z]\w*:\w+"
)
"""Names of a CRS in a register; what else GDAL takes for one may be a file or an address."""

_MEMBERS = {"FeatureCollection": "features", "GeometryCollection": "geometries"}
"""What holds further objects, and where."""

_WITHOUT_AREA = ("Point", "MultiPoint", "LineString", "MultiLineString")


@dataclass(frozen=True, slots=True)
class Polygons:
    """Polygons as a file holds them, repaired and joined."""

    path: Path
    geometry: BaseGeometry
    """Valid, two-dimensional: one polygon or several that do not overlap."""
    crs: CRS


def read_polygons(path: Path) -> Polygons:
    """Read all polygons of a GeoJSON file; points and lines in it are of no account.

    Raises:
        InputError: it is not GeoJSON, holds no polygon, or coordinates that cannot be.
    """
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"), parse_constant=_refuse)
        polygons = list(_polygons(document))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (TypeError, ValueError, OverflowError, RecursionError, ShapelyError) as error:
        raise InputError(
            f"{path} is not GeoJSON ({error}); turn other vector files into it: "
            f"ogr2ogr -f GeoJSON area.geojson {path}"
        ) from error
    geometry = joined(polygons)
    if geometry.is_empty:
        raise InputError(f"{path} holds no polygons, expected a Polygon or a MultiPolygon")
    crs = _crs(document, path)
    _check_degrees(geometry, crs, path)
    return Polygons(path, geometry, crs)


def joined(geometries: Iterable[BaseGeometry]) -> BaseGeometry:
    """Repair polygons that cross themselves and join them; what has no area is dropped."""
    repaired = [shapely.make_valid(shapely.force_2d(g)) for g in geometries]
    parts = shapely.get_parts(shapely.get_parts(repaired))
    return shapely.union_all([p for p in parts if isinstance(p, Polygon) and p.area > 0])


def _refuse(constant: str) -> None:
    """Refuse what Python's reader takes beyond JSON."""
    raise ValueError(f"{constant} is no number of JSON")


def _polygons(node: Any) -> Iterator[Polygon]:
    """The polygons of a GeoJSON object of any type, and of all within it.

    Raises:
        TypeError, ValueError, OverflowError, ShapelyError: it is none.
    """
    kind = node.get("type") if isinstance(node, dict) else None
    if kind in _MEMBERS:
        for member in _member(node, _MEMBERS[kind]):
            yield from _polygons(member)
    elif kind == "Feature":
        geometry = _member(node, "geometry")
        yield from () if geometry is None else _polygons(geometry)
    elif kind == "Polygon":
        yield _polygon(_member(node, "coordinates"))
    elif kind == "MultiPolygon":
        yield from (_polygon(rings) for rings in _member(node, "coordinates"))
    elif kind not in _WITHOUT_AREA:
        raise ValueError(f"it holds an object of type {kind!r}" if kind else "no type is named")


def _member(node: dict[str, Any], name: str) -> Any:
    """A member that must be there."""
    if name not in node:
        raise ValueError(f"a {node['type']} without {name}")
    return node[name]


def _polygon(rings: Any) -> Polygon:
    """A polygon of lists of positions; heights are dropped.

    Raises:
        ValueError, TypeError: they are none.
    """
    if not rings:
        return Polygon()
    shell, *holes = (
        np.array([position[:2] for position in ring], dtype=np.float64) for ring in rings
    )
    if not all(np.isfinite(ring).all() for ring in (shell, *holes)):
        raise ValueError("a coordinate is beyond all numbers")
    return Polygon(shell, holes)


def _crs(document: dict[str, Any], path: Path) -> CRS:
    """The CRS by the ``crs`` member of GeoJSON's first edition; CRS84 without one."""
    member = document.get("crs", {"properties": {"name": "OGC:CRS84"}})
    try:
        name = member["properties"]["name"]
        with rasterio.Env():  # without it GDAL writes its errors to stderr
            crs = CRS.from_user_input(name) if _CRS_NAME.fullmatch(name) else None
    except (TypeError, KeyError, CRSError):
        crs = None
    if crs is None:
        raise InputError(
            f"the crs member of {path} names no known CRS, expected a name as in "
            "urn:ogc:def:crs:EPSG::32633; leave it out for longitude and latitude"
        )
    own = crs == CRS.from_user_input("OGC:CRS84")
    return CRS.from_user_input(LONGITUDE_LATITUDE) if own else crs


def _check_degrees(geometry: BaseGeometry, crs: CRS, path: Path) -> None:
    """Refuse longitudes and latitudes that cannot be: metres, most often."""
    if not crs.is_geographic:
        return
    left, bottom, right, top = geometry.bounds
    if max(-left, right) > 360 or max(-bottom, top) > 90:
        raise InputError(
            f"{path} spans {left:g} to {right:g}, {bottom:g} to {top:g}, which are no longitudes "
            "and latitudes; name its CRS by a crs member, or reproject it: "
            f"ogr2ogr -t_srs EPSG:4326 area.geojson {path}"
        )
