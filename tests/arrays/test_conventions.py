"""The grids of arrays and of their results, by rioxarray's conventions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from rasterio.control import GroundControlPoint

import rs_superres
from rs_superres import errors
from rs_superres.arrays.conventions import describe
from tests import rasters
from tests.dataarrays import assert_same, opened
from tests.rasters import NORTH_UP, textured

ROTATED = NORTH_UP @ Affine.rotation(30)
SOUTH_UP = Affine(0.1, 0.0, 20.0, 0.0, 0.1, -40.0)


@pytest.fixture
def options(tiny: str) -> Any:
    return {"scale": 2.3, "model": tiny, "steps": 0}


@pytest.mark.parametrize(
    ("transform", "crs"),
    [
        pytest.param(NORTH_UP, "EPSG:32633", id="north up"),
        pytest.param(SOUTH_UP, "EPSG:4326", id="south up, degrees"),
        pytest.param(NORTH_UP, None, id="no CRS"),
        pytest.param(None, None, id="no georeference"),
    ],
)
def test_the_grid_equals_that_of_the_file(
    tmp_path: Path, options: Any, transform: Any, crs: Any
) -> None:
    pixels = textured(1, 1, 21, 23)
    source = rasters.write(tmp_path / "scene.tif", pixels, transform=transform, crs=crs)
    rs_superres.upscale(source, tmp_path / "out.tif", **options)
    assert_same(rs_superres.upscale(opened(source), **options), tmp_path / "out.tif")


def test_a_rotated_grid_has_no_coordinates(tmp_path: Path, options: Any) -> None:
    source = rasters.write(tmp_path / "scene.tif", textured(1, 1, 21, 23), transform=ROTATED)
    rs_superres.upscale(source, tmp_path / "out.tif", **options)
    result = rs_superres.upscale(opened(source), **options)
    assert_same(result, tmp_path / "out.tif")
    assert {*result.coords} == {"band", "spatial_ref"}  # xc and yc fit only the source


def test_control_points_are_moved_to_output_pixels(tmp_path: Path, options: Any) -> None:
    points = [
        GroundControlPoint(row=r, col=c, x=10 + c, y=50 - r, z=0, id=f"{r} {c}", info="")
        for r in (0.0, 20.0)
        for c in (0.5, 20.0)
    ]
    source = rasters.write(
        tmp_path / "scene.tif", textured(1, 1, 20, 20), transform=None, crs="EPSG:4326", gcps=points
    )
    rs_superres.upscale(source, tmp_path / "out.tif", **options)
    array = opened(source)
    result = rs_superres.upscale(array, **options)
    moved = [(p.row, p.col, p.x, p.y) for p in result.rio.get_gcps()]
    expected = opened(tmp_path / "out.tif")
    assert moved == [(p.row, p.col, p.x, p.y) for p in expected.rio.get_gcps()]
    assert moved[-1][:2] == (46.0, 46.0)
    assert result.rio.crs == expected.rio.crs
    assert [p.row for p in array.rio.get_gcps()] == [p.row for p in points]


def test_an_array_without_coordinates_has_no_transform(options: Any) -> None:
    array = xr.DataArray(textured(1, 1, 20, 20), dims=("band", "y", "x"))
    result = rs_superres.upscale(array, **options)
    assert not result.coords
    assert describe(array).grid.transform is None


def test_a_slice_keeps_its_ground_position(tmp_path: Path, options: Any) -> None:
    """The GeoTransform is that of the entire array, the coordinates are those of the slice."""
    source = rasters.write(tmp_path / "scene.tif", textured(1, 1, 30, 33))
    array = opened(source)[:, 4:20, 7:29]
    assert describe(array).grid.transform == NORTH_UP @ Affine.translation(7, 4)
    result = rs_superres.upscale(array, **options)
    assert result.rio.bounds() == pytest.approx(array.rio.bounds(), abs=1e-6)
    assert array.spatial_ref.attrs == opened(source).spatial_ref.attrs  # not changed
    coarse = opened(source)[:, ::3, ::3]
    assert describe(coarse).grid.transform == Affine(30, 0, 499_990, 0, -30, 5_400_010)


def test_y_and_x_may_have_other_names(options: Any) -> None:
    array = xr.DataArray(
        textured(1, 1, 20, 10)[0],
        {"latitude": np.linspace(50, 48.1, 20), "longitude": np.linspace(5, 5.9, 10)},
        ("latitude", "longitude"),
        attrs={"units": "K", "STATISTICS_MEAN": 3},
    )
    array.longitude.attrs["units"] = "degrees_east"
    result = rs_superres.upscale(array, **options)
    assert result.dims == ("latitude", "longitude")
    assert result.longitude.attrs == {"units": "degrees_east"}
    step = 0.1 * 10 / 23
    np.testing.assert_allclose(result.longitude, 4.95 + step * (np.arange(23) + 0.5))
    assert result.attrs["units"] == "K"
    assert "STATISTICS_MEAN" not in result.attrs
    renamed = array.rename(latitude="north", longitude="east")
    renamed.rio.set_spatial_dims("east", "north", inplace=True)
    again = rs_superres.upscale(renamed, **options)
    assert again.dims == ("north", "east")
    np.testing.assert_array_equal(again.east, result.longitude)


def test_float32_coordinates_are_even_enough(options: Any) -> None:
    array = xr.DataArray(
        textured(1, 1, 20, 30)[0],
        {
            "y": (5_400_000 - 10 * np.arange(20)).astype("float32"),
            "x": (500_005 + 10 * np.arange(30)).astype("float32"),
        },
        ("y", "x"),
    )
    assert rs_superres.upscale(array, **options).shape == (46, 69)


BASE = xr.DataArray(textured(1, 3, 8, 8), dims=("band", "y", "x"))
UNEVEN = np.arange(8.0) ** 2


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (BASE.rename(y="a", x="b"), "has dimensions band, a, b, expected y and x"),
        (BASE.assign_coords(x=UNEVEN, y=np.arange(8)), "along x are not evenly spaced"),
        (BASE.assign_coords(y=np.zeros(8), x=np.arange(8)), "along y are not evenly spaced"),
        (BASE.assign_coords(y=np.arange(8), x=[*range(7), np.nan]), "along x are not evenly"),
        (BASE[..., :1].assign_coords(y=np.arange(8), x=[3]), "one pixel along x"),
        (BASE[:, :0], "is empty (band 3, y 0, x 8)"),
        (BASE[:0], "is empty (band 0, y 8, x 8)"),
        (BASE.astype("int64"), 'dtype int64, supported are .*astype("float64")'),
        (BASE.astype("complex64"), r"dtype complex64, supported are.*take the amplitude first"),
        (BASE.astype(bool), "dtype bool, supported are"),
        (BASE.rename("scene")[:0], "the array scene is empty"),
    ],
)
def test_arrays_that_are_refused(options: Any, array: xr.DataArray, message: str) -> None:
    pattern = message.replace("(", r"\(").replace(")", r"\)")
    for variant in (array, array.chunk()):
        with pytest.raises(errors.InputError, match=pattern) as caught:
            rs_superres.upscale(variant, **options)
        assert "\n" not in str(caught.value)


def test_a_nodata_value_that_the_dtype_cannot_hold_is_ignored(options: Any) -> None:
    array = BASE.assign_attrs(_FillValue=-9999)
    assert [b.nodata for b in describe(array).bands] == [None] * 3
    expected = rs_superres.upscale(BASE, **options).values
    np.testing.assert_array_equal(rs_superres.upscale(array, **options).values, expected)
