"""Datasets: which variables are bands of one raster, and which are copied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rioxarray
import xarray as xr

import rs_superres
from rs_superres import errors
from tests import rasters
from tests.dataarrays import opened
from tests.rasters import RGB, textured

DESCRIBED = (("B02", "Blue (490 nm)"), ("B03", "Green (560 nm)"), ("B04", "Red (665 nm)"))


@pytest.fixture
def options(tiny: str) -> Any:
    return {"scale": 3, "model": rs_superres.load_model(tiny), "steps": 0}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    pixels = textured(1, 4, 20, 22, dtype="uint16", high=900)
    pixels[:, 3:6, 4:9] = 0
    colours = (*RGB, "undefined")
    return rasters.write(tmp_path / "scene.tif", pixels, nodata=0, colours=colours)


@pytest.mark.parametrize("chunks", [None, {"x": 7}])
def test_similar_variables_are_bands_of_one_raster(
    tmp_path: Path, source: Path, options: Any, chunks: Any
) -> None:
    rs_superres.upscale(source, tmp_path / "out.tif", **options)
    expected = opened(tmp_path / "out.tif")
    dataset = rioxarray.open_rasterio(source, band_as_variable=True, chunks=chunks)
    assert isinstance(dataset, xr.Dataset)
    dataset["cloudiness"] = 0.3
    dataset.attrs["title"] = "a scene"
    result = rs_superres.upscale(dataset, **options, rgb=("band_1", "band_2", "band_3"))
    assert [*result.data_vars] == [*dataset.data_vars]
    for number in (1, 2, 3, 4):
        variable = result[f"band_{number}"]
        assert (variable.chunks is None) == (chunks is None)
        np.testing.assert_array_equal(variable, expected.sel(band=number))
        assert variable.rio.nodata == 0
        assert variable.rio.crs == expected.rio.crs
        assert variable.rio.transform() == expected.rio.transform()
    np.testing.assert_array_equal(result.x, expected.x)
    assert float(result.cloudiness) == pytest.approx(0.3)
    assert result.attrs["title"] == "a scene"
    assert "band" not in result.coords


def test_variables_named_after_colours_are_colours(source: Path, options: Any) -> None:
    array = opened(source)
    expected = rs_superres.upscale(array, **options).values
    names = ("nir", "green", "red", "blue")
    order = (3, 1, 0, 2)
    dataset = xr.Dataset({n: array[i].drop_vars("band") for n, i in zip(names, order, strict=True)})
    result = rs_superres.upscale(dataset, **options)
    assert result.red.attrs["SUPERRES_BANDS"] == "joint 3,2,4; alone 1"
    np.testing.assert_array_equal(result.red, expected[0])
    assert dataset.red.encoding == array[0].encoding


def test_variables_may_have_the_names_of_a_sensor(source: Path, options: Any) -> None:
    array = opened(source).drop_vars("band")
    names = ("B02", "B03", "B04", "B08")
    dataset = xr.Dataset({name: array[i] for i, name in enumerate(names)})
    cases: list[tuple[Any, str]] = [
        ({}, "alone 1,2,3,4"),
        ({"sensor": "sentinel-2"}, "joint 3,2,1; alone 4"),
        ({"sensor": "sentinel-2", "rgb": "none"}, "alone 1,2,3,4"),
    ]
    for more, roles in cases:
        result = rs_superres.upscale(dataset, **options, **more)
        assert result["B02"].attrs["SUPERRES_BANDS"] == roles
    described = dataset.assign({n: dataset[n].assign_attrs(long_name=c) for n, c in DESCRIBED})
    result = rs_superres.upscale(described, **options)
    assert result["B02"].attrs["SUPERRES_BANDS"] == "joint 3,2,1; alone 4"


def test_numbered_variables_have_no_names(source: Path, options: Any) -> None:
    """rioxarray counts the bands of a file: band_2 is no sensor's B2."""
    dataset = rioxarray.open_rasterio(source, band_as_variable=True)
    assert isinstance(dataset, xr.Dataset)
    three = dataset[["band_2", "band_3", "band_4"]]
    result = rs_superres.upscale(three, **options, sensor="sentinel-2")
    assert result["band_2"].attrs["SUPERRES_BANDS"] == "alone 1,2,3"


def test_different_variables_are_separate_rasters(source: Path, options: Any) -> None:
    array = opened(source)
    heights = (array.isel(band=0, drop=True) / 7).rename("heights")
    quality = array.isel(band=1, drop=True).astype("uint8").rename("quality")
    dataset = xr.Dataset({"photo": array, "heights": heights, "quality": quality})
    result = rs_superres.upscale(dataset, **options, nearest=("quality",))
    assert result.photo.dims == ("band", "y", "x")
    assert [result[n].dtype for n in dataset] == ["uint16", heights.dtype, "uint8"]
    np.testing.assert_array_equal(result.quality, np.kron(quality, np.ones((3, 3), "uint8")))
    np.testing.assert_array_equal(result.photo, rs_superres.upscale(array, **options))
    np.testing.assert_array_equal(result.heights, rs_superres.upscale(heights, **options))
    numbers = rs_superres.upscale(dataset[["photo"]], **options, rgb=(3, 2, 1))
    assert numbers.photo.attrs["SUPERRES_BANDS"] == "joint 3,2,1; alone 4"


def test_each_time_step_of_a_dataset_is_a_scene(options: Any) -> None:
    pixels = textured(2, 6, 20, 20).reshape(2, 3, 20, 20)
    dataset = xr.Dataset({n: (("time", "y", "x"), pixels[:, i]) for i, n in enumerate(RGB)})
    result = rs_superres.upscale(dataset, **options)
    for time in (0, 1):
        expected = rs_superres.upscale(pixels[time], **options, rgb=(1, 2, 3))
        values = [result[n].values[time] for n in RGB]
        np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        (
            {"rgb": ("a", "b", "d")},
            "rgb= has 'd', expected names of variables with one band .a, b.",
        ),
        ({"rgb": ("a", "b")}, r"rgb=\(1, 2\), expected three bands"),
        ({"nearest": ("photo",)}, "nearest= has 'photo', expected"),
        (
            {"rgb": (1, 2, 3)},
            "bidx=, rgb= or nearest= has band numbers, .* names of variables: a, b",
        ),
    ],
)
def test_bad_roles_are_refused(options: Any, roles: Any, message: str) -> None:
    band = xr.DataArray(textured(1, 1, 20, 20)[0], dims=("y", "x"))
    dataset = xr.Dataset({"a": band, "b": band})
    with pytest.raises(errors.InputError, match=message):
        rs_superres.upscale(dataset, **options, **roles)


def test_a_dataset_without_rasters_is_refused(options: Any) -> None:
    with pytest.raises(errors.InputError, match="expected y and x"):
        rs_superres.upscale(xr.Dataset({"a": 3}), **options)
