"""Landsat products: a folder, a tar or an MTL file of any collection and level."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from rs_superres.engine import Plan, run
from rs_superres.errors import InputError, RasterError
from rs_superres.raster import open_source, rasters_below
from tests import deliveries
from tests.cli.calls import main

KINDS: list[tuple[dict[str, Any], str, str, tuple[float, float]]] = [
    ({}, "Landsat 8 L2SP, Collection 2", "B2 B3 B4 B5 QA_PIXEL", (2.75e-5, -0.2)),
    (
        {"satellite": 9, "level": 1, "as_json": True},
        "Landsat 9 L1TP, Collection 2",
        "B2 B3 B4 B5 QA_PIXEL",
        (2e-5, -0.1),
    ),
    (
        {"satellite": 7, "level": 1, "collection": 1},
        "Landsat 7 L1TP, Collection 1",
        "B1 B2 B3 B4 QA_PIXEL",
        (2e-5, -0.1),
    ),
    (
        {"satellite": 5, "level": 2, "collection": 1},
        "Landsat 5 L2, Collection 1",
        "B1 B2 B3 B4 QA_PIXEL",
        (1e-4, 0.0),
    ),
    (
        {"satellite": 4, "level": 2},
        "Landsat 4 L2SP, Collection 2",
        "B1 B2 B3 B4 QA_PIXEL",
        (2.75e-5, -0.2),
    ),
]


@pytest.mark.parametrize(("settings", "title", "names", "scaling"), KINDS)
def test_every_kind_is_understood(
    tmp_path: Path,
    settings: dict[str, Any],
    title: str,
    names: str,
    scaling: tuple[float, float],
) -> None:
    folder = deliveries.landsat(tmp_path, **settings)
    [metadata] = folder.glob("*_MTL.*")
    archives = [deliveries.tarred(folder), deliveries.tarred(folder, gz=True)]
    pixels = []
    for path in (folder, metadata, *archives):
        with open_source(path) as source:
            description = source.description
            product = description.product
            assert product is not None
            assert product.title.startswith(title)
            held = [description.bands[i - 1] for i in description.default_bands]
            assert product.words(b.description or "" for b in held).endswith(f": {names}")
            assert [b.interpretation for b in held[:4]] == ["blue", "green", "red", "nir"]
            assert [(b.scale, b.offset) for b in held[:4]] == [scaling] * 4
            assert [b.nearest for b in held] == [False] * 4 + [True]
            assert product.sensor == ("landsat-8" if "Landsat 8" in title or "9" in title else None)
            values, valid = source.read(description.grid.window)
            assert not valid[:-1, :2].any()
            assert valid[:, 2:].all()
            pixels.append(values)
    for other in pixels[1:]:
        assert (other == pixels[0]).all()
    blue = next(p for p in folder.iterdir() if p.name.lower().endswith(("b2.tif", "band2.tif")))
    with rasterio.open(blue) as alone:
        number = [b.description for b in description.bands].index("B2")
        assert (alone.read(1) == pixels[0][number]).all()


def test_result_keeps_the_quality_bits(tmp_path: Path, make: Callable[..., Plan]) -> None:
    folder = deliveries.landsat(tmp_path)
    plan = make(folder, scale=2.5)
    run(plan)
    with rasterio.open(plan.out) as result:
        assert result.descriptions == ("B2", "B3", "B4", "B5", "QA_PIXEL")
        assert result.offsets == (-0.2, -0.2, -0.2, -0.2, 0.0)
        assert result.nodata == 0
        values = result.read()
        assert result.tags()["SUPERRES_PRODUCT"].startswith("Landsat 8 L2SP, Collection 2")
    assert set(np.unique(values[4])) == {1, 21824, 22280}
    assert (values[4, 40, 40], values[4, 10, 10]) == (22280, 21824)
    assert not values[:4, :4].any()
    assert values[:4, 6:].all()


def test_panchromatic_band_goes_by_itself(tmp_path: Path, make: Callable[..., Plan]) -> None:
    folder = deliveries.landsat(tmp_path, level=1)
    with pytest.raises(InputError, match=r"upscale it by itself: .*_B8\.TIF$"):
        make(folder, scale=2, bidx="B8")
    assert make(next(folder.glob("*_B8.TIF")), scale=2).window.height == 242


def test_incomplete_products_say_what_is_missing(tmp_path: Path, make: Callable[..., Plan]) -> None:
    folder = deliveries.landsat(tmp_path)
    next(folder.glob("*_SR_B3.TIF")).unlink()
    with pytest.raises(RasterError, match=r"band B3 \(green\) is missing; download the product"):
        make(folder, scale=2)


@pytest.mark.parametrize("damage", ["", "GROUP = A\nEND_GROUP = A\nEND\n", "\0\1\2"])
def test_damaged_metadata_give_one_line(tmp_path: Path, damage: str) -> None:
    folder = deliveries.landsat(tmp_path)
    next(folder.glob("*_MTL.txt")).write_text(damage, encoding="utf-8")
    out = tmp_path / "out.tif"
    result = CliRunner().invoke(main, ["upscale", str(folder), "--scale", "2", "-o", str(out)])
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert "it holds no metadata of Landsat" in result.output
    assert not out.exists()


def test_a_number_that_is_none_is_named(tmp_path: Path, make: Callable[..., Plan]) -> None:
    folder = deliveries.landsat(tmp_path)
    [metadata] = folder.glob("*_MTL.txt")
    text = metadata.read_text(encoding="utf-8").replace("2.75e-05", "many")
    metadata.write_text(text, encoding="utf-8")
    with pytest.raises(RasterError, match="REFLECTANCE_MULT_BAND_1 is many, expected a number"):
        make(folder, scale=2)


def test_other_rasters_beside_a_scene_are_found_too(tmp_path: Path) -> None:
    folder = deliveries.landsat(tmp_path)
    deliveries.write_tif(folder / "NDVI.tif", np.ones((9, 9), np.uint8), 30)
    assert rasters_below(tmp_path).rasters == [folder, folder / "NDVI.tif"]
    with open_source(folder) as source:
        assert source.description.product is not None


def test_metadata_without_images_make_no_scene(tmp_path: Path) -> None:
    folder = deliveries.landsat(tmp_path)
    (tmp_path / "sub").mkdir()
    for image in folder.glob("*.TIF"):
        image.rename(tmp_path / "sub" / image.name)
    [metadata] = folder.glob("*_MTL.txt")
    metadata.rename(tmp_path / metadata.name)
    folder.rmdir()
    assert len(rasters_below(tmp_path).rasters) > 1


def test_a_product_says_itself_what_is_nodata(tmp_path: Path, make: Callable[..., Plan]) -> None:
    with pytest.raises(InputError, match=r"nodata=5, but the metadata of .* say what is nodata"):
        make(deliveries.landsat(tmp_path), scale=2, nodata=5)


def test_products_are_not_stacked(tmp_path: Path) -> None:
    folders = [deliveries.landsat(tmp_path / name) for name in "ab"]
    with pytest.raises(InputError, match="is a product, which cannot be stacked with others"):
        open_source(folders)


def test_the_result_says_which_band_holds_bits(tmp_path: Path, make: Callable[..., Plan]) -> None:
    plan = make(deliveries.landsat(tmp_path), scale=2)
    run(plan)
    with open_source(plan.out) as again:
        assert [band.nearest for band in again.description.bands] == [False] * 4 + [True]
