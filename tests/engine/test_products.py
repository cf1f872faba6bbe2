"""Results of products: each band on its own pixels, classes, grids, holes, and the sensor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from rs_superres import engine
from rs_superres.config import TileConfig
from rs_superres.engine import Plan
from rs_superres.errors import InputError
from rs_superres.evaluation.wald import wald
from rs_superres.options import PixelOptions
from tests import models, products, rasters
from tests.products import LEFT, TOP
from tests.rasters import Array

SIDE = 60
RANGE = (1000.0, 5000.0)

Make = Callable[..., Plan]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A product of level 2A, which tests only read."""
    return products.sentinel2(tmp_path_factory.mktemp("product"), side=SIDE)


def run(plan: Plan) -> Array:
    """Run a plan and read its result, (band, y, x)."""
    engine.run(plan)
    return rasters.read(plan.out)


def stored(safe: Path, band: str) -> Path:
    """Return the file of a band of 20 or 60 m."""
    size = products.SIZES.get(band, 20)
    [path] = safe.glob(f"GRANULE/*/IMG_DATA/R{size}m/*_{band}_{size}m.jp2")
    return path


def quality(plan: Plan) -> str:
    return plan.tags()["SUPERRES_SOURCE_QUALITY"]


@pytest.mark.parametrize("band", ["B05", "B09"])
def test_a_coarse_band_is_upscaled_as_its_file_alone(
    band: str, product: Path, make: Make, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"resolution": 5, "value_range": RANGE}
    blurred = make(product, bidx=band, mtf=0.25, **options)
    alone = make(stored(product, band), "alone.tif", mtf=0.25, nodata=0, **options)
    residuals = [engine.run(plan).residual for plan in (blurred, alone)]
    first = rasters.read(blurred.out)
    np.testing.assert_allclose(first, rasters.read(alone.out), rtol=0, atol=1)
    assert residuals[0].pixels == residuals[1].pixels
    assert residuals[0].rms == pytest.approx(residuals[1].rms, abs=0.1)

    with rasterio.open(stored(product, band)) as file:
        named = rasters.write(tmp_path / "named.tif", file.read(), transform=file.transform)
    with rasters.opened(named, "r+") as file:
        file.set_band_description(1, band)
    sensed = make(product, "sensed.tif", bidx=band, **options)
    known = make(named, "known.tif", sensor="sentinel-2", nodata=0, **options)
    assert quality(sensed) == quality(known)
    result = run(sensed)
    np.testing.assert_allclose(result, run(known), rtol=0, atol=1)
    assert (result != first).any()


def test_bands_of_several_sizes_do_not_change_one_another(product: Path, make: Make) -> None:
    options: dict[str, Any] = {"scale": 2, "value_range": RANGE}
    together = run(make(product, bidx=("B09", "B02", "B05"), **options))
    for image, band in zip(together, ("B09", "B02", "B05"), strict=True):
        alone = run(make(product, f"{band}.tif", bidx=band, **options))
        np.testing.assert_array_equal(image, alone[0])


def test_a_window_is_the_same_part_of_the_whole(product: Path, make: Make) -> None:
    """Windows begin and end within pixels of 20 and 60 m."""
    options: dict[str, Any] = {"scale": "2.5", "bidx": ("B02", "B05", "B09", "SCL")}
    plan = make(product, "whole.tif", **options)
    whole, transform = run(plan), rasters.transform_of(plan.out)
    for i, (first, last) in enumerate((((7, 23), (43, 41)), ((0, 47), (29, 60)))):
        bounds = LEFT + 10 * first[0], TOP - 10 * last[1], LEFT + 10 * last[0], TOP - 10 * first[1]
        plan = make(product, f"{i}.tif", bounds=bounds, **options)
        part = run(plan)
        column, row = map(round, (~transform @ rasters.transform_of(plan.out)) @ (0, 0))
        assert part.shape[1] < 0.8 * whole.shape[1]
        np.testing.assert_array_equal(
            part, whole[:, row : row + part.shape[1], column : column + part.shape[2]]
        )


def test_the_size_of_cells_changes_nothing(product: Path, make: Make, tmp_path: Path) -> None:
    options: dict[str, Any] = {"scale": 2, "bidx": ("B02", "B05", "B09")}
    larger = models.config(tiles=TileConfig(size=128, margin=8))
    other = str(models.write(tmp_path / "larger", larger))
    results = [make(product, **options), make(product, "larger.tif", model=other, **options)]
    assert len({plan.tags()["SUPERRES_LATTICE"] for plan in results}) == 2
    first, second = map(run, results)
    np.testing.assert_allclose(first, second, rtol=0, atol=1)


@pytest.mark.parametrize(
    ("options", "size"),
    [({"scale": 2}, 5.0), ({"scale": "2.5"}, 4.0), ({"resolution": 5}, 5.0)],
)
def test_grids_are_exact(options: dict[str, Any], size: float, tmp_path: Path, make: Make) -> None:
    safe = products.sentinel2(tmp_path, side=24)
    plan = make(safe, bidx=("B09", "SCL"), **options)
    engine.run(plan)
    with rasterio.open(plan.out) as result:
        assert result.transform == Affine(size, 0, LEFT, 0, -size, TOP)
        assert result.shape == (240 / size, 240 / size)
        assert result.bounds == (LEFT, TOP - 240, LEFT + 240, TOP)
        assert result.crs == rasters.UTM


@pytest.mark.parametrize("scale", [2, 2.5])
def test_classes_are_those_under_the_centres(scale: float, tmp_path: Path, make: Make) -> None:
    classes = np.random.default_rng(1).integers(0, 12, (SIDE // 2, SIDE // 2), np.uint8)
    safe = products.sentinel2(tmp_path, side=SIDE, pixels={"SCL": classes})
    plan = make(safe, scale=scale, bidx=("B04", "SCL"))
    result = run(plan)[1]
    under = (np.arange(len(result)) + 0.5) / scale // 2
    np.testing.assert_array_equal(result, classes[np.ix_(under.astype(int), under.astype(int))])
    assert len(np.unique(result)) == 12
    with rasterio.open(plan.out) as dataset:
        assert dataset.descriptions == ("B04", "SCL")
        assert (dataset.scales[1], dataset.offsets[1], dataset.nodata) == (1, 0, 0)
    assert plan.tags()["SUPERRES_BANDS"] == "alone 1; nearest 2"


def test_what_is_invalid_is_0_in_the_result(tmp_path: Path, make: Make) -> None:
    blue, lost = products.ground(SIDE, 1), np.zeros((8, SIDE // 2, SIDE // 2), np.uint8)
    blue[20:24, 30:34], blue[40, 50] = 65535, 0
    lost[5, 8:11, 3:7] = 1
    lost[3, 20:25] = 1  # degraded, but there
    pixels: dict[str, Array] = {"B02": blue, "MSK_B05": lost}
    safe = products.sentinel2(tmp_path, side=SIDE, pixels=pixels)
    plan = make(safe, scale=2, bidx=("B02", "B05", "B03"))
    holes = np.zeros((3, SIDE, SIDE), bool)
    holes[0] = (blue == 65535) | (blue == 0)
    holes[1, 16:22, 6:14] = True
    np.testing.assert_array_equal(run(plan) == 0, holes.repeat(2, axis=1).repeat(2, axis=2))
    with rasterio.open(plan.out) as result:
        assert result.nodata == 0
        np.testing.assert_array_equal(result.read_masks() == 0, result.read() == 0)


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ((), "B02 B03 B04 B08 SCL"),
        (("B8A", "B04"), "B8A B04"),
        ("b4", "B04"),
        (" SCL ", "SCL"),
        ((5, "B04", 1), "B05 B04 B01"),
        ("all", "B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B11 B12 SCL"),
        (["ALL"], "B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B11 B12 SCL"),
    ],
)
def test_bands_are_chosen_by_names_and_numbers(
    chosen: Any, names: str, product: Path, make: Make
) -> None:
    plan = make(product, scale=2, bidx=chosen)
    assert [band.description for band in plan.recipe.bands] == names.split()
    understood = f"Sentinel-2B L2A, baseline 05.10, T33UUB: {names}"
    assert plan.tags()["SUPERRES_PRODUCT"] == understood
    assert plan.notes() == [understood]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("B10", "bidx= names band B10 of .*: expected one of its bands B01, B02, .*, SCL"),
        (("B04", "b4"), "bidx= lists band 4 of .* twice, expected each once"),
        (("B04", 4), "bidx= lists band 4 of .* twice, expected each once"),
        (("B04", "B04"), r"bidx=\('B04', 'B04'\), expected each band once"),
        (("all", "B04"), "bidx= names band all of"),
        (("B04", 14), "bidx= lists band 14, .* has bands 1 to 13"),
        (("B04", 0), "expected names of bands, or numbers counted from 1"),
        ("", "expected names of bands, or numbers counted from 1"),
    ],
)
def test_bands_that_cannot_be_chosen(chosen: Any, message: str, product: Path, make: Make) -> None:
    with pytest.raises(InputError, match=message):
        make(product, scale=2, bidx=chosen)


def test_bands_of_other_rasters_are_chosen_by_their_descriptions(
    tmp_path: Path, make: Make
) -> None:
    path = rasters.write(tmp_path / "a.tif", rasters.textured(1, 4, 40, 44))
    with rasters.opened(path, "r+") as dataset:
        for number, name in enumerate(("first", "B05", "Near infrared", "B05"), start=1):
            dataset.set_band_description(number, name)
    plan = make(path, scale=2, bidx=("near INFRARED", "first"))
    assert [band.description for band in plan.recipe.bands] == ["Near infrared", "first"]
    assert make(path, scale=2, bidx="all").recipe.bands == make(path, scale=2).recipe.bands
    for name, problem in (
        ("B05", "several bands have that name first, B05, Near infrared, B05"),
        ("b5", "several bands have that name"),
        ("third", "expected one of its bands first, B05, Near infrared, B05"),
    ):
        with pytest.raises(InputError, match=f"bidx= names band {name} of .*: {problem}"):
            make(path, scale=2, bidx=name)
    assert "SUPERRES_PRODUCT" not in plan.tags()


def test_the_sensor_of_a_product_is_used_unless_it_is_turned_off(product: Path, make: Make) -> None:
    choices: dict[str, dict[str, Any]] = {
        "default": {},
        "named": {"sensor": "sentinel-2"},
        "none": {"sensor": "none"},
        "mtf": {"mtf": 0.3},
        "other": {"sensor": "landsat-8"},
    }
    plans = {
        name: make(product, scale=2, bidx=("B04", "B05"), **options)
        for name, options in choices.items()
    }
    found = {name: quality(plan) for name, plan in plans.items()}
    # At x2, and at x4 for pixels of 20 m: m^(1 - 1/s^2).
    assert found["default"] == f"MTF {0.233 ** (3 / 4):.2g}; MTF {0.343 ** (15 / 16):.2g}"
    assert found["named"] == found["default"]
    assert found["none"] == "unknown"
    assert found["mtf"] == "MTF 0.3"
    assert found["other"] not in {found["default"], found["none"]}
    assert plans["none"].checksum != plans["default"].checksum == plans["named"].checksum


def test_no_sensor_can_be_said_of_any_raster(scene: Path, make: Make) -> None:
    assert quality(make(scene, scale=2, sensor="none")) == quality(make(scene, scale=2))
    assert make(scene, scale=2, sensor="none", mtf=0.3).tags()["SUPERRES_SOURCE_QUALITY"] == (
        "MTF 0.3"
    )


def test_results_say_what_they_show(product: Path, make: Make) -> None:
    plan = make(product, scale=2, bidx=("B02", "B05", "SCL"))
    engine.run(plan)
    with rasterio.open(plan.out) as result:
        assert result.descriptions == ("B02", "B05", "SCL")
        assert result.scales == (1e-4, 1e-4, 1)
        assert result.offsets == (-0.1, -0.1, 0)
        assert result.colorinterp[0].name == "blue"
        tags = result.tags()
        assert tags["PRODUCT_URI"] == product.name
        assert tags["TILE"] == "T33UUB"
        assert tags["SUPERRES_PRODUCT"] == "Sentinel-2B L2A, baseline 05.10, T33UUB: B02 B05 SCL"
        assert result.tags(2)["WAVELENGTH"] == "704"


def test_bands_whose_pixels_differ_in_size_are_not_sharpened_together(
    product: Path, make: Make, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="rgb= lists bands whose pixels differ in size"):
        make(product, scale=2, bidx=("B05", "B04", "B03"), rgb=(5, 4, 3))
    plan = make(product, scale=2, bidx=("B07", "B06", "B05"), rgb=(7, 6, 5))
    assert plan.tags()["SUPERRES_BANDS"] == "joint 1,2,3"
    lacking = products.sentinel2(tmp_path, side=12, baseline="02.08")
    next(lacking.rglob("*_B04_10m.jp2")).unlink()
    assert make(lacking, scale=2).tags()["SUPERRES_BANDS"] == "alone 1,2,3,4; nearest 5"


def test_an_archive_gives_the_result_of_its_folder(tmp_path: Path, make: Make) -> None:
    safe = products.sentinel2(tmp_path, side=24)
    options: dict[str, Any] = {"scale": 2, "bidx": ("B04", "B05", "SCL")}
    whole = make(safe, **options)
    archived = make(products.zipped(safe), "", **options)
    assert archived.out == tmp_path / f"{safe.stem}.tif"
    np.testing.assert_array_equal(run(archived), run(whole))


def test_a_band_with_larger_pixels_has_a_scale_of_its_own(product: Path, make: Make) -> None:
    """The tiny model was trained up to x8, as the warning says."""
    assert not [w for w in make(product, scale=2).warnings() if "scale" in w]
    [warning] = [w for w in make(product, scale=2, bidx=("B02", "B09")).warnings() if "scale" in w]
    assert warning.startswith("the scale of band B09 is 12, the model tiny was trained at")


def test_walds_protocol_needs_bands_of_one_size(product: Path, tiny: str) -> None:
    options = PixelOptions(scale=2, model=tiny, steps=0, bidx=("B04", "B05"))
    with pytest.raises(InputError, match="band B05 has larger pixels than the scene's finest"):
        wald(product, options)
