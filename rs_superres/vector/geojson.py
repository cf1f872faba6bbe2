"""Parses polygons and their CRS from GeoJSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.errors import CRSError
from shapely import Polygon
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from rs_superres.errors import InputError

_CRS_NAME = re.compile(
    r"urn:(x-)?ogc:def:crs:\S+|https?://(www\.)?opengis\.net/def/crs/\S+|[A-Za-z]\w*:\w+"
)
"""Accepted names of a CRS. GDAL would also accept a file or a URL, which must not be opened."""

_MEMBERS = {"FeatureCollection": "features", "GeometryCollection": "geometries"}
"""Types of objects that hold other objects, with the member that holds them."""

_WITHOUT_AREA = ("Point", "MultiPoint", "LineString", "MultiLineString")
"""Types of geometries that are ignored."""


def parse(text: bytes, path: Path) -> tuple[list[BaseGeometry], str]:
    """Parse all polygons of GeoJSON, and the name of their CRS.

    Args:
        text: The contents of a file, in UTF-8, UTF-16 or UTF-32.
        path: The file, for messages.

    Raises:
        InputError: The text is not GeoJSON, or has an unknown CRS.
    """
    try:
        document = json.loads(text, parse_constant=_refuse)
        polygons: list[BaseGeometry] = list(_polygons(document))
    except (TypeError, ValueError, OverflowError, RecursionError, ShapelyError) as error:
        raise InputError(
            f"{path} is not GeoJSON ({error}); convert other vector files first: "
            f"ogr2ogr area.gpkg {path}"
        ) from error
    return polygons, _crs(document, path)


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


def _crs(document: dict[str, Any], path: Path) -> str:
    """Return the CRS by the ``crs`` member of GeoJSON 2008; CRS84 without that member."""
    member = document.get("crs", {"properties": {"name": "OGC:CRS84"}})
    try:
        name: str = member["properties"]["name"]
        if _CRS_NAME.fullmatch(name):
            with rasterio.Env():  # outside it, GDAL writes its errors to stderr
                CRS.from_user_input(name)
            return name
    except (TypeError, KeyError, CRSError):
        pass
    raise InputError(
        f"the crs member of {path} is not a known CRS, expected a name such as "
        "urn:ogc:def:crs:EPSG::32633; leave it out for longitude and latitude"
    )
