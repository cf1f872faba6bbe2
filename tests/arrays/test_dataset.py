"""Datasets: which variables are bands of one raster, and what becomes of the others."""

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


@pytest.fixture
def asked(tiny: str) -> Any:
    return {"scale": 3, "model": rs_superres.load_model(tiny), "steps": 0}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    pixels = textured(1, 4, 20, 22, dtype="uint16", high=900)
    pixels[:, 3:6, 4:9] = 0
    colours = (*RGB, "undefined")
    return rasters.write(tmp_path / "scene.tif", pixels, nodata=0, colours=colours)


@pytest.mark.parametrize("chunks", [None, {"x": 7}])
def test_variables_that_are_alike_are_one_raster(
    tmp_path: Path, source: Path, asked: Any, chunks: Any
) -> None:
    rs_superres.upscale(source, tmp_path / "out.tif", **asked)
    want = opened(tmp_path / "out.tif")
    dataset = rioxarray.open_rasterio(source, band_as_variable=True, chunks=chunks)
    assert isinstance(dataset, xr.Dataset)
    dataset["cloudiness"] = 0.3
    dataset.attrs["title"] = "a scene"
    result = rs_superres.upscale(dataset, **asked, rgb=("band_1", "band_2", "band_3"))
    assert [*result.data_vars] == [*dataset.data_vars]
    for number in (1, 2, 3, 4):
        variable = result[f"band_{number}"]
        assert (variable.chunks is None) == (chunks is None)
        np.testing.assert_array_equal(variable, want.sel(band=number))
        assert variable.rio.nodata == 0
        assert variable.rio.crs == want.rio.crs
        assert variable.rio.transform() == want.rio.transform()
    np.testing.assert_array_equal(result.x, want.x)
    assert float(result.cloudiness) == pytest.approx(0.3)
    assert result.attrs["title"] == "a scene"
    assert "band" not in result.coords


def test_names_of_colours_are_colours(source: Path, asked: Any) -> None:
    array = opened(source)
    want = rs_superres.upscale(array, **asked).values
    names = ("nir", "green", "red", "blue")
    order = (3, 1, 0, 2)
    dataset = xr.Dataset({n: array[i].drop_vars("band") for n, i in zip(names, order, strict=True)})
    result = rs_superres.upscale(dataset, **asked)
    assert result.red.attrs["SUPERRES_BANDS"] == "joint 3,2,4; alone 1"
    np.testing.assert_array_equal(result.red, want[0])
    assert dataset.red.encoding == array[0].encoding


def test_kinds_stay_apart(source: Path, asked: Any) -> None:
    array = opened(source)
    heights = (array.isel(band=0, drop=True) / 7).rename("heights")
    quality = array.isel(band=1, drop=True).astype("uint8").rename("quality")
    dataset = xr.Dataset({"photo": array, "heights": heights, "quality": quality})
    result = rs_superres.upscale(dataset, **asked, nearest=("quality",))
    assert result.photo.dims == ("band", "y", "x")
    assert [result[n].dtype for n in dataset] == ["uint16", heights.dtype, "uint8"]
    np.testing.assert_array_equal(result.quality, np.kron(quality, np.ones((3, 3), "uint8")))
    np.testing.assert_array_equal(result.photo, rs_superres.upscale(array, **asked))
    np.testing.assert_array_equal(result.heights, rs_superres.upscale(heights, **asked))
    numbers = rs_superres.upscale(dataset[["photo"]], **asked, rgb=(3, 2, 1))
    assert numbers.photo.attrs["SUPERRES_BANDS"] == "joint 3,2,1; alone 4"


def test_times_of_a_dataset(asked: Any) -> None:
    pixels = textured(2, 6, 20, 20).reshape(2, 3, 20, 20)
    dataset = xr.Dataset({n: (("time", "y", "x"), pixels[:, i]) for i, n in enumerate(RGB)})
    result = rs_superres.upscale(dataset, **asked)
    for time in (0, 1):
        want = rs_superres.upscale(pixels[time], **asked, rgb=(1, 2, 3))
        made = [result[n].values[time] for n in RGB]
        np.testing.assert_array_equal(made, want)


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"rgb": ("a", "b", "d")}, "rgb names 'd', expected names of variables of one band .a, b."),
        ({"rgb": ("a", "b")}, "rgb= lists 2 bands, expected three"),
        ({"nearest": ("photo",)}, "nearest names 'photo', expected"),
        ({"rgb": (1, 2, 3)}, "rgb or nearest goes by numbers .* names of variables: a, b"),
    ],
)
def test_roles_that_are_refused(asked: Any, wish: Any, told: str) -> None:
    band = xr.DataArray(textured(1, 1, 20, 20)[0], dims=("y", "x"))
    dataset = xr.Dataset({"a": band, "b": band})
    with pytest.raises(errors.InputError, match=told):
        rs_superres.upscale(dataset, **asked, **wish)


def test_a_dataset_without_rasters(asked: Any) -> None:
    with pytest.raises(errors.InputError, match="expected y and x"):
        rs_superres.upscale(xr.Dataset({"a": 3}), **asked)
