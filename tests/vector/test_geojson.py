"""GeoJSON files: all forms of polygons, and one-line errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rs_superres.errors import InputError
from rs_superres.vector import read_polygons

SQUARE = [[[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]]
HOLED = [*SQUARE, [[1, 1], [1, 2], [2, 2], [2, 1], [1, 1]]]
POLYGON = {"type": "Polygon", "coordinates": SQUARE}


def write(folder: Path, document: Any) -> Path:
    path = folder / "area.geojson"
    path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    return path


def feature(geometry: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": {}, "geometry": geometry}


def collection(*geometries: Any, **more: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": [feature(g) for g in geometries], **more}


def named(crs: Any) -> dict[str, Any]:
    return {**POLYGON, "crs": {"type": "name", "properties": {"name": crs}}}


@pytest.mark.parametrize(
    ("document", "area"),
    [
        pytest.param(POLYGON, 16, id="geometry"),
        pytest.param(feature(POLYGON), 16, id="feature"),
        pytest.param(collection(POLYGON, None), 16, id="collection with an empty feature"),
        pytest.param({"type": "Polygon", "coordinates": HOLED}, 15, id="hole"),
        pytest.param(
            {"type": "MultiPolygon", "coordinates": [HOLED, [[[9, 0], [10, 0], [10, 1], [9, 0]]]]},
            15.5,
            id="multipolygon",
        ),
        pytest.param(
            {
                "type": "GeometryCollection",
                "geometries": [{"type": "Point", "coordinates": [9, 9]}, POLYGON],
            },
            16,
            id="geometry collection with a point",
        ),
        pytest.param(
            {"type": "Polygon", "coordinates": [[[x, y, 7] for x, y in SQUARE[0]]]},
            16,
            id="with heights",
        ),
        pytest.param({"type": "Polygon", "coordinates": [SQUARE[0][:-1]]}, 16, id="not closed"),
        pytest.param(
            {"type": "Polygon", "coordinates": [[[0, 0], [4, 4], [4, 0], [0, 4], [0, 0]]]},
            8,
            id="crossing itself",
        ),
        pytest.param(collection(POLYGON, POLYGON), 16, id="on top of each other"),
    ],
)
def test_all_forms_of_polygons_are_read(tmp_path: Path, document: Any, area: float) -> None:
    polygons = read_polygons(write(tmp_path, document))
    assert polygons.geometry.is_valid
    assert polygons.geometry.area == pytest.approx(area, abs=1e-12)
    assert polygons.crs.to_string() == "EPSG:4326"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_any_encoding_of_unicode_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps(POLYGON), encoding)
    assert read_polygons(path).geometry.area == 16


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326"),
        ("urn:ogc:def:crs:EPSG::32633", "EPSG:32633"),
        ("EPSG:3857", "EPSG:3857"),
        ("http://www.opengis.net/def/crs/EPSG/0/25832", "EPSG:25832"),
    ],
)
def test_the_crs_member_gives_the_crs(tmp_path: Path, name: str, code: str) -> None:
    assert read_polygons(write(tmp_path, named(name))).crs.to_string() == code


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("II*\x00", "is not a supported vector file, expected GeoJSON, GeoPackage, shapefile"),
        ("", "is not a supported vector file"),
        (json.dumps(POLYGON) + "\n" + json.dumps(POLYGON), "is not GeoJSON (Extra data: line 2"),
        ("[" * 100_000, "is not GeoJSON"),
        ("[1, 2]", "is not GeoJSON (an object has no type)"),
        ("{}", "is not GeoJSON (an object has no type)"),
        ({"type": "Topology"}, "is not GeoJSON (it has an object of type 'Topology')"),
        ({"type": "Feature"}, "is not GeoJSON (a Feature has no geometry)"),
        ({"type": "FeatureCollection"}, "is not GeoJSON (a FeatureCollection has no features)"),
        ({"type": "FeatureCollection", "features": 7}, "is not GeoJSON"),
        ({"type": "Polygon", "coordinates": 7}, "is not GeoJSON"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1]]]}, "is not GeoJSON"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}, "is not GeoJSON"),
        ({"type": "Polygon", "coordinates": [[["a", 0], [1, 1], [0, 1]]]}, "is not GeoJSON"),
        (
            '{"type": "Polygon", "coordinates": [[[0, NaN], [1, 1], [0, 1]]]}',
            "NaN is not a JSON number",
        ),
        (
            '{"type": "Polygon", "coordinates": [[[0, 1e999], [1, 1], [0, 1]]]}',
            "a coordinate is infinite",
        ),
        (collection(), "has no polygons, expected a Polygon or a MultiPolygon"),
        ({"type": "Point", "coordinates": [1, 2]}, "has no polygons"),
        ({"type": "Polygon", "coordinates": []}, "has no polygons"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0], [0, 0]]]}, "has no polyg"),
        ({**POLYGON, "crs": None}, "is not a known CRS, expected a name such as urn:ogc"),
        ({**POLYGON, "crs": {"type": "link", "properties": {"href": "x"}}}, "is not a known CRS"),
        (named("EPSG:999999"), "is not a known CRS"),
        (named("/etc/passwd"), "is not a known CRS"),
        (named("http://example.org/crs"), "is not a known CRS"),
        (named(4326), "is not a known CRS"),
        (
            {"type": "Polygon", "coordinates": [[[5e5, 54e5], [6e5, 54e5], [5e5, 55e5]]]},
            "spans 500000 to 600000, 5.4e+06 to 5.5e+06, which are not longitudes",
        ),
    ],
)
def test_bad_files_are_refused_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], document: Any, message: str
) -> None:
    path = write(tmp_path, document)
    with pytest.raises(InputError) as caught:
        read_polygons(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""  # GDAL prints nothing
