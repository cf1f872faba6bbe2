"""Vector files of all formats: layers, CRS, damaged files, and files that point elsewhere."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import shapely
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from rs_superres.errors import InputError
from rs_superres.vector import read_polygons, split_layer

SQUARES = (shapely.box(1, 1, 4, 4), shapely.box(6, 6, 7, 7))
DRIVERS = {
    "a.gpkg": "GPKG",
    "a.sqlite": "SQLite",
    "a.shp": "ESRI Shapefile",
    "a.fgb": "FlatGeobuf",
    "a.kml": "KML",
    "a.gdb": "OpenFileGDB",
}


def write(
    path: Path,
    shapes: Sequence[BaseGeometry | None] = SQUARES,
    *,
    layer: str | None = None,
    crs: str | None = "EPSG:4326",
    kind: str = "Polygon",
) -> Path:
    """Write a layer of a vector file, in the format of its suffix."""
    encoded = [None if shape is None else shapely.to_wkb(shape) for shape in shapes]
    pyogrio.raw.write(
        path,
        np.array(encoded, dtype=object),
        [np.arange(len(encoded), dtype=np.int32)],
        np.array(["number"]),
        layer=layer,
        driver=DRIVERS[f"a{path.suffix}"],
        geometry_type=kind,
        crs=crs,
    )
    return path


def zipped(path: Path, files: Sequence[Path], folder: str = "") -> Path:
    """Write a ZIP archive of files, and of the files that belong to a shapefile."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in files:
            for member in file.parent.glob(f"{file.stem}.*"):
                archive.write(member, folder + member.name)
    return path


@pytest.mark.parametrize("name", DRIVERS)
def test_all_formats_are_read(tmp_path: Path, name: str) -> None:
    polygons = read_polygons(write(tmp_path / name))
    assert polygons.geometry.equals(shapely.MultiPolygon(SQUARES))
    assert polygons.crs.to_string() == "EPSG:4326"


@pytest.mark.parametrize("name", ["a.shp", "a.gpkg", "a.fgb"])
@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:3035", "EPSG:31467", "+proj=laea +lat_0=5"])
def test_the_crs_is_the_file_s(tmp_path: Path, name: str, crs: str) -> None:
    shape = shapely.box(4e5, 5e6, 5e5, 6e6)
    polygons = read_polygons(write(tmp_path / name, [shape], crs=crs))
    assert polygons.geometry.bounds == shape.bounds
    assert polygons.crs.is_projected
    assert polygons.path == tmp_path / name


def test_archives_are_read(tmp_path: Path) -> None:
    shapefile = write(tmp_path / "\u00e9 {a}.shp")
    archive = zipped(tmp_path / "a b.zip", [shapefile], "sub folder/")
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr("__MACOSX/._a.shp", b"x")
        more.writestr("read.me", b"x")
    assert read_polygons(archive).geometry.area == 10
    assert read_polygons(
        zipped(tmp_path / "a.kmz", [write(tmp_path / "doc.kml")])
    ).crs.is_geographic
    (tmp_path / "x.geojson").write_text(json.dumps(mapping(SQUARES[0])), "utf-16")
    assert read_polygons(zipped(tmp_path / "x.zip", [tmp_path / "x.geojson"])).geometry.area == 9


def test_empty_features_and_points_are_ignored(tmp_path: Path) -> None:
    shapes = [None, shapely.Point(1, 2), SQUARES[0], shapely.LineString([(0, 0), (9, 9)])]
    path = write(tmp_path / "a.gpkg", shapes, kind="Unknown")
    assert read_polygons(path).geometry.equals(SQUARES[0])


# Layers


@pytest.mark.parametrize("notation", ["layer", "layername"])
def test_one_of_several_layers_is_chosen(tmp_path: Path, notation: str) -> None:
    path = write(tmp_path / "a.gpkg", layer="fields")
    write(path, SQUARES[:1], layer="more fields")
    write(path, [shapely.Point(1, 2)], layer="trees", kind="Point")
    several = r"has 2 layers of polygons: fields, more fields; choose one as in '.*\|layer=fields'$"
    with pytest.raises(InputError, match=several) as caught:
        read_polygons(path)
    assert str(caught.value).startswith(str(path))
    chosen = read_polygons(Path(f"{path}|{notation}=more fields"))
    assert chosen.geometry.area == 9
    assert chosen.path == path
    with pytest.raises(InputError, match=r"has no layer 'x', it has fields, more fields$"):
        read_polygons(Path(f"{path}|{notation}=x"))
    with pytest.raises(InputError, match=r"trees has no polygons"):
        read_polygons(Path(f"{path}|{notation}=trees"))


def test_the_only_layer_of_polygons_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", [shapely.Point(1, 2)], layer="trees", kind="Point")
    write(path, layer="fields")
    assert read_polygons(path).geometry.area == 10


def test_one_of_several_files_of_an_archive_is_chosen(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.shp"), write(tmp_path / "b.shp", SQUARES[:1])]
    archive = zipped(tmp_path / "both.zip", files)
    with pytest.raises(InputError, match=r"has 2 files of polygons: a, b; .*\|layer=a'$"):
        read_polygons(archive)
    assert read_polygons(Path(f"{archive}|layer=b")).geometry.area == 9


def test_names_of_layers_are_split_off() -> None:
    assert split_layer(Path("a|b.gpkg")) == (Path("a|b.gpkg"), None)
    assert split_layer(Path("a|b.gpkg|layer=c|d")) == (Path("a|b.gpkg"), "c|d")


# Refusals


def refused(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_polygons(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).count(str(path)) <= 2  # the second in a command that helps


def test_files_without_polygons_or_crs_are_refused(tmp_path: Path) -> None:
    points = [shapely.Point(1, 2)]
    refused(write(tmp_path / "a.gpkg", points, kind="Point"), "has no polygons")
    refused(write(tmp_path / "b.gpkg", []), "has no polygons")
    local = write(tmp_path / "a.shp")
    (tmp_path / "a.prj").unlink()
    refused(local, r"has no CRS, expected one .*\.prj file\); assign it: ogr2ogr -a_srs EPSG:4326")
    with np.errstate(invalid="ignore"):
        nan = shapely.from_wkt("POLYGON ((0 0, 1 1, NaN 1, 0 0))")
    refused(write(tmp_path / "c.gpkg", [nan]), "a coordinate is infinite or NaN")
    refused(write(tmp_path / "d.gpkg", [shapely.box(4e5, 5e6, 5e5, 6e6)]), "not longitudes and")


def test_missing_and_unsupported_files_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.gpkg", r"^cannot read .*none\.gpkg: No such file or directory$")
    refused(tmp_path, r"^cannot read .*: Is a directory$")
    for number, content in enumerate((b"", b"II*\0", b"WKT,a\n", b"<gml:FeatureCollection/>")):
        path = tmp_path / f"a{number}.gpkg"
        path.write_bytes(content)
        refused(path, "is not a supported vector file, expected GeoJSON, .*: ogr2ogr area.gpkg")
    (tmp_path / "read.me").write_bytes(b"x")
    refused(zipped(tmp_path / "a.zip", [tmp_path / "read.me"]), "has no vector file, expected one")


@pytest.mark.parametrize("name", ["a.gpkg", "a.shp", "a.fgb", "a.kml", "a.kmz", "a.zip"])
def test_truncated_files_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    files = {
        "a.kmz": lambda: zipped(tmp_path / "a.kmz", [write(tmp_path / "doc.kml")]),
        "a.zip": lambda: zipped(tmp_path / "a.zip", [write(tmp_path / "a.shp")]),
    }
    path = files.get(name, lambda: write(tmp_path / name))()
    content = path.read_bytes()
    for part in (0.02, 0.3, 0.6, 0.95):
        path.write_bytes(content[: int(part * len(content))])
        refused(path, "cannot read|is truncated|not a supported vector file")
    if name == "a.fgb":  # ends after its first feature
        ends = []
        for end in range(len(content) - 300, len(content)):
            path.write_bytes(content[:end])
            with pytest.raises(InputError) as caught:
                read_polygons(path)
            ends.append(str(caught.value))
        assert any("it has 1 of 2 features" in end for end in ends)
    assert capfd.readouterr().err == ""  # GDAL prints nothing


# Files that point elsewhere


@pytest.fixture
def host() -> Iterator[tuple[str, list[bytes]]]:
    """A host on this machine, and what is requested from it."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    requests.append(connection.recv(100))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", requests
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_files_that_point_elsewhere_are_not_followed(
    tmp_path: Path, host: tuple[str, list[bytes]]
) -> None:
    url, requests = host
    write(tmp_path / "secret.shp")
    virtual = (
        "<OGRVRTDataSource><OGRVRTLayer name='a'><SrcDataSource>{}</SrcDataSource>"
        "</OGRVRTLayer></OGRVRTDataSource>"
    )
    remote = virtual.format(f"/vsicurl/{url}/a.shp")
    pipeline = f"gdal vector pipeline ! read /vsicurl/{url}/a.shp"
    crs: dict[str, Any] = {"type": "link", "properties": {"url": url, "href": url}}
    contents = {
        "a.vrt": virtual.format(tmp_path / "secret.shp"),
        "b.vrt": remote,
        "a.shp": remote,
        "a.kml": f"<!-- <kml > --><kml></kml>{remote}",
        "b.kml": f"<kml></kml>{remote}",
        "c.kml": "<!-- a -->" * 1000 + remote,
        "a.xml": f"<OGRWFSDataSource><URL>{url}</URL></OGRWFSDataSource>",
        "a.json": json.dumps({"type": "gdal_streamed_alg", "command_line": pipeline}),
        "b.json": json.dumps({**mapping(SQUARES[0]), "crs": crs}),
    }
    for name, content in contents.items():
        path = tmp_path / name
        path.write_text(content)
        refused(path, "not a supported vector file|is not GeoJSON|is not a known CRS")
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("a.shp", remote)
    refused(archive, "not a supported vector file")
    linked = tmp_path / "d.kml"
    shutil.copy(write(tmp_path / "e.kml"), linked)
    link = f"<NetworkLink><Link><href>{url}/a.kml</href></Link></NetworkLink><Placemark"
    linked.write_text(linked.read_text("utf-8").replace("<Placemark", link, 1), "utf-8")
    assert read_polygons(linked).geometry.area == 10
    assert not requests
