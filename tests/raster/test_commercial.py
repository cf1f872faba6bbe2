"""Orders of Pléiades, Maxar and PlanetScope: colours, masks and sensors by what stands in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from rs_superres.engine import Plan, run
from rs_superres.errors import InputError, RasterError
from rs_superres.raster import Description, open_source, rasters_below
from tests import deliveries, rasters


def described(path: Path) -> Description:
    with open_source(path) as source:
        return source.description


def words(path: Path) -> str:
    description = described(path)
    assert description.product is not None
    return description.product.words(band.description or "" for band in description.bands)


def test_pleiades_order(tmp_path: Path) -> None:
    order = deliveries.pleiades(tmp_path)
    [metadata] = order.rglob("DIM_*.XML")
    assert words(order) == words(metadata) == "PHR 1A MS 2020-05-31: B2 B1 B0 B3"
    bands = described(order).bands
    assert [b.interpretation for b in bands] == ["red", "green", "blue", "nir"]
    [image] = order.rglob("IMG_*.TIF")
    with open_source(order) as source, rasterio.open(image) as alone:
        values, valid = source.read(source.description.grid.window)
        assert (values == alone.read()).all()
        assert not valid[:, :2].any()
        assert valid[:, 2:].all()
        assert source.description.grid.transform == alone.transform


def test_the_colours_of_a_bundle_come_first(tmp_path: Path, make: Callable[..., Plan]) -> None:
    order = deliveries.pleiades(tmp_path, panchromatic=True)
    assert words(order).endswith(": B2 B1 B0 B3")
    [panchromatic] = order.rglob("DIM_*_P_*.XML")
    assert words(panchromatic) == "PHR 1A P 2020-05-31: P"
    with pytest.raises(InputError, match=r"upscale it by itself: .*DIM_PHR1A_P"):
        make(order, scale=2, bidx="P")


def test_two_images_of_one_kind_must_be_chosen(tmp_path: Path) -> None:
    order = deliveries.pleiades(tmp_path)
    [folder] = order.glob("IMG_*")
    second = folder.with_name("IMG_PHR1A_MS_002")
    second.mkdir()
    for file in folder.iterdir():
        (second / file.name).write_bytes(file.read_bytes())
    with pytest.raises(InputError, match="holds 2 images, expected one; name its metadata"):
        described(order)


def test_maxar_order(tmp_path: Path) -> None:
    order = deliveries.maxar(tmp_path)
    assert words(order) == "WV02 LV2A Multi 2020-05-31: C B G Y R RE N N2"
    description = described(order)
    colours = {i: band.interpretation for i, band in enumerate(description.bands)}
    others = dict.fromkeys((0, 3, 5, 7), "undefined")
    assert colours == {1: "blue", 2: "green", 4: "red", 6: "nir", **others}
    assert description.sensor == "worldview-2"
    with open_source(order) as source:
        values, _ = source.read(source.description.grid.window)
    tiles = sorted(order.glob("*_MUL/*.TIF"))
    assert len(tiles) == 2
    for i, tile in enumerate(tiles):
        with rasterio.open(tile) as alone:
            assert (values[:, 30 * i : 30 * i + 30] == alone.read()).all()


def test_the_blur_of_a_pansharpened_image_is_unknown(tmp_path: Path) -> None:
    order = deliveries.maxar(tmp_path, satellite="GE01", sharpened=True)
    assert words(order) == "GE01 LV2A pansharpened 2020-05-31: B G R N"
    assert described(order).sensor is None


@pytest.mark.parametrize(
    ("bands", "surface", "title", "scale"),
    [
        (4, True, "PlanetScope surface reflectance", 1e-4),
        (8, False, "PlanetScope top of atmosphere", 2.1e-5),
    ],
)
def test_planet_scene(tmp_path: Path, bands: int, surface: bool, title: str, scale: float) -> None:
    image = deliveries.planet(tmp_path, bands=bands, surface=surface)
    description = described(image)
    assert description.product is not None
    assert description.product.title.startswith(title)
    assert description.bands[0].scale == pytest.approx(scale)
    names = [band.description for band in description.bands]
    assert {"red", "green", "blue", "nir"} <= set(names)
    assert len(names) == bands
    with open_source(image) as source:
        _, valid = source.read(source.description.grid.window)
    assert not valid[:, :2].any()  # black fill
    assert not valid[:, 30:34, 30:34].any()  # missing data
    assert valid[:, 40:44, 40:44].all()  # a cloud
    assert valid.sum() == bands * (58 * 60 - 16)


def test_planet_mask_becomes_nodata(tmp_path: Path, make: Callable[..., Plan]) -> None:
    plan = make(deliveries.planet(tmp_path), scale=2)
    run(plan)
    with rasterio.open(plan.out) as result:
        assert result.nodata == 0
        values = result.read()
        assert result.descriptions == ("blue", "green", "red", "nir")
    assert not values[:, 60:68, 60:68].any()
    assert values[:, 80:88, 80:88].all()


def test_an_image_of_planet_alone_is_an_ordinary_raster(tmp_path: Path) -> None:
    image = deliveries.planet(tmp_path)
    for file in [*tmp_path.glob("*.xml"), *tmp_path.glob("*udm2*")]:
        file.unlink()
    assert described(image).product is None


def test_a_search_finds_each_order_once(tmp_path: Path) -> None:
    expected = [
        deliveries.pleiades(tmp_path / "a", panchromatic=True),
        deliveries.maxar(tmp_path / "b"),
        deliveries.planet(tmp_path / "c"),
        deliveries.landsat(tmp_path / "d"),
        deliveries.tarred(deliveries.landsat(tmp_path / "e", level=1)),
        tmp_path / "f" / "plain.tif",
    ]
    (tmp_path / "e" / expected[4].name.removesuffix(".tar")).rename(tmp_path / ".hidden")
    (tmp_path / "f").mkdir()
    rasters.write(expected[5], np.ones((1, 8, 8), np.uint8))
    found = rasters_below(tmp_path)
    assert found.rasters == sorted(expected)


def test_incomplete_orders_say_what_is_missing(tmp_path: Path) -> None:
    order = deliveries.pleiades(tmp_path)
    next(order.rglob("*.TIF")).unlink()
    with pytest.raises(RasterError, match=r"is not complete: .*R1C1\.TIF is missing; download"):
        described(order)
    order = deliveries.maxar(tmp_path)
    next(order.glob("*_MUL/*.TIL")).unlink()
    with pytest.raises(RasterError, match=r"is not complete: .*\.TIL or \.TIF is missing"):
        described(order)


def test_the_bands_of_a_planet_image_are_counted(tmp_path: Path) -> None:
    image = deliveries.planet(tmp_path, bands=5)
    next(tmp_path.glob("*_metadata.xml")).unlink()
    names = [band.description for band in described(image).bands]
    assert names == ["blue", "green", "red", "rededge", "nir"]
    deliveries.write_tif(image, np.ones((3, 60, 60), np.uint16), 3.0)
    assert described(image).product is None


def test_a_clipped_planet_image_has_the_mask_of_its_own(tmp_path: Path) -> None:
    image = deliveries.planet(tmp_path)
    clip = image.with_name(image.name.replace(".tif", "_clip.tif"))
    deliveries.write_tif(clip, np.full((4, 20, 20), 900, np.uint16), 3.0)
    marks = np.zeros((8, 20, 20), np.uint8)
    marks[7, 3, 4] = 4
    deliveries.write_tif(tmp_path / "20200531_103000_42_2414_3B_udm2_clip.tif", marks, 3.0)
    with open_source(clip) as source:
        _, valid = source.read(source.description.grid.window)
    assert [*map(list, np.argwhere(~valid[0]))] == [[3, 4]]


def test_a_link_leads_to_the_other_files(tmp_path: Path) -> None:
    image = deliveries.planet(tmp_path / "there")
    link = tmp_path / "link.tif"
    link.symlink_to(image)
    assert described(link).path == str(link)
    assert words(link) == words(image)


def test_sidecars_of_ordinary_rasters_make_no_order(tmp_path: Path) -> None:
    plain = [tmp_path / name for name in ("a.tif", "b.tif")]
    for path in plain:
        rasters.write(path, np.ones((1, 8, 8), np.uint8))
    text = 'bandId = "Multi";\nBEGIN_GROUP = BAND_R\nEND_GROUP = BAND_R\n'
    (tmp_path / "a.IMD").write_text(text, encoding="utf-8")
    assert rasters_below(tmp_path).rasters == plain


def test_orders_and_other_rasters_are_each_found(tmp_path: Path) -> None:
    order = deliveries.pleiades(tmp_path)
    [image] = order.glob("IMG_*")
    rasters.write(order / "plain.tif", np.ones((1, 8, 8), np.uint8))
    second = order / "IMG_PHR1A_MS_002"
    second.mkdir()
    for file in image.iterdir():
        (second / file.name).write_bytes(file.read_bytes())
    (tmp_path / "GRANULE").mkdir()
    rasters.write(tmp_path / "top.tif", np.ones((1, 8, 8), np.uint8))
    found = rasters_below(tmp_path).rasters
    assert found == sorted([image, second, order / "plain.tif", tmp_path / "top.tif"])


def test_impossible_numbers_are_refused(tmp_path: Path) -> None:
    order = deliveries.pleiades(tmp_path)
    [metadata] = order.rglob("DIM_*.XML")
    text = metadata.read_text(encoding="utf-8")
    metadata.write_text(text.replace("<NBANDS>4", "<NBANDS>4000000000"), encoding="utf-8")
    with pytest.raises(RasterError, match=r"NBANDS is 4e\+09, expected 1 to 64"):
        described(order)
