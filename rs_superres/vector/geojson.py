"""Reads polygons and their CRS from GeoJSON."""

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
"""The CRS of GeoJSON. Its name there is CRS84; in GDAL's order of axes the two are the same."""

_CRS_NAME = re.compile(
    r"urn:(x-)?ogc:def:crs:\S+|https?://(www\.)?opengis\.net/def/crs/\S+|[A-Za-z]\w*:\w+"
)
"""Accepted names of a CRS. GDAL would also accept a file or a URL, which must not be opened."""

_MEMBERS = {"FeatureCollection": "features", "GeometryCollection": "geometries"}
"""Types of objects that hold other objects, with the member that holds them."""

_WITHOUT_AREA = ("Point", "MultiPoint", "LineString", "MultiLineString")
"""Types of geometries that are ignored."""


@dataclass(frozen=True, slots=True)
class Polygons:
    """The polygons of a file, repaired and merged."""

    path: Path
    geometry: BaseGeometry
    """Valid and two-dimensional: one polygon, or several that do not overlap."""
    crs: CRS


def read_polygons(path: Path) -> Polygons:
    """Read all polygons of a GeoJSON file; points and lines are ignored.

    Raises:
        InputError: The file is not GeoJSON, or has no polygon, an unknown CRS, or impossible
            coordinates.
    """
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"), parse_constant=_refuse)
        polygons = list(_polygons(document))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (TypeError, ValueError, OverflowError, RecursionError, ShapelyError) as error:
        raise InputError(
            f"{path} is not GeoJSON ({error}); convert other vector files first: "
            f"ogr2ogr -f GeoJSON area.geojson {path}"
        ) from error
    geometry = polygon_union(polygons)
    if geometry.is_empty:
        raise InputError(f"{path} has no polygons, expected a Polygon or a MultiPolygon")
    crs = _crs(document, path)
    _check_degrees(geometry, crs, path)
    return Polygons(path, geometry, crs)


def polygon_union(geometries: Iterable[BaseGeometry]) -> BaseGeometry:
    """Return the union of polygons; repair those that cross themselves, drop points and lines."""
    repaired = [shapely.make_valid(shapely.force_2d(g)) for g in geometries]
    parts = shapely.get_parts(shapely.get_parts(repaired))
    return shapely.union_all([p for p in parts if isinstance(p, Polygon) and p.area > 0])


def _refuse(constant: str) -> None:
    """Refuse NaN and Infinity, which Python accepts although JSON does not."""
    raise ValueError(f"{constant} is not a JSON number")


def _polygons(node: Any) -> Iterator[Polygon]:
    """Iterate over the polygons of a GeoJSON object and of all objects in it.

    Raises:
        TypeError, ValueError, OverflowError, ShapelyError: The object is not GeoJSON.
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
        raise ValueError(f"it has an object of type {kind!r}" if kind else "an object has no type")


def _member(node: dict[str, Any], name: str) -> Any:
    """Return a member that is required."""
    if name not in node:
        raise ValueError(f"a {node['type']} has no {name}")
    return node[name]


def _polygon(rings: Any) -> Polygon:
    """Make a polygon from rings of positions, the outline first; heights are dropped.

    Raises:
        ValueError, TypeError: The rings are malformed.
    """
    if not rings:
        return Polygon()
    shell, *holes = (
        np.array([position[:2] for position in ring], dtype=np.float64) for ring in rings
    )
    if not all(np.isfinite(ring).all() for ring in (shell, *holes)):
        raise ValueError("a coordinate is infinite")
    return Polygon(shell, holes)


def _crs(document: dict[str, Any], path: Path) -> CRS:
    """Return the CRS by the ``crs`` member of GeoJSON 2008; CRS84 without that member."""
    member = document.get("crs", {"properties": {"name": "OGC:CRS84"}})
    try:
        name = member["properties"]["name"]
        with rasterio.Env():  # outside it, GDAL writes its errors to stderr
            crs = CRS.from_user_input(name) if _CRS_NAME.fullmatch(name) else None
    except (TypeError, KeyError, CRSError):
        crs = None
    if crs is None:
        raise InputError(
            f"the crs member of {path} is not a known CRS, expected a name such as "
            "urn:ogc:def:crs:EPSG::32633; leave it out for longitude and latitude"
        )
    is_crs84 = crs == CRS.from_user_input("OGC:CRS84")
    return CRS.from_user_input(LONGITUDE_LATITUDE) if is_crs84 else crs


def _check_degrees(geometry: BaseGeometry, crs: CRS, path: Path) -> None:
    """Refuse impossible longitudes and latitudes, which are usually metres."""
    if not crs.is_geographic:
        return
    left, bottom, right, top = geometry.bounds
    if max(-left, right) > 360 or max(-bottom, top) > 90:
        raise InputError(
            f"{path} spans {left:g} to {right:g}, {bottom:g} to {top:g}, which are not "
            "longitudes and latitudes; add a crs member with its CRS, or reproject it: "
            f"ogr2ogr -t_srs EPSG:4326 area.geojson {path}"
        )
