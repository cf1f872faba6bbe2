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
