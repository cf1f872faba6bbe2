"""Arrays: what comes out equals the file's result to the byte, whatever the array is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import rioxarray  # noqa: F401 (registers the accessor ``rio``)
import xarray as xr
from affine import Affine

import rs_superres
from rs_superres import errors
from tests import rasters
from tests.dataarrays import assert_same, opened
from tests.rasters import NORTH_UP, UTM, textured

Array = rasters.Array


@pytest.fixture(scope="module")
def model(tiny: str) -> rs_superres.Model:
    return rs_superres.load_model(tiny)


def holed(seed: int, dtype: str, nodata: float) -> Array:
    """Three and one bands with holes of nodata, the bands' own."""
    pixels = textured(seed, 4, 50, 61, dtype=dtype, high=200)
    pixels[0, 10:20, 30:45] = nodata
    pixels[:, :7, :5] = nodata
    return pixels


@pytest.mark.parametrize(
    ("dtype", "nodata", "steps"),
    [
        pytest.param("uint8", 7, 2, id="uint8, diffusion"),
        pytest.param("uint8", None, 0, id="no nodata"),
        pytest.param("int16", -99, 0, id="sampled range"),
        pytest.param("uint32", 0, 0, id="double precision"),
        pytest.param("float32", float("nan"), 0, id="NaN"),
        pytest.param("float32", -9999.0, 0, id="float with a value for nodata"),
    ],
)
def test_an_array_equals_the_file(
    tmp_path: Path, model: rs_superres.Model, dtype: str, nodata: Any, steps: int
) -> None:
    pixels = holed(1, dtype, nodata) if nodata is not None else textured(1, 4, 50, 61)
    source = rasters.write(
        tmp_path / "scene.tif", pixels, nodata=nodata, photometric="MINISBLACK", alpha="NO"
    )
    asked: Any = {"scale": 2.7, "model": model, "steps": steps, "rgb": (3, 2, 1)}
    rs_superres.upscale(source, tmp_path / "out.tif", **asked)
    at_once = rs_superres.upscale(opened(source), **asked)
    assert at_once.chunks is None
    assert_same(at_once, tmp_path / "out.tif")
    odd = opened(source, chunks={"band": (1, 3), "y": 17, "x": (1, 30, 30)})
    result = rs_superres.upscale(odd, **asked)
    assert result.chunks is not None
    assert_same(result.compute(), tmp_path / "out.tif")


@pytest.mark.parametrize("bounds", [None, (500_123.0, 5_399_640.0, 500_333.0, 5_399_871.0)])
def test_a_part_and_a_pixel_size(
    tmp_path: Path, model: rs_superres.Model, bounds: tuple[float, float, float, float] | None
) -> None:
    source = rasters.write(tmp_path / "scene.tif", textured(2, 1, 50, 61))
    asked: Any = {"resolution": 4, "model": model, "steps": 0}
    asked |= {} if bounds is None else {"bounds": bounds}
    rs_superres.upscale(source, tmp_path / "out.tif", **asked)
    for chunks in (None, {"x": 20}):
        result = rs_superres.upscale(opened(source, chunks=chunks), **asked)
        assert_same(result, tmp_path / "out.tif")


def test_an_area_is_read_nowhere_else(tmp_path: Path, model: rs_superres.Model) -> None:
    source = rasters.write(tmp_path / "scene.tif", textured(2, 1, 90, 90), nodata=0)
    area = tmp_path / "area.geojson"
    ring = [[500_100, 5_399_900], [500_300, 5_399_900], [500_200, 5_399_700], [500_100, 5_399_900]]
    area.write_text(
        '{"type": "Polygon", "crs": {"type": "name", "properties": {"name": "EPSG:32633"}}, '
        f'"coordinates": [{ring}]}}'
    )
    asked: Any = {"scale": 3, "model": model, "steps": 0, "aoi": area}
    rs_superres.upscale(source, tmp_path / "out.tif", **asked)
    for chunks in (None, {"x": 30, "y": 30}):
        result = rs_superres.upscale(opened(source, chunks=chunks), **asked)
        assert_same(result, tmp_path / "out.tif")


def test_bands_are_chosen_with_their_names(model: rs_superres.Model) -> None:
    array = scene(textured(3, 4, 20, 20)).assign_attrs(long_name=("blue", "green", "red", "nir"))
    result = rs_superres.upscale(array, scale=2, model=model, steps=0, bidx=(3, 1, 2))
    assert result.attrs["long_name"] == ("red", "blue", "green")
    assert result.attrs["SUPERRES_BANDS"] == "joint 1,3,2"  # by the names, wherever they stand
    assert result.band.values.tolist() == [3, 1, 2]
    assert array.attrs == {"long_name": ("blue", "green", "red", "nir")}


def scene(pixels: Array, transform: Affine = NORTH_UP) -> xr.DataArray:
    """An array with a place, made by hand."""
    array = xr.DataArray(pixels, {"band": np.arange(len(pixels)) + 1}, ("band", "y", "x"))
    array = array.rio.write_crs(UTM).rio.write_transform(transform)
    across, down = np.arange(pixels.shape[2]) + 0.5, np.arange(pixels.shape[1]) + 0.5
    placed: xr.DataArray = array.assign_coords(
        x=transform.c + transform.a * across, y=transform.f + transform.e * down
    )
    return placed


def test_colours_are_those_of_the_file(tmp_path: Path, model: rs_superres.Model) -> None:
    """rioxarray carries no colour interpretation, but where the array was read from."""
    colours = ("blue", "green", "red", "alpha")
    source = rasters.write(tmp_path / "scene.tif", textured(1, 4, 30, 30), colours=colours)
    asked: Any = {"scale": 2, "model": model, "steps": 0}
    rs_superres.upscale(source, tmp_path / "out.tif", **asked)
    array = opened(source, chunks={"x": 9})
    result = rs_superres.upscale(array, **asked)
    assert result.attrs["SUPERRES_BANDS"] == "joint 3,2,1; alpha 4"
    assert_same(result, tmp_path / "out.tif")
    turned = rs_superres.upscale(array.sel(band=[4, 3, 2, 1]), **asked)
    assert turned.attrs["SUPERRES_BANDS"] == "joint 2,3,4; alpha 1"
    # What was computed from it is no longer what the file holds.
    changed = rs_superres.upscale(array // np.uint8(2), **asked)
    assert changed.attrs["SUPERRES_BANDS"] == "alone 1,2,3,4"
    source.unlink()
    assert rs_superres.upscale(array, **asked).attrs["SUPERRES_BANDS"] == "alone 1,2,3,4"


def test_any_order_of_dimensions(model: rs_superres.Model) -> None:
    array = scene(textured(3, 3, 20, 24))
    want = rs_superres.upscale(array, scale=3, model=model, steps=0)
    for turned in (array.transpose("y", "x", "band"), array.transpose("x", "band", "y").chunk(7)):
        result = rs_superres.upscale(turned, scale=3, model=model, steps=0)
        assert result.dims == turned.dims
        assert result.sizes["x"] == 72
        xr.testing.assert_identical(result.transpose(*want.dims).compute(), want)


def test_a_band_without_its_dimension(model: rs_superres.Model) -> None:
    array = scene(textured(3, 3, 20, 24))
    want = rs_superres.upscale(array[:1], scale=3, model=model, steps=0)
    for single in (array.isel(band=0), array.isel(band=0).chunk(9)):
        result = rs_superres.upscale(single, scale=3, model=model, steps=0)
        xr.testing.assert_identical(result.compute(), want.isel(band=0))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_each_time_is_a_scene(model: rs_superres.Model, dtype: str) -> None:
    times = [scene(textured(i, 3, 30, 24, dtype=dtype, high=99 * i)) for i in (1, 2)]
    stack = xr.concat(times, dim="time").assign_coords(time=[2020, 2021])
    asked: Any = {"scale": 3, "model": model, "steps": 0, "rgb": (1, 2, 3)}
    want = [rs_superres.upscale(array, **asked).values for array in times]
    for array in (stack, stack.chunk(time=2, band=1, y=11, x=-1), stack.chunk(time=1)):
        result = rs_superres.upscale(array, **asked)
        assert result.dims == ("time", "band", "y", "x")
        assert result.time.values.tolist() == [2020, 2021]
        np.testing.assert_array_equal(result.values, want)


def test_arrays_without_names(model: rs_superres.Model) -> None:
    pixels = textured(4, 3, 20, 24)
    asked: Any = {"scale": 2, "model": model, "steps": 0}
    want = rs_superres.upscale(scene(pixels), **asked).values
    made = rs_superres.upscale(pixels, **asked)
    assert isinstance(made, np.ndarray)
    np.testing.assert_array_equal(made, want)
    np.testing.assert_array_equal(rs_superres.upscale(pixels[0], **asked), want[0])
    chunked: dask.array.Array = dask.array.from_array(pixels, chunks=(2, 7, 7))
    late = rs_superres.upscale(chunked, **asked)
    assert isinstance(late, dask.array.Array)
    np.testing.assert_array_equal(late.compute(), want)


def test_floats_that_are_stored_as_bytes(tmp_path: Path, model: rs_superres.Model) -> None:
    """``masked=True`` makes floats of them; their range stays that of the file."""
    source = rasters.write(tmp_path / "scene.tif", holed(1, "uint8", 7)[:3], nodata=7)
    # The correction knows the ends of bytes, and floats have none.
    asked: Any = {"scale": 2, "model": model, "steps": 0, "consistency": False}
    rs_superres.upscale(source, tmp_path / "out.tif", **asked)
    want = opened(tmp_path / "out.tif", masked=True)
    result = rs_superres.upscale(opened(source, masked=True), **asked)
    assert result.encoding["_FillValue"] == 7
    np.testing.assert_array_equal(np.isnan(result), np.isnan(want))
    # Not rounded, and not kept off the nodata value and the ends of the dtype.
    assert float(abs(result.clip(0, 255) - want).max()) <= 1


def test_scene_with_gaps_needs_a_value_for_them(tmp_path: Path, model: rs_superres.Model) -> None:
    array = scene(textured(5, 1, 20, 20) | 1)
    like = rasters.write(
        tmp_path / "like.tif", textured(5, 1, 60, 60), transform=NORTH_UP @ Affine.scale(0.5)
    )
    with pytest.raises(errors.InputError, match="say nodata=V"):
        rs_superres.upscale(array, like=like, model=model)
    result = rs_superres.upscale(array, like=like, model=model, nodata=0, steps=0)
    assert result.rio.nodata == 0
    assert (result.values[:, 40:] == 0).all()
    assert (result.values[:, :40, :40] != 0).all()
    assert "_FillValue" not in array.attrs


def test_what_does_not_fit_memory_is_refused(
    model: rs_superres.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rs_superres.system.memory.memory", lambda: 1_000_000)
    with pytest.raises(errors.InputError, match=r"the result would take .* array.chunk\(\)"):
        rs_superres.upscale(scene(textured(5, 1, 100, 100)), scale=8, model=model, steps=0)


def test_sampled_windows_are_those_of_files(tmp_path: Path, model: rs_superres.Model) -> None:
    """A bright corner that the percentiles of a whole scene would not see."""
    pixels = textured(6, 1, 300, 300, dtype="uint16", high=1000)
    pixels[:, :90, :90] = 60_000
    source = rasters.write(tmp_path / "scene.tif", pixels)
    asked: Any = {"scale": 1.5, "model": model, "steps": 0}
    asked["bounds"] = (500_000.0, 5_399_700.0, 500_300.0, 5_400_000.0)
    rs_superres.upscale(source, tmp_path / "out.tif", **asked)
    result = rs_superres.upscale(opened(source, chunks={"y": 100}), **asked)
    assert_same(result, tmp_path / "out.tif")
