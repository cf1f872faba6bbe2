"""Results of arrays equal those of files byte for byte, whatever the kind of array."""

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


def with_holes(seed: int, dtype: str, nodata: float) -> Array:
    """Make four bands with nodata: a hole in the first band, and a corner of all bands."""
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
def test_the_result_of_an_array_equals_that_of_the_file(
    tmp_path: Path, model: rs_superres.Model, dtype: str, nodata: Any, steps: int
) -> None:
    pixels = with_holes(1, dtype, nodata) if nodata is not None else textured(1, 4, 50, 61)
    source = rasters.write(
        tmp_path / "scene.tif", pixels, nodata=nodata, photometric="MINISBLACK", alpha="NO"
    )
    options: Any = {"scale": 2.7, "model": model, "steps": steps, "rgb": (3, 2, 1)}
    rs_superres.upscale(source, tmp_path / "out.tif", **options)
    computed = rs_superres.upscale(opened(source), **options)
    assert computed.chunks is None
    assert_same(computed, tmp_path / "out.tif")
    lazy = opened(source, chunks={"band": (1, 3), "y": 17, "x": (1, 30, 30)})
    result = rs_superres.upscale(lazy, **options)
    assert result.chunks is not None
    assert_same(result.compute(), tmp_path / "out.tif")


@pytest.mark.parametrize("bounds", [None, (500_123.0, 5_399_640.0, 500_333.0, 5_399_871.0)])
def test_bounds_and_resolution_work_as_for_files(
    tmp_path: Path, model: rs_superres.Model, bounds: tuple[float, float, float, float] | None
) -> None:
    source = rasters.write(tmp_path / "scene.tif", textured(2, 1, 50, 61))
    options: Any = {"resolution": 4, "model": model, "steps": 0}
    options |= {} if bounds is None else {"bounds": bounds}
    rs_superres.upscale(source, tmp_path / "out.tif", **options)
    for chunks in (None, {"x": 20}):
        result = rs_superres.upscale(opened(source, chunks=chunks), **options)
        assert_same(result, tmp_path / "out.tif")


def test_an_area_of_interest_works_as_for_files(tmp_path: Path, model: rs_superres.Model) -> None:
    source = rasters.write(tmp_path / "scene.tif", textured(2, 1, 90, 90), nodata=0)
    area = tmp_path / "area.geojson"
    ring = [[500_100, 5_399_900], [500_300, 5_399_900], [500_200, 5_399_700], [500_100, 5_399_900]]
    area.write_text(
        '{"type": "Polygon", "crs": {"type": "name", "properties": {"name": "EPSG:32633"}}, '
        f'"coordinates": [{ring}]}}'
    )
    options: Any = {"scale": 3, "model": model, "steps": 0, "aoi": area}
    rs_superres.upscale(source, tmp_path / "out.tif", **options)
    for chunks in (None, {"x": 30, "y": 30}):
        result = rs_superres.upscale(opened(source, chunks=chunks), **options)
        assert_same(result, tmp_path / "out.tif")


def test_bounds_and_areas_meet_longitudes_from_0_to_360(
    tmp_path: Path, model: rs_superres.Model
) -> None:
    transform = Affine(3, 0, 0, 0, -3, 45)
    pixels = textured(2, 1, 30, 120)
    source = rasters.write(
        tmp_path / "scene.tif", pixels, transform=transform, crs="EPSG:4326", nodata=0
    )
    area = tmp_path / "area.geojson"
    rings = [[[w, 0], [e, 0], [e, 30], [w, 30], [w, 0]] for w, e in ((168, 180), (-180, -150))]
    area.write_text(f'{{"type": "MultiPolygon", "coordinates": {[[ring] for ring in rings]}}}')
    parts: tuple[tuple[str, Any], ...] = (("bounds", (-192, 0, -150, 30)), ("aoi", area))
    for name, part in parts:
        options: Any = {"scale": 2, "model": model, "steps": 0, name: part}
        rs_superres.upscale(source, tmp_path / f"{name}.tif", **options)
        for chunks in (None, {"x": 20}):
            result = rs_superres.upscale(opened(source, chunks=chunks), **options)
            assert_same(result, tmp_path / f"{name}.tif")
            assert result.x.values[[0, -1]].tolist() == [168.75, 209.25]
            assert (result.values > 0).all()


def test_selected_bands_keep_their_names(model: rs_superres.Model) -> None:
    array = scene(textured(3, 4, 20, 20)).assign_attrs(long_name=("blue", "green", "red", "nir"))
    result = rs_superres.upscale(array, scale=2, model=model, steps=0, bidx=(3, 1, 2))
    assert result.attrs["long_name"] == ("red", "blue", "green")
    assert result.attrs["SUPERRES_BANDS"] == "joint 1,3,2"  # by the bands' names
    assert result.band.values.tolist() == [3, 1, 2]
    assert array.attrs == {"long_name": ("blue", "green", "red", "nir")}


def scene(pixels: Array, transform: Affine = NORTH_UP) -> xr.DataArray:
    """Make an array with coordinates, a CRS and a transform."""
    array = xr.DataArray(pixels, {"band": np.arange(len(pixels)) + 1}, ("band", "y", "x"))
    array = array.rio.write_crs(UTM).rio.write_transform(transform)
    across, down = np.arange(pixels.shape[2]) + 0.5, np.arange(pixels.shape[1]) + 0.5
    georeferenced: xr.DataArray = array.assign_coords(
        x=transform.c + transform.a * across, y=transform.f + transform.e * down
    )
    return georeferenced


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("band", ["Blue", "Green", "Red", "NIR"]),
        ("common_name", ["blue", "green", "red", "nir"]),
        ("wavelength", [492.4, 559.8, 664.6, 832.8]),
        ("center_wavelength", [0.49, 0.56, 0.665, 0.842]),
    ],
)
def test_coordinates_along_the_bands_say_colours(
    model: rs_superres.Model, key: str, values: list[Any]
) -> None:
    array = scene(textured(1, 4, 20, 24)).assign_coords({key: ("band", values)})
    options: Any = {"scale": 2, "model": model, "steps": 0}
    result = rs_superres.upscale(array, **options)
    assert result.attrs["SUPERRES_BANDS"] == "joint 3,2,1; alone 4"
    assert result[key].values.tolist() == values
    apart = rs_superres.upscale(array, **options, rgb="none")
    assert apart.attrs["SUPERRES_BANDS"] == "alone 1,2,3,4"


def test_colour_interpretations_come_from_the_file(
    tmp_path: Path, model: rs_superres.Model
) -> None:
    """rioxarray keeps the path of the file, but not the colour interpretations."""
    colours = ("blue", "green", "red", "alpha")
    source = rasters.write(tmp_path / "scene.tif", textured(1, 4, 30, 30), colours=colours)
    options: Any = {"scale": 2, "model": model, "steps": 0}
    rs_superres.upscale(source, tmp_path / "out.tif", **options)
    array = opened(source, chunks={"x": 9})
    result = rs_superres.upscale(array, **options)
    assert result.attrs["SUPERRES_BANDS"] == "joint 3,2,1; alpha 4"
    assert_same(result, tmp_path / "out.tif")
    reversed_bands = rs_superres.upscale(array.sel(band=[4, 3, 2, 1]), **options)
    assert reversed_bands.attrs["SUPERRES_BANDS"] == "joint 2,3,4; alpha 1"
    # A computed array no longer equals the file.
    changed = rs_superres.upscale(array // np.uint8(2), **options)
    assert changed.attrs["SUPERRES_BANDS"] == "alone 1,2,3,4"
    source.unlink()
    assert rs_superres.upscale(array, **options).attrs["SUPERRES_BANDS"] == "alone 1,2,3,4"


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_transparency_works_as_for_files(
    tmp_path: Path, model: rs_superres.Model, dtype: str
) -> None:
    pixels = textured(1, 4, 50, 61, dtype=dtype)
    pixels[3] = 255
    pixels[3, 10:20], pixels[3, 20:23, :30], pixels[:, 30:, 40:] = 0, 60, 0
    colours = (*rasters.RGB, "alpha")
    source = rasters.write(tmp_path / "scene.tif", pixels, colours=colours)
    options: Any = {"scale": 2.7, "model": model, "steps": 0}
    rs_superres.upscale(source, tmp_path / "out.tif", **options)
    assert_same(rs_superres.upscale(opened(source), **options), tmp_path / "out.tif")
    lazy = opened(source, chunks={"band": (1, 3), "y": 17, "x": (1, 30, 30)})
    assert_same(rs_superres.upscale(lazy, **options).compute(), tmp_path / "out.tif")
    array = scene(pixels).assign_coords(band=list(colours))
    named = rs_superres.upscale(array, **options)
    np.testing.assert_array_equal(named, rasters.read(tmp_path / "out.tif"))
    assert rs_superres.upscale(array, bidx=(1, 2, 3), **options).sizes["band"] == 3


def test_dimensions_may_be_in_any_order(model: rs_superres.Model) -> None:
    array = scene(textured(3, 3, 20, 24))
    expected = rs_superres.upscale(array, scale=3, model=model, steps=0)
    for transposed in (
        array.transpose("y", "x", "band"),
        array.transpose("x", "band", "y").chunk(7),
    ):
        result = rs_superres.upscale(transposed, scale=3, model=model, steps=0)
        assert result.dims == transposed.dims
        assert result.sizes["x"] == 72
        xr.testing.assert_identical(result.transpose(*expected.dims).compute(), expected)


def test_an_array_may_lack_a_band_dimension(model: rs_superres.Model) -> None:
    array = scene(textured(3, 3, 20, 24))
    expected = rs_superres.upscale(array[:1], scale=3, model=model, steps=0)
    for single in (array.isel(band=0), array.isel(band=0).chunk(9)):
        result = rs_superres.upscale(single, scale=3, model=model, steps=0)
        xr.testing.assert_identical(result.compute(), expected.isel(band=0))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_each_time_step_is_a_scene(model: rs_superres.Model, dtype: str) -> None:
    times = [scene(textured(i, 3, 30, 24, dtype=dtype, high=99 * i)) for i in (1, 2)]
    stack = xr.concat(times, dim="time").assign_coords(time=[2020, 2021])
    options: Any = {"scale": 3, "model": model, "steps": 0, "rgb": (1, 2, 3)}
    expected = [rs_superres.upscale(array, **options).values for array in times]
    for array in (stack, stack.chunk(time=2, band=1, y=11, x=-1), stack.chunk(time=1)):
        result = rs_superres.upscale(array, **options)
        assert result.dims == ("time", "band", "y", "x")
        assert result.time.values.tolist() == [2020, 2021]
        np.testing.assert_array_equal(result.values, expected)


def test_numpy_and_dask_arrays(model: rs_superres.Model) -> None:
    pixels = textured(4, 3, 20, 24)
    options: Any = {"scale": 2, "model": model, "steps": 0}
    expected = rs_superres.upscale(scene(pixels), **options).values
    computed = rs_superres.upscale(pixels, **options)
    assert isinstance(computed, np.ndarray)
    np.testing.assert_array_equal(computed, expected)
    np.testing.assert_array_equal(rs_superres.upscale(pixels[0], **options), expected[0])
    chunked: dask.array.Array = dask.array.from_array(pixels, chunks=(2, 7, 7))
    lazy = rs_superres.upscale(chunked, **options)
    assert isinstance(lazy, dask.array.Array)
    np.testing.assert_array_equal(lazy.compute(), expected)


def test_floats_that_a_file_stores_as_uint8_keep_its_range(
    tmp_path: Path, model: rs_superres.Model
) -> None:
    """``masked=True`` makes rioxarray convert the file's values to floats."""
    source = rasters.write(tmp_path / "scene.tif", with_holes(1, "uint8", 7)[:3], nodata=7)
    # The consistency correction depends on the dtype's limits, which floats lack.
    options: Any = {"scale": 2, "model": model, "steps": 0, "consistency": False}
    rs_superres.upscale(source, tmp_path / "out.tif", **options)
    expected = opened(tmp_path / "out.tif", masked=True)
    result = rs_superres.upscale(opened(source, masked=True), **options)
    assert result.encoding["_FillValue"] == 7
    np.testing.assert_array_equal(np.isnan(result), np.isnan(expected))
    # Floats are neither rounded, nor clipped, nor kept from equalling the nodata value.
    assert float(abs(result.clip(0, 255) - expected).max()) <= 1


def test_a_result_with_gaps_needs_a_nodata_value(tmp_path: Path, model: rs_superres.Model) -> None:
    array = scene(textured(5, 1, 20, 20) | 1)
    like = rasters.write(
        tmp_path / "like.tif", textured(5, 1, 60, 60), transform=NORTH_UP @ Affine.scale(0.5)
    )
    with pytest.raises(errors.InputError, match="set one with nodata=V"):
        rs_superres.upscale(array, like=like, model=model)
    result = rs_superres.upscale(array, like=like, model=model, nodata=0, steps=0)
    assert result.rio.nodata == 0
    assert (result.values[:, 40:] == 0).all()
    assert (result.values[:, :40, :40] != 0).all()
    assert "_FillValue" not in array.attrs


def test_a_result_beyond_memory_is_refused(
    model: rs_superres.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rs_superres.system.memory.memory", lambda: 1_000_000)
    with pytest.raises(errors.InputError, match=r"the result would take .* with array.chunk\(\)"):
        rs_superres.upscale(scene(textured(5, 1, 100, 100)), scale=8, model=model, steps=0)


def test_value_ranges_are_sampled_as_for_files(tmp_path: Path, model: rs_superres.Model) -> None:
    """The entire scene is sampled, although only its bright corner is requested."""
    pixels = textured(6, 1, 300, 300, dtype="uint16", high=1000)
    pixels[:, :90, :90] = 60_000
    source = rasters.write(tmp_path / "scene.tif", pixels)
    options: Any = {"scale": 1.5, "model": model, "steps": 0}
    options["bounds"] = (500_000.0, 5_399_700.0, 500_300.0, 5_400_000.0)
    rs_superres.upscale(source, tmp_path / "out.tif", **options)
    result = rs_superres.upscale(opened(source, chunks={"y": 100}), **options)
    assert_same(result, tmp_path / "out.tif")
