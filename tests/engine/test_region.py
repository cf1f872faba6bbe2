"""The region of a result: bounds in the CRS and in source pixels."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from rs_superres import engine
from rs_superres.engine import Plan
from rs_superres.errors import InputError
from rs_superres.grid import Window
from rs_superres.verify import verify
from tests import rasters
from tests.rasters import NORTH_UP, textured

Make = Callable[..., Plan]


@pytest.mark.parametrize(("steps", "precision"), [(0, "fp32"), (2, "fp32"), (2, "bf16")])
@pytest.mark.parametrize(
    "bounds",
    [
        (500_100, 5_399_700, 500_300, 5_399_900),  # across cells
        (500_003, 5_399_990, 500_010, 5_400_050),  # snapped, and beyond the border
        (499_000, 5_390_000, 501_000, 5_500_000),  # all
    ],
)
def test_bounds_give_the_crop_of_the_full_result(
    make: Make,
    scene: Path,
    steps: int,
    precision: str,
    bounds: tuple[float, float, float, float],
) -> None:
    options = {"scale": "3", "steps": steps, "precision": precision}
    full = make(scene, "full.tif", **options)
    part = make(scene, "part.tif", **options, bounds=bounds)
    engine.run(full)
    engine.run(part)
    pixels = rasters.read(full.out)[:, *part.window.slices]
    np.testing.assert_array_equal(rasters.read(part.out), pixels)
    placed = rasters.transform_of(full.out) @ Affine.translation(
        part.window.column, part.window.row
    )
    assert rasters.transform_of(part.out).almost_equals(placed, 1e-9)


def test_bounds_without_a_map_are_in_source_pixels(tmp_path: Path, make: Make) -> None:
    source = rasters.write(tmp_path / "a.tif", textured(1, 1, 30, 40), transform=None, crs=None)
    # Left column, bottom row, right column, top row; rows count downwards.
    plan = make(source, scale="3", bounds=(5, 20, 12.5, 4))
    assert plan.window == Window(12, 15, 48, 23)
    full = make(source, "full.tif", scale="3")
    engine.run(plan)
    engine.run(full)
    np.testing.assert_array_equal(rasters.read(plan.out), rasters.read(full.out)[:, 12:60, 15:38])


@pytest.mark.parametrize(
    "bounds",
    [
        (500_300, 5_399_700, 500_100, 5_399_900),
        (500_100, 5_399_900, 500_300, 5_399_700),
        (500_100, 5_399_700, 500_100, 5_399_900),
        (math.nan, 5_399_700, 500_300, 5_399_900),
        (-math.inf, 5_399_700, 500_300, 5_399_900),
        (600_000, 5_399_700, 600_300, 5_399_900),
        (499_000, 5_399_700, 500_000, 5_399_900),
    ],
)
def test_empty_bounds_are_refused(
    make: Make, scene: Path, bounds: tuple[float, float, float, float]
) -> None:
    with pytest.raises(InputError, match="bounds"):
        make(scene, scale="3", bounds=bounds)


def geographic(path: Path, west: float, columns: int, crs: str = "EPSG:4326") -> Path:
    """Write a raster with pixels of a degree, from 20 degrees north."""
    transform = Affine(1, 0, west, 0, -1, 20)
    return rasters.write(path, textured(1, 1, 30, columns), transform=transform, crs=crs)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:4979"])
@pytest.mark.parametrize(
    ("west", "columns", "bounds", "first", "last"),
    [
        (160, 35, (-177, 5, -170, 12), 23, 30),
        (160, 35, (175, 5, 185, 12), 15, 25),
        (160, 35, (175, 5, -175, 12), 15, 25),  # as in RFC 7946, section 5.2
        (-200, 360, (175, 5, 185, 12), 15, 25),
        (-200, 360, (-185, 5, -175, 12), 15, 25),
        (0, 360, (-177, 5, -170, 12), 183, 190),
        (0, 360, (-180, -90, 180, 90), 0, 360),
        (-180, 360, (0, 0, 360, 12), 0, 360),
        (-180, 360, (-180.4, 5, -170, 12), 0, 10),  # beyond the border by less than a pixel
        (0, 400, (10, 5, 20, 12), 10, 20),  # and 370 to 380, but as given comes first
        (0, 400, (370, 5, 380, 12), 370, 380),
        (0, 400, (355, 5, 365, 12), 355, 365),
    ],
)
def test_bounds_and_geographic_rasters_meet_by_turns(  # noqa: PLR0913, PLR0917 (one case each)
    tmp_path: Path,
    make: Make,
    crs: str,
    west: int,
    columns: int,
    bounds: tuple[float, float, float, float],
    first: int,
    last: int,
) -> None:
    plan = make(geographic(tmp_path / "a.tif", west, columns, crs), scale=2, bounds=bounds)
    assert (plan.window.column, plan.window.width) == (2 * first, 2 * (last - first))


def test_bounds_in_two_parts_of_a_raster_are_refused(tmp_path: Path, make: Make) -> None:
    source = geographic(tmp_path / "a.tif", -180, 360)
    parts = r"two parts .*: 170 to 180, 5 to 12 in EPSG:4326 and -180 to -170, 5 to 12 in EPSG:4326"
    for right in (190, -170):
        with pytest.raises(InputError, match=parts):
            make(source, scale=2, bounds=(170, 5, right, 12))
    with pytest.raises(InputError, match="expected left, bottom, right, top"):
        make(source, scale=2, bounds=(20, 5, 10, 12))  # left and right are swapped


def test_bounds_outside_a_raster_are_refused_with_its_extent(
    tmp_path: Path, make: Make, scene: Path
) -> None:
    extent = "spans 500000 to 500440, 5399500 to 5400000 in EPSG:32633"
    with pytest.raises(InputError, match=rf"^bounds=\(9, 45, 10, 46\) lie outside .* {extent}"):
        make(scene, scale=2, bounds=(9, 45, 10, 46))
    source = rasters.write(tmp_path / "a.tif", textured(1, 1, 30, 40), transform=None, crs=None)
    with pytest.raises(InputError, match=r"source pixels 0 to 40 .* and 0 to 30 from top"):
        make(source, scale=2, bounds=(50, 5, 60, 2))


def half_degrees(path: Path, west: float, columns: int) -> Path:
    """Write a raster with pixels of half a degree, from 10 degrees north."""
    transform = Affine(0.5, 0, west, 0, -0.5, 10)
    pixels = textured(1, 1, 30, columns)
    return rasters.write(path, pixels, transform=transform, crs="EPSG:4326")


def test_a_like_grid_may_count_longitudes_otherwise(tmp_path: Path, make: Make) -> None:
    source = geographic(tmp_path / "a.tif", 160, 35)
    like = half_degrees(tmp_path / "like.tif", -180, 40)
    plan = make(source, like=like)
    engine.run(plan)
    same = make(source, "same.tif", like=half_degrees(tmp_path / "same_like.tif", 180, 40))
    engine.run(same)
    np.testing.assert_array_equal(rasters.read(plan.out), rasters.read(same.out))
    assert rasters.transform_of(plan.out) == rasters.transform_of(like)
    verdicts = {f.name: f.verdict for f in verify(str(plan.out), str(source)).findings}
    assert verdicts["placement"] == verdicts["extent"] == "pass"
    assert "fail" not in verdicts.values()


def test_a_like_grid_that_covers_a_source_in_two_parts_is_refused(
    tmp_path: Path, make: Make
) -> None:
    source = geographic(tmp_path / "a.tif", 160, 35)
    like = half_degrees(tmp_path / "like.tif", -180, 720)
    with pytest.raises(InputError, match=r"-180 to 180, .* covers the source in two parts"):
        make(source, like=like)
    # Two parts, but one of them narrower than a pixel of the source.
    source = geographic(tmp_path / "b.tif", -180, 360)
    assert make(source, like=half_degrees(tmp_path / "like.tif", -180.4, 720)).window.width == 720


def test_pixel_sizes_that_are_not_finer_are_refused_with_their_unit(
    tmp_path: Path, make: Make, scene: Path
) -> None:
    degrees = "resolution=2.5,2.5, .* 1 x 1; the unit of the CRS is the degree: 2.5 degrees are"
    with pytest.raises(InputError, match=f"{degrees} about 2.78e.05 m, and 2.5 m are about 2.25e-"):
        make(geographic(tmp_path / "a.tif", 0, 40), resolution=2.5)
    with pytest.raises(InputError, match=r"10 x 10; the unit of the CRS is the metre$"):
        make(scene, resolution=10)


def test_empty_bounds_in_source_pixels_are_refused(tmp_path: Path, make: Make) -> None:
    source = rasters.write(tmp_path / "a.tif", textured(1, 1, 30, 40), transform=None, crs=None)
    with pytest.raises(InputError, match="rows counted downwards"):
        make(source, scale="3", bounds=(5, 4, 12, 20))


def test_a_crs_may_be_written_differently(tmp_path: Path, make: Make, scene: Path) -> None:
    like = rasters.write(
        tmp_path / "like.tif",
        textured(1, 1, 9, 9),
        transform=NORTH_UP @ Affine.scale(0.5),
        crs=rasterio.CRS.from_epsg(32633).to_wkt(version="WKT2_2019"),
    )
    assert make(scene, like=like).pixels.zoom.output.shape.height == 9
