"""Reads polygons and their CRS from vector files.

GDAL opens the formats of `_MAGIC` and KML alone. Some of its other drivers follow what a file says:
to other files, to other hosts, or to commands. GeoJSON is read without GDAL, which opens the URL of
a ``crs`` member, and leaves out features that it cannot read.
"""

from __future__ import annotations

import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import rasterio
import shapely
from rasterio.crs import CRS
from rasterio.errors import CRSError
from shapely import Polygon
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from rs_superres.errors import InputError
from rs_superres.raster import longitude_turns, one_line, without_name
from rs_superres.vector import geojson

LONGITUDE_LATITUDE = "EPSG:4326"
"""The CRS of GeoJSON. Its name there is CRS84; in GDAL's order of axes the two are the same."""

FORMATS = "GeoJSON, GeoPackage, shapefile, FlatGeobuf, KML or File Geodatabase"
"""The accepted formats, for messages."""

_SHAPEFILE = b"\0\0\x27\x0a"
"""First bytes of a shapefile."""

_MAGIC = (_SHAPEFILE, b"SQLite format 3\0", b"fgb")
"""First bytes of a shapefile, a GeoPackage and a FlatGeobuf file."""

_ZIP = b"PK\x03\x04"
"""First bytes of a ZIP archive, such as KMZ."""

_KML = re.compile(rb"(<\?xml[^>]*\?>)?\s*(<!--(?:(?!-->).)*-->\s*)*<(\w+:)?kml[\s>]", re.DOTALL)
"""Beginning of a KML file."""

_HEAD = 65_536
"""Bytes at the beginning of a file that decide how it is read."""

_MARKS = b"\xef\xbb\xbf\xff\xfe \t\r\n"
"""Bytes of byte order marks and white space."""

_SUFFIXES = (".geojson", ".json", ".gpkg", ".sqlite", ".shp", ".fgb", ".kml")
"""Suffixes, in lower case, of the members of a ZIP archive that are read."""

_WITH_AREA = re.compile("Polygon|Surface|Collection|Unknown")
"""Types of layers that may hold polygons."""

_LAYER = re.compile(r"(?P<file>.+)\|layer(name)?=(?P<layer>.+)", re.DOTALL)
"""A file with the name of one of its layers, in QGIS's notation or a shorter one."""


@dataclass(frozen=True, slots=True)
class Polygons:
    """The polygons of a file, repaired and merged."""

    path: Path
    geometry: BaseGeometry
    """Valid and two-dimensional: one polygon, or several that do not overlap."""
    crs: CRS


class _Contents(NamedTuple):
    """What is read from a file: the text of GeoJSON, or the name by which GDAL opens the file."""

    json: bytes | None
    name: str
    layer: str | None


def read_polygons(path: Path) -> Polygons:
    """Read all polygons of a vector file, or of one of its layers; ignore points and lines.

    Args:
        path: A GeoJSON, GeoPackage, shapefile, FlatGeobuf or KML file, a ZIP archive with one of
            them, or the folder of a File Geodatabase. ``FILE|layer=NAME`` chooses a layer.

    Raises:
        InputError: The file cannot be read, has no polygon, several layers of polygons, no known
            CRS, or impossible coordinates.
    """
    file, layer = split_layer(path)
    try:
        contents = _contents(file, layer)
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise InputError(f"cannot read {file}: {one_line(error)}") from error
    if contents.json is not None:
        geometries, crs = geojson.parse(contents.json, file)
    else:
        geometries, crs = _read_with_gdal(contents, file)
    geometry = polygon_union(geometries)
    if geometry.is_empty:
        raise InputError(f"{path} has no polygons, expected a Polygon or a MultiPolygon")
    parsed = _parsed(crs, file)
    _check_degrees(geometry, parsed, file)
    return Polygons(file, geometry, parsed)


def split_layer(path: Path) -> tuple[Path, str | None]:
    """Split ``FILE|layer=NAME`` into a file and the name of a layer; None without a name."""
    match = _LAYER.fullmatch(str(path))
    return (path, None) if match is None else (Path(match["file"]), match["layer"])


def polygon_union(geometries: Iterable[BaseGeometry]) -> BaseGeometry:
    """Return the union of polygons; repair those that cross themselves, drop points and lines."""
    repaired = [shapely.make_valid(shapely.force_2d(g)) for g in geometries]
    parts = shapely.get_parts(shapely.get_parts(repaired))
    return shapely.union_all([p for p in parts if isinstance(p, Polygon) and p.area > 0])


def _contents(file: Path, layer: str | None) -> _Contents:
    """Decide how to read a file.

    Raises:
        InputError: The file is of no accepted format.
        OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError: The file cannot be read.
    """
    name = str(file.absolute())
    if file.is_dir() and any(file.glob("*.gdbtable")):
        return _Contents(None, name, layer)
    with file.open("rb") as stream:
        head, size = stream.read(_HEAD), file.stat().st_size
    if head.startswith(_ZIP):
        with zipfile.ZipFile(file) as archive:
            member, layer = _member(archive, file, layer)
            with archive.open(member) as stream:
                head, size = stream.read(_HEAD), archive.getinfo(member).file_size
                text = head + stream.read() if _is_json(head) else None
        name = f"/vsizip/{{{name}}}/{member}"
    else:
        text = file.read_bytes() if _is_json(head) else None
    kml = _KML.match(head.lstrip(_MARKS)) and b"<OGR" not in head
    if text is None and not kml and not head.startswith(_MAGIC):
        raise InputError(
            f"{file} is not a supported vector file, expected {FORMATS}, or one of them in a ZIP "
            f"archive; convert other files first: ogr2ogr area.gpkg {file}"
        )
    # GDAL reads the missing shapes of a truncated shapefile as empty ones.
    if head.startswith(_SHAPEFILE) and size < 2 * int.from_bytes(head[24:28], "big"):
        raise InputError(f"{file} is truncated: its header promises more bytes than there are")
    return _Contents(text, name, layer)


def _is_json(head: bytes) -> bool:
    """Return whether the beginning of a file, in any encoding of Unicode, looks like JSON."""
    return head.replace(b"\0", b"").lstrip(_MARKS)[:1] in (b"{", b"[")


def _member(archive: zipfile.ZipFile, file: Path, layer: str | None) -> tuple[str, str | None]:
    """Return the member of an archive to read, and the name of the layer within it.

    Raises:
        InputError: No member is a vector file, or several are and none has the layer's name.
    """
    members = [
        name
        for name in archive.namelist()
        if name.lower().endswith(_SUFFIXES) and not name.startswith("__MACOSX/")
    ]
    if not members:
        raise InputError(f"{file} has no vector file, expected one of {', '.join(_SUFFIXES)}")
    if len(members) > 1:
        members = [name for name in members if PurePosixPath(name).stem == layer] or members
        if len(members) > 1:
            raise _several(file, "files", [PurePosixPath(name).stem for name in members])
        layer = None
    return members[0], layer


def _several(file: Path, what: str, names: Sequence[str]) -> InputError:
    """Return the error for a file of which a part must be chosen."""
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return InputError(
        f"{file} has {len(names)} {what} of polygons: {listed}; choose one as in "
        f"'{file}|layer={names[0]}'"
    )


def _read_with_gdal(contents: _Contents, file: Path) -> tuple[list[BaseGeometry], str]:
    """Read the geometries of a layer, and its CRS, with GDAL.

    Raises:
        InputError: The file cannot be read, has no CRS, or the layer must be chosen.
    """
    import pyogrio.raw  # noqa: PLC0415 (it loads pandas, which GeoJSON does not need)

    name = contents.name
    with _gdal_errors(name, file):
        layers = pyogrio.list_layers(name).tolist()
    if not layers:
        raise InputError(f"cannot read the polygons of {file}: it is empty or damaged")
    layer = _chosen(layers, contents.layer, file)
    if layer is None:
        return [], LONGITUDE_LATITUDE
    with _gdal_errors(name, file):
        info = pyogrio.read_info(name, layer=layer)
        encoded = pyogrio.raw.read(name, layer=layer, columns=[], force_2d=True)[2]
        geometries = [g for g in shapely.from_wkb(encoded) if g is not None]
    count, promised = len(encoded), info["features"]
    if info["driver"] == "FlatGeobuf" and count < promised:
        raise InputError(f"{file} is truncated: it has {count} of {promised} features")
    if not np.isfinite(shapely.get_coordinates(geometries)).all():
        raise InputError(f"cannot read the polygons of {file}: a coordinate is infinite or NaN")
    if info["crs"] is None:
        raise InputError(
            f"{file} has no CRS, expected one (that of a shapefile is in its .prj file); assign "
            f"it: ogr2ogr -a_srs EPSG:4326 area.gpkg {file}"
        )
    return geometries, info["crs"]


@contextmanager
def _gdal_errors(name: str, file: Path) -> Iterator[None]:
    """Turn errors of GDAL into `InputError`, and ignore its warnings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (RuntimeError, ValueError, OSError, ShapelyError) as error:
        # GDAL also says how to choose a driver, which is chosen here by the contents of the file.
        reason = without_name(one_line(error), name).partition("; It might help")[0]
        raise InputError(f"cannot read the polygons of {file}: {reason}") from error


def _chosen(layers: Sequence[Sequence[str]], name: str | None, file: Path) -> str | None:
    """Return the layer to read; None if no layer can hold polygons.

    Args:
        layers: Name and type of each layer.
        name: The name that was given, if any.
        file: The file, for messages.

    Raises:
        InputError: No layer has the name, or several can hold polygons and no name was given.
    """
    names = [layer for layer, kind in layers if _WITH_AREA.search(kind or "")]
    if name is not None:
        if name not in (layer for layer, _ in layers):
            raise InputError(f"{file} has no layer {name!r}, it has {', '.join(names) or 'none'}")
        return name
    if len(names) > 1:
        raise _several(file, "layers", names)
    return names[0] if names else None


def _parsed(name: str, path: Path) -> CRS:
    """Parse a CRS.

    Raises:
        InputError: GDAL does not know it.
    """
    with rasterio.Env():  # outside it, GDAL writes its errors to stderr
        try:
            crs = CRS.from_user_input(name)
        except CRSError as error:
            raise InputError(f"the CRS of {path} is not known: {name:.80}") from error
        is_crs84 = crs == CRS.from_user_input("OGC:CRS84")
        return CRS.from_user_input(LONGITUDE_LATITUDE) if is_crs84 else crs


def _check_degrees(geometry: BaseGeometry, crs: CRS, path: Path) -> None:
    """Refuse impossible longitudes and latitudes, which are usually metres."""
    turns = longitude_turns(crs.to_wkt())
    if len(turns) == 1:
        return
    left, bottom, right, top = geometry.bounds
    if max(-left, right) > turns[1] or max(-bottom, top) > turns[1] / 4:
        raise InputError(
            f"{path} spans {left:g} to {right:g}, {bottom:g} to {top:g}, which are not "
            "longitudes and latitudes; add a crs member with its CRS, or reproject it: "
            f"ogr2ogr -t_srs EPSG:4326 area.geojson {path}"
        )
