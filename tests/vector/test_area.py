"""The area of interest, compared with gdal_rasterize and with pixels reprojected one by one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import shapely
from affine import Affine
from rasterio import warp
from rasterio.crs import CRS
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from rs_superres.errors import InputError
from rs_superres.grid import Grid, Lattice, Shape, Window
from rs_superres.vector import Area, read_area
from tests import rasters
from tests.rasters import NORTH_UP, UTM

CRS84 = "OGC:CRS84"
SHAPE = Shape(150, 170)
TRANSFORMS = {
    "north up": NORTH_UP,
    "south up": Affine(10.0, 0.0, 500_000.0, 0.0, 10.0, 5_300_000.0),
    "rotated": NORTH_UP @ Affine.rotation(33),
}


def grid(transform: Affine = NORTH_UP, crs: str = UTM, shape: Shape = SHAPE) -> Grid:
    return Grid(shape, transform, CRS.from_user_input(crs).to_wkt())


def write(folder: Path, geometry: BaseGeometry | dict[str, Any], crs: str = CRS84) -> Path:
    shape = geometry if isinstance(geometry, dict) else mapping(geometry)
    path = folder / "area.geojson"
    properties = {"name": crs.replace("EPSG:", "urn:ogc:def:crs:EPSG::")}
    document = {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": properties},
        "features": [{"type": "Feature", "properties": {}, "geometry": shape}],
    }
    path.write_text(json.dumps(document))
    return path


def pixels_inside(area: Area, shape: Shape = SHAPE) -> npt.NDArray[np.bool_]:
    """Whether each pixel of the grid lies inside, (y, x)."""
    return area.inside(Window(0, 0, shape.height, shape.width))


def star(seed: int, holes: int = 1) -> BaseGeometry:
    """Make a jagged polygon with holes and an island, in pixel coordinates."""
    generator = np.random.default_rng(seed)
    angles = np.sort(generator.random(40)) * 2 * np.pi
    radii = generator.uniform(30, 90, 40)
    outline: BaseGeometry = shapely.Polygon(
        np.column_stack((85 + radii * np.cos(angles), 75 + radii * np.sin(angles)))
    )
    for x, y in generator.uniform(50, 110, (holes, 2)):
        outline = outline.difference(shapely.Point(x, y).buffer(9))
    return outline.union(shapely.box(3.2, 4.1, 9.9, 12.4))


def on_map(pixels: BaseGeometry, transform: Affine) -> BaseGeometry:
    """Convert a geometry from pixel to map coordinates."""
    converted: BaseGeometry = shapely.transform(
        pixels, lambda p: np.array([transform @ (x, y) for x, y in p])
    )
    return converted


def burnt(tools: Path, folder: Path, area: Path, target: Grid) -> npt.NDArray[np.bool_]:
    """Return which pixels gdal_rasterize burns, (y, x)."""
    shape = target.shape.height, target.shape.width
    path = rasters.write(
        folder / "burnt.tif",
        np.zeros((1, *shape), dtype=np.uint8),
        transform=target.transform,
        crs=target.crs,
    )
    subprocess.run([tools / "gdal_rasterize", "-q", "-burn", "1", area, path], check=True)
    pixels: npt.NDArray[np.bool_] = rasters.read(path)[0] == 1
    return pixels


# Which pixels


@pytest.mark.parametrize("orientation", TRANSFORMS)
@pytest.mark.parametrize("seed", [1, 2])
def test_pixels_inside_are_those_that_gdal_burns(
    tmp_path: Path, gdal_tools: Path, orientation: str, seed: int
) -> None:
    target = grid(TRANSFORMS[orientation])
    path = write(tmp_path, on_map(star(seed), TRANSFORMS[orientation]), UTM)
    inside = pixels_inside(read_area(path, target))
    assert 0.1 < inside.mean() < 0.9
    np.testing.assert_array_equal(inside, burnt(gdal_tools, tmp_path, path, target))


@pytest.mark.parametrize("orientation", TRANSFORMS)
@pytest.mark.parametrize("edge", [20.0, 20.5, 33.5])
@pytest.mark.parametrize("vertical", [True, False])
def test_centres_on_a_shared_edge_belong_to_one_area(
    tmp_path: Path, orientation: str, edge: float, vertical: bool
) -> None:
    """Two areas that share an edge share no pixel and leave none out."""
    inside = []
    for low, high in ((5, edge), (edge, 60)):
        box = shapely.box(low, 5, high, 40) if vertical else shapely.box(5, low, 40, high)
        path = write(tmp_path, on_map(box, TRANSFORMS[orientation]), UTM)
        inside.append(pixels_inside(read_area(path, grid(TRANSFORMS[orientation]))))
    assert not (inside[0] & inside[1]).any()
    assert (inside[0] | inside[1]).sum() == 55 * 35


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_inside_does_not_depend_on_the_cell(tmp_path: Path, seed: int) -> None:
    area = read_area(write(tmp_path, on_map(star(seed), NORTH_UP), UTM), grid())
    entire = pixels_inside(area)
    for side in (7, 64, 128):
        for row in range(0, SHAPE.height, side):
            for column in range(0, SHAPE.width, side):
                cell = Window(row, column, side, side)
                shared = cell.intersection(grid().window)
                assert shared is not None
                part = area.inside(cell)
                np.testing.assert_array_equal(
                    part[shared.relative_to(cell).slices], entire[shared.slices]
                )
                assert part.sum() == entire[shared.slices].sum()  # none outside the grid


@pytest.mark.parametrize("crs", [CRS84, "EPSG:3857", "EPSG:32632", "EPSG:3035"])
def test_long_edges_are_reprojected_exactly(tmp_path: Path, crs: str) -> None:
    """Edges cross a scene 300 km wide; straight ones would be off by kilometres."""
    target = grid(Affine(2000, 0, 350_000, 0, -2000, 5_700_000))
    left, bottom, right, top = warp.transform_bounds(UTM, crs, 350_000, 5_400_000, 690_000, 57e5)
    # One corner is far outside the scene, so its edges are longer than the scene.
    relative = np.array([(-2, 0.2), (0.9, 0.1), (0.95, 0.8)])
    shape = shapely.Polygon((left, bottom) + relative * (right - left, top - bottom))
    inside = pixels_inside(read_area(write(tmp_path, shape, crs), target))
    rows, columns = np.mgrid[: SHAPE.height, : SHAPE.width] + 0.5
    map_x, map_y = 350_000 + 2000 * columns.ravel(), 5_700_000 - 2000 * rows.ravel()
    points = np.array(warp.transform(UTM, crs, map_x, map_y))
    expected = shapely.contains_xy(shape, *points)
    pixel = np.hypot(*(points[:, 1] - points[:, 0]))
    distance = shapely.distance(shape.boundary, shapely.points(points.T)) / pixel
    assert 0.1 < expected.mean() < 0.9
    certain = distance > 1e-3
    np.testing.assert_array_equal(inside.ravel()[certain], expected[certain])


@pytest.mark.parametrize("turn", [None, 0, -360])
def test_polygons_across_the_antimeridian(tmp_path: Path, turn: int | None) -> None:
    """Polygons are split as in RFC 7946, or have longitudes beyond 180."""
    target = grid(Affine(1000, 0, 650_000, 0, -1000, 5_000_000), "EPSG:32660")
    shape: BaseGeometry = shapely.MultiPolygon(
        [shapely.box(179.2, 43.9, 180, 44.6), shapely.box(-180, 43.9, -179.4, 44.6)]
    )
    if turn is not None:
        shape = shapely.box(179.2 + turn, 43.9, 180.6 + turn, 44.6)
    inside = pixels_inside(read_area(write(tmp_path, shape), target))
    rows, columns = np.mgrid[: SHAPE.height, : SHAPE.width] + 0.5
    x, y = 650_000 + 1000 * columns.ravel(), 5_000_000 - 1000 * rows.ravel()
    longitudes, latitudes = np.array(warp.transform("EPSG:32660", CRS84, x, y))
    longitudes %= 360
    expected = (longitudes > 179.2) & (longitudes < 180.6) & (latitudes > 43.9) & (latitudes < 44.6)
    assert (longitudes > 180).any()
    assert 1000 < expected.sum() < 20_000
    np.testing.assert_array_equal(inside.ravel(), expected)


CUT = shapely.MultiPolygon([shapely.box(175, 5, 180, 12), shapely.box(-180, 5, -175, 12)])
ACROSS_180 = {
    "cut at 180 as in RFC 7946": (CUT, (175, 185)),
    "uncut, beyond 180": (shapely.box(175, 5, 185, 12), (175, 185)),
    "uncut, beyond -180": (shapely.box(-185, 5, -175, 12), (175, 185)),
    "west of 180 alone": (shapely.box(-177, 5, -170, 12), (183, 190)),
    "in both conventions": (
        shapely.MultiPolygon([shapely.box(-177, 5, -175, 12), shapely.box(185, 5, 190, 12)]),
        (183, 190),
    ),
}
"""Polygons, and the longitudes from 0 to 360 that they cover."""

CONVENTIONS = {
    "160 to 195": (160, 35),
    "-200 to -165": (-200, 35),
    "0 to 360": (0, 360),
    "-180 to 180": (-180, 360),
    "-200 to 160": (-200, 360),
    "0 to 400, with 10 to 50 twice": (10, 400),
}
"""First longitudes of a raster, and their numbers."""


def longitudes_and_latitudes(target: Grid) -> npt.NDArray[np.float64]:
    """Return the coordinates of all pixel centres, (2, y, x)."""
    assert target.transform is not None
    rows, columns = np.mgrid[: target.shape.height, : target.shape.width] + 0.5
    return np.array(target.transform @ (columns, rows))


@pytest.mark.parametrize("crs", ["EPSG:4326", CRS84, "EPSG:4269", "EPSG:4979", "EPSG:4272"])
@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("polygons", ACROSS_180)
def test_longitudes_of_polygons_and_geographic_grids_meet_by_turns(
    tmp_path: Path, crs: str, convention: str, polygons: str
) -> None:
    west, degrees = CONVENTIONS[convention]
    shape, (left, right) = ACROSS_180[polygons]
    # Not on a pixel edge: the datum of EPSG:4272 is moved by a ten-thousandth of a degree.
    target = grid(Affine(0.5, 0, west, 0, -0.5, 20), crs, Shape(40, 2 * degrees))
    area = read_area(write(tmp_path, shape), target)
    x, y = longitudes_and_latitudes(target)
    expected = (x % 360 > left) & (x % 360 < right) & (y > 5) & (y < 12)
    assert expected.any()
    np.testing.assert_array_equal(pixels_inside(area, target.shape), expected)


def test_an_area_lies_at_each_of_its_longitudes_in_a_grid_beyond_360_degrees(
    tmp_path: Path,
) -> None:
    target = grid(Affine(1, 0, 0, 0, -1, 20), "EPSG:4326", Shape(40, 400))
    area = read_area(write(tmp_path, shapely.box(10, 0, 20, 10)), target)
    columns = np.flatnonzero(pixels_inside(area, target.shape).sum(axis=0))
    assert columns.tolist() == [*range(10, 20), *range(370, 380)]


def test_turns_are_in_the_unit_of_the_crs(tmp_path: Path) -> None:
    target = grid(Affine(1, 0, 190, 0, -1, 20), "EPSG:4807", Shape(40, 40))  # grads
    area = read_area(write(tmp_path, shapely.box(-190, 0, -180, 10), "EPSG:4807"), target)
    assert area.window == Window(10, 20, 10, 10)
    area = read_area(write(tmp_path, shapely.box(-170, 0, -165, 9)), target)  # degrees
    # From Paris: -172.337 degrees are 208.5 grads, -167.337 are 214.1.
    assert (area.window.column, area.window.width) == (18, 7)


ARCTIC = shapely.box(-2e6, -2e6, 3e6, 2e6).difference(shapely.box(-5e5, -5e5, 4e5, 5e5))


@pytest.mark.parametrize(
    ("crs", "shape", "top"),
    [
        ("EPSG:3832", shapely.box(2783e3, 553e3, 3896e3, 1335e3), 20),
        ("EPSG:32660", shapely.box(4e5, 55e4, 13e5, 13e5), 20),
        ("EPSG:3413", shapely.box(-1e6, -1e6, 1e6, 1e6), 90),
        ("EPSG:3413", ARCTIC, 90),
    ],
)
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_projected_polygons_across_180_degrees_or_a_pole(
    tmp_path: Path, crs: str, shape: BaseGeometry, top: int, convention: str
) -> None:
    west, degrees = CONVENTIONS[convention]
    target = grid(Affine(0.5, 0, west, 0, -0.5, top), "EPSG:4326", Shape(60, 2 * degrees))
    area = read_area(write(tmp_path, shape, crs), target)
    x, y = longitudes_and_latitudes(target)
    near = abs((x + 360) % 360 - 180) < (40 if crs == "EPSG:32660" else 360)
    points = np.array(warp.transform("EPSG:4326", crs, x[near], y[near])[:2])
    expected = np.zeros(x.shape, dtype=np.bool_)
    expected[near] = shapely.contains_xy(shape, *points)
    assert expected.any()
    np.testing.assert_array_equal(pixels_inside(area, target.shape), expected)


def test_rotated_longitudes_meet_by_turns(tmp_path: Path) -> None:
    rotated = "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +datum=WGS84"
    for west in (-180, 0):
        target = grid(Affine(1, 0, west, 0, -1, 90), rotated, Shape(180, 360))
        area = read_area(write(tmp_path, shapely.box(170, 60, 190, 80)), target)
        points = longitudes_and_latitudes(target).reshape(2, -1)
        x, y = np.array(warp.transform(CRS.from_user_input(rotated), "EPSG:4326", *points)[:2])
        expected = (x % 360 > 170) & (x % 360 < 190) & (y > 60) & (y < 80)
        np.testing.assert_array_equal(pixels_inside(area, target.shape).ravel(), expected)


def test_a_polygon_around_the_pole(tmp_path: Path) -> None:
    target = grid(Affine(1000, 0, -85_000, 0, -1000, 75_000), "EPSG:3413")
    shape = shapely.box(-180, 89.6, 180, 90)
    inside = pixels_inside(read_area(write(tmp_path, shape), target))
    rows, columns = np.mgrid[: SHAPE.height, : SHAPE.width] + 0.5
    x, y = -85_000 + 1000 * columns.ravel(), 75_000 - 1000 * rows.ravel()
    latitudes = np.array(warp.transform("EPSG:3413", CRS84, x, y)[1])
    certain = abs(latitudes - 89.6) > 1e-4
    np.testing.assert_array_equal(inside.ravel()[certain], (latitudes > 89.6)[certain])


# Which window and which cells


def test_window_is_the_bounding_box_snapped_outward(tmp_path: Path) -> None:
    for box, window in (
        ((10, 20, 31, 45), Window(20, 10, 25, 21)),
        ((10.2, 20.9, 30.1, 44.3), Window(20, 10, 25, 21)),
        ((-50, 100, 3.5, 900), Window(100, 0, 50, 4)),  # clipped to the scene
    ):
        area = read_area(write(tmp_path, on_map(shapely.box(*box), NORTH_UP), UTM), grid())
        assert area.window == window


def test_only_cells_that_overlap_the_area_meet_it(tmp_path: Path) -> None:
    """Cells that touch the area, or lie in its hole, do not meet it."""
    lattice = Lattice(SHAPE, Shape(16, 16))
    frame = shapely.box(16, 16, 130, 120).difference(shapely.box(32, 32, 100, 100))
    area = read_area(write(tmp_path, on_map(frame, NORTH_UP), UTM), grid())
    meeting = set(area.meeting(lattice.cells()))
    inside = pixels_inside(area)
    overlapping = {c for c in lattice.cells() if inside[c.slices].any()}
    assert meeting == overlapping
    assert Window(0, 16, 16, 16) not in meeting  # touches the frame's border
    assert Window(48, 48, 16, 16) not in meeting  # in the hole


def test_checksums_of_different_areas_differ(tmp_path: Path) -> None:
    one, same, other = (
        read_area(write(tmp_path, on_map(star(seed), NORTH_UP), UTM), grid()).checksum
        for seed in (1, 1, 2)
    )
    assert one == same != other


# Refusals


@pytest.mark.parametrize("target", [Grid(SHAPE, None, UTM), Grid(SHAPE, NORTH_UP, None)])
def test_a_grid_without_transform_or_crs_is_refused(tmp_path: Path, target: Grid) -> None:
    with pytest.raises(InputError, match="and a CRS; without them, bounds= takes source pixels"):
        read_area(write(tmp_path, star(1), UTM), target)


@pytest.mark.parametrize(
    ("shape", "crs"),
    [
        (shapely.box(4e5, 54e5, 4.9e5, 55e5), UTM),
        (shapely.box(5e5 - 10, 54e5 - 10, 5e5, 54e5), UTM),  # only touches the border
        (shapely.box(20, 30, 21, 31), CRS84),
        (shapely.box(-180, -90, 180, -89), CRS84),
        (shapely.box(1e30, 1e30, 2e30, 2e30), "EPSG:3857"),
    ],
)
def test_polygons_off_the_scene_are_refused(tmp_path: Path, shape: BaseGeometry, crs: str) -> None:
    extents = r"they span .* in \w+:\w+, the scene 500000 to 501700, .* in EPSG:32633$"
    with pytest.raises(InputError, match=f"do not touch the scene: {extents}"):
        read_area(write(tmp_path, shape, crs), grid())


def test_a_scene_that_cannot_be_reprojected_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    local = 'LOCAL_CS["site",UNIT["metre",1]]'
    with pytest.raises(InputError, match="cannot be reprojected to the scene's CRS"):
        read_area(write(tmp_path, shapely.box(0, 0, 1, 1)), grid(crs=local))
    beyond = Affine(1e9, 0, 1e15, 0, -1e9, 1e15)
    with pytest.raises(InputError, match="scene"):
        read_area(write(tmp_path, shapely.box(0, 0, 1, 1)), grid(beyond))
    assert capfd.readouterr().err == ""  # GDAL prints nothing
