"""Sentinel-2 products of either level, either layout, and baselines with and without offsets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Shape, Window
from rs_superres.raster import (
    Description,
    Product,
    open_source,
    read_grid,
    read_tags,
    result_stem,
)
from tests import products
from tests.products import LEFT, TOP
from tests.rasters import UTM, Array, read, read_crs

SIDE = 60
KINDS: dict[str, dict[str, Any]] = {
    "1C": {"level": "1C"},
    "2A": {"level": "2A"},
    "1C without offsets": {"level": "1C", "baseline": "02.04"},
    "2A without offsets": {"level": "2A", "baseline": "02.08"},
    "2A of the pilot phase": {"level": "2A", "baseline": "02.05"},
    "1C in the old layout": {"level": "1C", "baseline": "02.04", "old": True},
    "2A in the old layout": {"level": "2A", "baseline": "02.04", "old": True},
}
TITLES = {
    "1C": "Sentinel-2B L1C, baseline 05.10, T33UUB",
    "2A": "Sentinel-2B L2A, baseline 05.10, T33UUB",
    "1C without offsets": "Sentinel-2B L1C, baseline 02.04, T33UUB",
    "2A without offsets": "Sentinel-2B L2A, baseline 02.08, T33UUB",
    "2A of the pilot phase": "Sentinel-2B L2A, baseline 02.05, T33UUB",
    "1C in the old layout": "Sentinel-2A L1C, baseline 02.04, T33UUB",
    "2A in the old layout": "Sentinel-2A L2A, baseline 02.04, T33UUB",
}

Written = Callable[[str], Path]
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A function that returns a product of a kind, with its archive beside it; for reading only."""
    paths: dict[str, Path] = {}

    def of_kind(kind: str) -> Path:
        if kind not in paths:
            folder = tmp_path_factory.mktemp("product")
            paths[kind] = products.sentinel2(folder, side=SIDE, **KINDS[kind])
            products.zipped(paths[kind])
        return paths[kind]

    return of_kind


def archive_of(safe: Path) -> Path:
    [archive] = safe.parent.glob("*.zip")
    return archive


def metadata_of(safe: Path) -> Path:
    [metadata] = safe.glob("*MTD*.xml")
    return metadata


def granule_of(safe: Path) -> Path:
    [granule] = safe.glob("GRANULE/*")
    return granule


def ways(safe: Path) -> Iterator[Path]:
    """Yield everything that names a product."""
    yield from (safe, archive_of(safe), metadata_of(safe), granule_of(safe))
    yield from granule_of(safe).glob("*.xml")


def described(path: Path) -> Description:
    with open_source(path) as source:
        return source.description


def product_of(description: Description) -> Product:
    assert description.product is not None
    return description.product


def read_all(path: Path) -> tuple[Description, Array, Array]:
    """Read the description, and the values and the validity of all bands, (band, y, x)."""
    with open_source(path) as source:
        return source.description, *source.read(source.description.grid.window)


def unnamed(description: Description) -> Description:
    """Return a description without what depends on the name that a product was opened by."""
    product = replace(product_of(description), path="", bands=(), files=())
    return replace(description, path="", files=(), product=product)


def stored(safe: Path, band: str) -> Path:
    """Return the file of a band: the one of its own pixel size."""
    size = products.SIZES.get(band, 20)
    images = granule_of(safe) / "IMG_DATA"
    [path] = [
        path
        for path in images.rglob("*.jp2")
        if re.search(rf"_{band}(_{size}m)?\.jp2$|_{band}_L2A_.*_{size}m\.jp2$", path.name)
    ]
    return path


@each_kind
def test_every_way_to_name_a_product_reads_the_same(kind: str, written: Written) -> None:
    safe = written(kind)
    first, values, valid = read_all(safe)
    assert valid.all()
    assert len(set(ways(safe))) == 5
    for path in ways(safe):
        own, own_values, own_valid = read_all(path)
        assert own.path == product_of(own).path == str(path)
        assert unnamed(own) == unnamed(first)
        np.testing.assert_array_equal(own_values, values)
        np.testing.assert_array_equal(own_valid, valid)
        assert read_tags(path) == first.tags
    assert read_grid(archive_of(safe)) == first.grid


@each_kind
def test_what_a_product_says_of_itself(kind: str, written: Written) -> None:
    safe, level = written(kind), KINDS[kind]["level"]
    description = described(safe)
    product = product_of(description)
    assert (product.title, product.sensor) == (TITLES[kind], "sentinel-2")
    names = [name for name in products.NAMES if (name, level) != ("B10", "2A")]
    names += ["SCL"] if level == "2A" else []
    assert [band.description for band in description.bands] == names
    held = [names[number - 1] for number in description.default_bands]
    assert held == ["B02", "B03", "B04", "B08", "SCL"][: len(held)]
    assert ("SCL" in held) is (level == "2A")
    assert product.words(["B02", "B03"]) == f"{TITLES[kind]}: B02 B03"
    spacecraft, _, rest = TITLES[kind].partition(" L")
    assert description.tags == {
        "PRODUCT_URI": safe.name,
        "SPACECRAFT_NAME": spacecraft,
        "PROCESSING_LEVEL": f"Level-{level}",
        "PROCESSING_BASELINE": rest[13:18],
        "PRODUCT_START_TIME": "2023-08-23T09:55:59.024Z",
        "TILE": "T33UUB",
    }
    grid = description.grid
    assert (grid.shape, grid.transform) == (Shape(SIDE, SIDE), Affine(10, 0, LEFT, 0, -10, TOP))


@each_kind
def test_what_digital_numbers_mean(kind: str, written: Written) -> None:
    bands = {band.description: band for band in described(written(kind)).bands}
    classes = bands.pop("SCL", None)
    offset = -0.1 if kind in {"1C", "2A"} else 0.0
    for band in bands.values():
        assert (band.scale, band.nodata) == (1e-4, 0)
        assert band.offset == pytest.approx(offset)
    assert not any(band.nearest or band.classes for band in bands.values())
    for name, wavelength in zip(products.NAMES, products.WAVELENGTHS, strict=True):
        if name in bands:
            assert bands[name].tags == {"WAVELENGTH": str(wavelength), "WAVELENGTH_UNIT": "nm"}
    colours = {n: b.interpretation for n, b in bands.items() if b.interpretation != "undefined"}
    assert colours == {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir"}
    if classes is not None:
        assert classes.nearest
        assert (classes.scale, classes.offset, classes.nodata) == (1, 0, 0)
        names = re.findall("<Category>(.*?)</Category>", classes.classes)
        assert (len(names), names[0], names[6], names[11]) == (
            12,
            "no data",
            "water",
            "snow or ice",
        )


@each_kind
def test_pixels_are_those_of_the_bands_own_files(kind: str, written: Written) -> None:
    """Level 2A holds most bands at several sizes; coarser ones are repeated on the 10 m grid."""
    safe = written(kind)
    description, values, _ = read_all(safe)
    for band, image in zip(description.bands, values, strict=True):
        assert band.description is not None
        alone, factor = read(stored(safe, band.description))[0], band.factor
        assert factor == products.SIZES.get(band.description, 20) // 10
        assert alone.shape == (SIDE // factor, SIDE // factor)
        np.testing.assert_array_equal(image, alone.repeat(factor, axis=0).repeat(factor, axis=1))
    assert description.dtype == "uint16"
    assert values.dtype == np.uint16


def test_windows_need_not_begin_where_large_pixels_do(written: Written) -> None:
    _, values, _ = read_all(written("2A"))
    with open_source(written("2A")) as source:
        for window in (Window(0, 0, 1, 1), Window(5, 7, 20, 13), Window(55, 1, 5, 59)):
            np.testing.assert_array_equal(source.read(window)[0], values[:, *window.slices])


def test_larger_pixels_can_be_read_as_they_are_stored(written: Written) -> None:
    safe = written("1C")
    for name, factor in (("B05", 2), ("B09", 6)):
        index = products.NAMES.index(name)
        with open_source(safe) as source:
            coarser = source.coarser(factor)
            grid = coarser.description.grid
            values, _ = coarser.read(grid.window)
        with rasterio.open(stored(safe, name)) as alone:
            np.testing.assert_array_equal(values[index], alone.read(1))
            assert (grid.shape, grid.transform) == (Shape(*alone.shape), alone.transform)


@each_kind
@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_gdals_own_driver_reads_the_same(kind: str, archived: bool, written: Written) -> None:
    """It reads each pixel size as a sub-dataset of its own."""
    safe = written(kind)
    whole = archive_of(safe) if archived else metadata_of(safe)
    with rasterio.open(whole) as container:
        assert container.driver == "SENTINEL2"
        names = [name for name in container.subdatasets if re.search(r":\d\dm:", name)]
    assert len(names) == 3
    description, values, _ = read_all(safe)
    numbers = {band.description: i for i, band in enumerate(description.bands)}
    compared = set()
    for name in names:
        with rasterio.open(name) as dataset:
            factor = round(dataset.transform.a) // 10
            grid = description.grid.coarser(factor)
            assert (Shape(*dataset.shape), dataset.transform) == (grid.shape, grid.transform)
            assert dataset.crs.to_wkt() == read_crs(stored(safe, "B02"))
            assert dataset.crs == UTM
            for number, text in enumerate(dataset.descriptions, start=1):
                band = re.sub(r"^B(?=\d$)", "B0", text.partition(",")[0])
                index = numbers.get(band)
                if index is not None and description.bands[index].factor == factor:
                    compared.add(band)
                    stepped = values[index, ::factor, ::factor]
                    np.testing.assert_array_equal(dataset.read(number), stepped)
    assert compared == numbers.keys()


@pytest.fixture
def marked(tmp_path: Path) -> tuple[Path, dict[str, Array]]:
    """A product with unusable pixels, and the expected validity of some of its bands, 10 m."""
    blue, edge = products.ground(SIDE, 1), products.ground(SIDE // 2, 4)
    blue[4, 6], blue[8, 9], blue[20:24, 30:34] = 65535, 0, 65535
    edge[3, 5] = 65535
    planes, coarse = np.zeros((8, SIDE, SIDE), np.uint8), np.zeros((8, 10, 10), np.uint8)
    for plane in range(8):
        planes[plane, 10 + plane, 40] = 1
        coarse[plane, plane, 3] = 1
    bad = {name: np.zeros((side, side), bool) for name, side in (("B05", 30), ("B09", 10))}
    bad["B02"] = (blue == 0) | (blue == 65535)
    bad["B02"][[12, 14, 15, 17], 40] = True  # planes 3, 5, 6 and 8
    bad["B05"][3, 5] = True
    bad["B09"][[2, 4, 5, 7], 3] = True
    pixels: dict[str, Array] = {"B02": blue, "B05": edge, "MSK_B02": planes, "MSK_B09": coarse}
    valid = {
        name: ~mask.repeat(SIDE // len(mask), axis=0).repeat(SIDE // len(mask), axis=1)
        for name, mask in bad.items()
    }
    return products.sentinel2(tmp_path, side=SIDE, pixels=pixels), valid


def test_saturated_lost_and_defective_pixels_are_invalid(
    marked: tuple[Path, dict[str, Array]],
) -> None:
    """In their band only; degraded data and corrected crosstalk may be used."""
    safe, expected = marked
    products.zipped(safe)
    for path in ways(safe):
        description, _, validity = read_all(path)
        for band, valid in zip(description.bands, validity, strict=True):
            name = band.description or ""
            np.testing.assert_array_equal(valid, expected.get(name, np.ones_like(valid)), name)


def test_masks_belong_to_the_files(written: Written, tmp_path: Path) -> None:
    """A run notices if one of its files changes."""
    files = described(written("2A")).files
    assert {Path(file).name for file in files} >= {"MSK_QUALIT_B02.jp2", "MTD_TL.xml"}
    assert all(Path(file).is_file() for file in files)
    assert str(archive_of(written("2A"))) in described(archive_of(written("2A"))).files
    safe = products.sentinel2(tmp_path, side=12, level="1C", baseline="02.04")
    areas = granule_of(safe) / "QI_DATA" / "MSK_DEFECT_B03.gml"
    areas.write_text(square(), encoding="utf-8")
    assert str(areas) in described(safe).files


def test_values_of_saturation_and_nodata_are_those_of_the_metadata(tmp_path: Path) -> None:
    image = products.ground(SIDE, 1)
    image[0, :3] = 0, 7, 65535
    safe = products.sentinel2(tmp_path, side=SIDE, baseline="02.08", pixels={"B02": image})
    metadata = metadata_of(safe)
    text = metadata.read_text("utf-8")
    metadata.write_text(text.replace("INDEX>65535<", "INDEX>7<").replace("INDEX>0<", "INDEX>3<"))
    description, _, valid = read_all(safe)
    assert description.bands[1].nodata == 3
    assert valid[1, 0, :3].tolist() == [True, False, True]


def test_a_tile_that_a_granules_name_does_not_say_is_in_its_metadata(tmp_path: Path) -> None:
    safe = products.sentinel2(tmp_path, side=12, baseline="02.08")
    granule_of(safe).rename(safe / "GRANULE" / "renamed")
    assert described(safe).tags["TILE"] == "T33UUB"


def test_a_product_of_several_granules_is_read_by_one(tmp_path: Path) -> None:
    safe = products.sentinel2(tmp_path / "a", level="1C", baseline="02.04", side=12, old=True)
    dark = {"B02": products.ground(12, 1, low=300, high=900)}
    other = products.sentinel2(
        tmp_path / "b", level="1C", baseline="02.04", side=12, old=True, tile="T33UVB", pixels=dark
    )
    granule = granule_of(other)
    granule.rename(safe / "GRANULE" / granule.name)
    with pytest.raises(InputError, match=r"holds 2 granules, expected one; name its metadata ins"):
        open_source(safe)
    for tile, brightest in (("T33UUB", 5000), ("T33UVB", 900)):
        [folder] = safe.glob(f"GRANULE/*{tile}*")
        for path in (folder, *folder.glob("*.xml")):
            description, values, _ = read_all(path)
            assert description.tags["TILE"] == tile
            assert product_of(description).title.endswith(tile)
            assert values[1].max() == brightest
    (safe / "MTD_MSIL1C.xml").write_bytes(metadata_of(safe).read_bytes())
    with pytest.raises(InputError, match="holds 2 Sentinel-2 products, expected one"):
        open_source(safe)


def test_what_is_no_product_is_left_to_others(tmp_path: Path, written: Written) -> None:
    inside = written("2A") / "GRANULE"
    for path in (inside, granule_of(written("2A")) / "IMG_DATA"):
        with pytest.raises(InputError, match="is a directory, expected a raster file"):
            open_source(path)
    assert described(stored(written("2A"), "B02")).product is None
    (tmp_path / "empty.SAFE").mkdir()
    with pytest.raises(InputError, match="is a directory"):
        open_source(tmp_path / "empty.SAFE")


def test_metadata_may_lack_wavelengths(tmp_path: Path) -> None:
    safe = products.sentinel2(tmp_path, side=12)
    metadata = metadata_of(safe)
    text = re.sub("<Wavelength>.*?</Wavelength>", "", metadata.read_text("utf-8"))
    metadata.write_text(text, encoding="utf-8")
    assert described(safe).bands[0].tags["WAVELENGTH"] == "442.7"


def test_numbers_that_are_none_are_named(tmp_path: Path) -> None:
    safe = products.sentinel2(tmp_path, side=12)
    metadata = metadata_of(safe)
    text = metadata.read_text("utf-8")
    for old, new, message in (
        (">10000<", ">10_OOO<", "BOA_QUANTIFICATION_VALUE is 10_OOO, expected a number"),
        (">10000<", "><", "BOA_QUANTIFICATION_VALUE is missing, expected a number"),
        (">10000<", ">-1<", "BOA_QUANTIFICATION_VALUE is -1, expected a number above 0"),
        (">-1000<", ">nan<", "BOA_ADD_OFFSET is nan, expected a number"),
        ('band_id="3"', "", "band_id is missing, expected a number"),
        ("INDEX>65535<", "INDEX>1e999<", "SPECIAL_VALUE_INDEX is 1e999, expected a number"),
        (">559<", ">green<", "CENTRAL is green, expected a number"),
    ):
        assert old in text
        metadata.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(RasterError, match=re.escape(f"MTD_MSIL2A.xml: {message}")):
            open_source(safe)


GML = """<?xml version="1.0" encoding="UTF-8"?>
<eop:Mask xmlns:eop="http://www.opengis.net/eop/2.0" xmlns:gml="http://www.opengis.net/gml/3.2">
<eop:maskMembers><eop:MaskFeature gml:id="a"><eop:maskType>MSK</eop:maskType><eop:extentOf>
<gml:Polygon gml:id="p"><gml:exterior><gml:LinearRing>
<gml:posList srsDimension="{size}">{points}</gml:posList>
</gml:LinearRing></gml:exterior></gml:Polygon></eop:extentOf></eop:MaskFeature></eop:maskMembers>
</eop:Mask>
"""


def square(size: int = 2, *, row: int = 6, column: int = 12) -> str:
    """Return a mask of 4 x 4 pixels of 10 m."""
    left, top = products.LEFT + 10 * column, products.TOP - 10 * row
    corners = [(left, top), (left + 40, top), (left + 40, top - 40), (left, top - 40), (left, top)]
    points = " ".join(f"{x:g} {y:g}" + " 0" * (size - 2) for x, y in corners)
    return GML.format(size=size, points=points)


@pytest.mark.parametrize("kind", ["DEFECT", "SATURA", "NODATA"])
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("size", [2, 3])
def test_areas_of_early_baselines_are_holes(
    tmp_path: Path, kind: str, old: bool, size: int
) -> None:
    safe = products.sentinel2(tmp_path, level="1C", baseline="02.04", old=old, side=60)
    [granule] = (safe / "GRANULE").iterdir()
    stem = "S2A_OPER_MSK_{}_SGS__20160101T120000_A002792_T33UUB_{}_MSIL1C" if old else "MSK_{}_{}"
    (granule / "QI_DATA").mkdir(exist_ok=True)
    for band, mask in (("B03", kind), ("B04", "CLOUDS"), ("B05", kind)):
        name = f"{stem.format(mask, band)}.gml"
        (granule / "QI_DATA" / name).write_text(square(size), encoding="utf-8")
    with open_source(safe) as source:
        _, valid = source.read(source.description.grid.window)
        names = [band.description for band in source.description.bands]
    hole = np.zeros((60, 60), dtype=bool)
    hole[6:10, 12:16] = True
    for band_name, pixels in zip(names, valid, strict=True):
        assert (~pixels == (hole if band_name in {"B03", "B05"} else False)).all(), band_name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GML.format(size=2, points="1 2 3"), "a posList has 3 numbers, expected points"),
        (GML.format(size=2, points="1 2 3 4 5 many"), "posList is many, expected a number"),
        ("<a>", "cannot read"),
    ],
)
def test_damaged_areas_are_named(tmp_path: Path, text: str, message: str) -> None:
    safe = products.sentinel2(tmp_path, level="1C", baseline="02.04", side=60)
    [granule] = (safe / "GRANULE").iterdir()
    (granule / "QI_DATA").mkdir(exist_ok=True)
    (granule / "QI_DATA" / "MSK_DEFECT_B03.gml").write_text(text, encoding="utf-8")
    with pytest.raises(RasterError, match=message):
        open_source(safe)


@pytest.mark.parametrize(
    ("path", "stem"),
    [
        ("a/S2B_T33UUB.SAFE", "S2B_T33UUB"),
        ("a/S2B_T33UUB.SAFE.zip", "S2B_T33UUB"),
        ("a/S2B_T33UUB.SAFE/MTD_MSIL2A.xml", "S2B_T33UUB"),
        ("S2B.SAFE/GRANULE/L2A_T33UUB_A1/MTD_TL.xml", "L2A_T33UUB_A1"),
        ("S2A.SAFE/GRANULE/S2A_OPER_T33UUB_N02.04", "S2A_OPER_T33UUB_N02.04"),
        ("LC08_02_T1/LC08_02_T1_MTL.txt", "LC08_02_T1"),
        ("LC08_02_T1.tar.gz", "LC08_02_T1"),
        ("LC08_02_T1", "LC08_02_T1"),
        ("scene.v2.tif", "scene.v2"),
    ],
)
def test_results_are_named_after_the_product(path: str, stem: str) -> None:
    assert result_stem(PurePosixPath(path)) == stem


def test_a_coarser_image_has_no_mask(tmp_path: Path) -> None:
    safe = products.sentinel2(tmp_path, side=60)
    [image] = safe.rglob("*_B01_60m.jp2")
    [coarse] = safe.rglob("*_B01_20m.jp2")
    image.unlink()
    with open_source(safe) as source:
        names = [band.description for band in source.description.bands]
        band = source.description.bands[names.index("B01")]
        assert band.factor == 2
        values, _ = source.read(source.description.grid.window)
    with rasterio.open(coarse) as alone:
        assert (values[names.index("B01")][::2, ::2] == alone.read(1)).all()
