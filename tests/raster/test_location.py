"""Where a grid lies on the Earth, checked with known positions and pixel sizes."""

from __future__ import annotations

import math

import pytest
from affine import Affine
from rasterio.warp import transform

from rs_superres.grid import Grid, Shape
from rs_superres.raster import Place, pixel_size, place_of
from rs_superres.raster.location import DEGREE

WGS84 = "EPSG:4326"
LOCAL = 'LOCAL_CS["a site of its own",UNIT["metre",1]]'


def grid(crs: str | None, transform: Affine | None, height: int = 40, width: int = 60) -> Grid:
    return Grid(Shape(height, width), transform, crs)


def grid_at(crs: str, longitude: float, latitude: float, pixel: Affine) -> Grid:
    """A grid in a CRS whose upper left corner has the given longitude and latitude."""
    (x,), (y,) = transform(WGS84, crs, [longitude], [latitude])
    return grid(crs, Affine.translation(x, y) @ pixel)


NORTH_UP = Affine.scale(10, -10)


@pytest.mark.parametrize(
    ("crs", "longitude", "latitude"),
    [
        ("EPSG:32633", 15, 50),
        ("EPSG:32660", 179.99, -17),  # across the antimeridian
        ("EPSG:3035", -8, 40),  # equal area, far from its centre: north is off by 12 degrees
        ("EPSG:5070", -122, 45),
        ("EPSG:3413", 0, 78),  # polar: any direction can be north
        ("EPSG:3031", 100, -78),
    ],
)
@pytest.mark.parametrize(
    "pixel",
    [NORTH_UP, Affine.scale(10, 10), Affine.rotation(30) @ NORTH_UP, Affine.scale(5, -20)],
    ids=["north-up", "south-up", "rotated", "oblong"],
)
def test_pixel_size_in_projected_crs(
    crs: str, longitude: float, latitude: float, pixel: Affine
) -> None:
    size = pixel_size(grid_at(crs, longitude, latitude, pixel))
    assert size == pytest.approx(10, rel=0.03)


def test_pixel_size_of_a_sheared_grid() -> None:
    sheared = Affine(10, 6, 500_000, 0, -10, 5_500_000)
    assert pixel_size(grid("EPSG:32633", sheared)) == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize("latitude", [0.1, 30, 50, 80])
def test_pixel_size_is_measured_on_the_ellipsoid(latitude: float) -> None:
    """UTM is exactly 0.9996 times as long as the ground along its central meridian."""
    size = pixel_size(grid_at("EPSG:32633", 15, latitude, Affine.scale(30, -30)))
    assert size == pytest.approx(30 / 0.9996, rel=2e-6)


@pytest.mark.parametrize("latitude", [0, 45, -60, 80])
def test_pixel_size_in_degrees(latitude: float) -> None:
    """A degree of longitude is shorter by the cosine of the latitude."""
    degrees = grid(WGS84, Affine(0.001, 0, 20, 0, -0.001, latitude + 0.02))
    expected = 0.001 * DEGREE * math.sqrt(math.cos(math.radians(latitude)))
    assert pixel_size(degrees) == pytest.approx(expected, rel=0.01)


def test_pixel_size_of_a_crs_in_feet_is_in_metres() -> None:
    assert pixel_size(grid_at("EPSG:2263", -74, 40.7, NORTH_UP)) == pytest.approx(3.048, rel=0.01)


@pytest.mark.parametrize(
    "nowhere",
    [
        grid(None, None),
        grid(None, NORTH_UP),
        grid("EPSG:32633", None),
        grid(LOCAL, NORTH_UP),
        grid("EPSG:3035", Affine(10, 0, 1e12, 0, -10, 1e12)),
    ],
    ids=["nothing", "no CRS", "no transform", "local", "not on this planet"],
)
def test_grid_without_a_place_on_the_earth(nowhere: Grid) -> None:
    assert place_of(nowhere) is None
    assert pixel_size(nowhere) is None


@pytest.mark.parametrize("pixel", [NORTH_UP, Affine.rotation(30) @ NORTH_UP])
def test_place_contains_the_corners(pixel: Affine) -> None:
    source = grid_at("EPSG:32633", 15, 50, pixel)
    place = place_of(source)
    assert place is not None
    assert source.transform is not None
    xs, ys = zip(*(source.transform @ c for c in ((0, 0), (60, 0), (0, 40), (60, 40))), strict=True)
    longitudes, latitudes = transform("EPSG:32633", WGS84, xs, ys)
    assert place.west <= min(longitudes) + 1e-9
    assert place.east >= max(longitudes) - 1e-9
    assert place.south <= min(latitudes) + 1e-9
    assert place.north >= max(latitudes) - 1e-9
    assert place.east - place.west < 0.02


KILOMETRE = 1000 / DEGREE


@pytest.mark.parametrize(
    ("east", "north", "near"),
    [
        (0, 0, True),
        (0.005, 0.005, True),
        # At 60 degrees, a degree of longitude has half as many metres as one of latitude.
        (0.01 + 1.99 * KILOMETRE, 0, True),
        (0.01 + 2.05 * KILOMETRE, 0, False),
        (-0.01 - 1.99 * KILOMETRE, 0, True),
        (-0.01 - 2.05 * KILOMETRE, 0, False),
        (0, 0.01 + 0.99 * KILOMETRE, True),
        (0, 0.01 + 1.01 * KILOMETRE, False),
        (0, -0.01 - 1.01 * KILOMETRE, False),
        (180, 0, False),
        (360, 0, True),
    ],
)
def test_near(east: float, north: float, near: bool) -> None:
    one = Place(20, 60, 20.01, 60.01)
    other = Place(20 + east, 60 + north, 20.01 + east, 60.01 + north)
    assert one.near(other, 1000) is near
    assert other.near(one, 1000) is near


def test_near_across_the_antimeridian() -> None:
    across = place_of(grid_at("EPSG:32660", 179.999, -17, NORTH_UP))
    assert across is not None
    assert across.west < 180 < across.east < across.west + 0.02
    assert across.near(across, 1000)
    for longitude, near in ((-179.99, True), (179.9, False), (179.995, True), (-179.9, False)):
        other = place_of(grid_at("EPSG:32601", longitude, -17, NORTH_UP))
        assert other is not None
        assert across.near(other, 1000) is near, longitude
        assert other.near(across, 1000) is near, longitude
