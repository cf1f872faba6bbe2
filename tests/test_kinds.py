"""Every kind of raster keeps its dtype, masks and metadata, from file to file and read by GDAL."""

from __future__ import annotations

import math
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from xml.etree.ElementTree import canonicalize

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from PIL import Image
from rasterio.enums import MaskFlags
from rasterio.io import MemoryFile

from rs_superres import engine
from rs_superres.engine import Options, Plan
from rs_superres.errors import InputError, RasterError
from rs_superres.image import consistency, limits
from rs_superres.image.radiometry import DOUBLE, DTYPES
from rs_superres.raster import open_source
from rs_superres.scene.inference import CellInput, Drawn
from rs_superres.scene.survey import survey
from rs_superres.verify import verify
from tests import rasters
from tests.located import Bilinear, coordinates
from tests.rasters import NORTH_UP, RGB, UTM, Array, textured

Run = Callable[..., Plan]


@pytest.fixture
def run(tmp_path: Path, tiny: str) -> Run:
    """Upscales a source with the tiny model, prior alone, to ``out.tif`` in a folder."""

    def upscale(source: Any, out: str = "out.tif", **options: Any) -> Plan:
        options = {"model": tiny, "steps": 0, "scale": "2.5", **options}
        plan = engine.plan(source, tmp_path / out, Options(**options))
        engine.run(plan)
        return plan

    return upscale


def nearest(pixels: Array, scale: float = 2.5) -> Array:
    """The source pixel under each output pixel's centre: (band, y, x)."""
    height, width = (math.floor(n * scale + 0.5) for n in pixels.shape[1:])
    rows = (2 * np.arange(height) + 1) * pixels.shape[1] // (2 * height)
    columns = (2 * np.arange(width) + 1) * pixels.shape[2] // (2 * width)
    values: Array = pixels[:, rows][:, :, columns]
    return values


def virtual(path: Path, *bands: tuple[str, Path, str]) -> Path:
    """Write a VRT of bands: each has a GDAL type, a file of one band, and further elements."""
    with rasters.opened(bands[0][1]) as dataset:
        height, width = dataset.shape
    path.write_text(
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">'
        + "".join(
            f'<VRTRasterBand dataType="{kind}" band="{i}">{more}<SimpleSource>'
            f'<SourceFilename relativeToVRT="1">{file.name}</SourceFilename>'
            "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
            for i, (kind, file, more) in enumerate(bands, start=1)
        )
        + "</VRTDataset>"
    )
    return path


# Dtypes


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_kept(tmp_path: Path, run: Run, dtype: str) -> None:
    high = 100 if dtype == "int8" else 250
    source = rasters.write(tmp_path / "a.tif", textured(1, 2, 20, 22, dtype=dtype, high=high))
    run(source)
    out = rasters.read(tmp_path / "out.tif")
    assert out.dtype.name == dtype
    assert out.shape == (2, 50, 55)
    expected = nearest(rasters.read(source)).astype(float)
    assert np.corrcoef(out.ravel(), expected.ravel())[0, 1] > 0.9


class CubicAlone(Bilinear):
    """An inference that adds nothing to the cubic interpolation."""

    def residual(self, cell: CellInput) -> Drawn:
        return Drawn(np.zeros_like(residual) for residual in super().residual(cell).samples)


@pytest.mark.parametrize(
    ("dtype", "base", "step"),
    [("uint32", 4e9, 1000), ("int32", -2e9, 1000), ("float64", 5e6, 0.001), ("float64", 1e10, 1)],
)
@pytest.mark.parametrize("margin", [0, 8])
def test_values_that_float32_rounds_keep_their_precision(
    tmp_path: Path, tiny: str, dtype: str, base: float, step: float, margin: int
) -> None:
    """A ramp is far from zero and small compared with the value range: float32 has steps of 256."""
    values = base + step * coordinates(23, 29)
    source = rasters.write(tmp_path / "a.tif", values.astype(dtype))
    options = Options(scale="3.5", model=tiny, steps=0, value_range=(-4e9, 4e9), consistency=False)
    plan = engine.plan(source, tmp_path / "out.tif", options)
    recipe = replace(plan.recipe, inference=CubicAlone(margin=margin))
    engine.run(replace(plan, pixels=replace(plan.pixels, recipe=recipe)))
    rows, columns = np.mgrid[:81, :102] + 0.5
    expected = np.stack((columns * 29 / 102, rows * 23 / 81))
    inner = np.s_[:, 6:-6, 6:-6]  # at the border, the mirror image bends the ramp
    out = (rasters.read(tmp_path / "out.tif").astype(np.float64) - base) / step
    assert dtype in DOUBLE
    np.testing.assert_allclose(out[inner], expected[inner], rtol=0, atol=6e-4)


def test_the_number_of_bits_is_kept(tmp_path: Path, run: Run, gdal_tools: Path) -> None:
    pixels = textured(1, 3, 20, 22, dtype="uint16", high=4095)
    source = rasters.write(tmp_path / "a.tif", pixels, colours=RGB, nbits=12)
    run(source)
    for band in rasters.gdalinfo(gdal_tools, tmp_path / "out.tif")["bands"]:
        assert (band["type"], band["metadata"]["IMAGE_STRUCTURE"]["NBITS"]) == ("UInt16", "12")
    assert rasters.read(tmp_path / "out.tif").max() <= 4095


def test_bands_of_different_dtypes_are_refused(tmp_path: Path) -> None:
    parts = [
        rasters.write(tmp_path / f"{d}.tif", np.ones((1, 4, 4), dtype=d))
        for d in ("uint8", "uint16")
    ]
    path = virtual(tmp_path / "a.vrt", ("Byte", parts[0], ""), ("UInt16", parts[1], ""))
    with pytest.raises(InputError, match=r"uint16, uint8, expected one.*gdal_translate -b N"):
        open_source(path)


# Ranges of quantities


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint16", "int32"])
@pytest.mark.parametrize("scale", ["2", "2.5"])
def test_counts_stay_counts(tmp_path: Path, run: Run, dtype: str, scale: str) -> None:
    generator = np.random.default_rng(1)
    counts = np.zeros((1, 60, 70), dtype=dtype)
    counts[0, generator.integers(4, 56, 12), generator.integers(4, 66, 12)] = 5000
    source = rasters.write(tmp_path / "a.tif", counts)
    plan = run(source, scale=scale)
    [group] = plan.pixels.recipe.groups
    assert (group.value_range.low, group.value_range.high) == (0, 5000)
    assert "value_range= sets another" in plan.pixels.warnings()[-1]
    result = rasters.read(plan.out).astype(np.float64)
    assert result.min() == 0
    assert result.max() <= 8750
    assert result.mean() == pytest.approx(counts.mean(), rel=5e-3)
    with rasters.opened(plan.out) as dataset:
        assert dataset.tags()["SUPERRES_LIMITS"].startswith("within the range of 3 x 3 source")
    run(source, "free.tif", scale=scale, limits="none")
    free = rasters.read(tmp_path / "free.tif")
    assert free.min() < -50 if dtype != "uint16" else free.mean() > 1.05 * counts.mean()


def test_shares_stay_within_their_bounds(tmp_path: Path, run: Run) -> None:
    shares = textured(1, 1, 40, 50, dtype="float32", high=1).round() * 100
    source = rasters.write(tmp_path / "a.tif", shares.astype(np.float32))
    run(source, limits=(0, 100))
    bounded = rasters.read(tmp_path / "out.tif")
    assert (bounded.min(), bounded.max()) == (0, 100)
    run(source, "local.tif")
    local = rasters.read(tmp_path / "local.tif")
    assert local.min() == 0
    assert 100 < local.max() <= 175


def test_bounds_that_hold_no_number_of_the_dtype_are_refused(tmp_path: Path, run: Run) -> None:
    source = rasters.write(tmp_path / "a.tif", textured(1, 1, 40, 50))
    with pytest.raises(InputError, match=r"limits=-9,0.5, expected bounds with two or more numb"):
        run(source, limits=(-9, 0.5))


# Nodata and masks


def test_different_nodata_values_become_one(tmp_path: Path, run: Run) -> None:
    """A GeoTIFF holds one value, but each band keeps the validity of its pixels."""
    parts = []
    for i, nodata in enumerate((0, 7)):
        pixels = textured(i, 1, 20, 22).clip(8)
        pixels[0, 4 + i : 9, 3:8] = nodata
        pixels[0, 12:14, 12:14] = 7 - nodata  # the nodata value of the other band
        parts.append(rasters.write(tmp_path / f"{i}.tif", pixels))
    path = virtual(
        tmp_path / "a.vrt",
        ("Byte", parts[0], "<NoDataValue>0</NoDataValue>"),
        ("Byte", parts[1], "<NoDataValue>7</NoDataValue>"),
    )
    plan = run(path)
    assert any("nodata values differ" in note for note in plan.notes())
    valid = rasters.masks(tmp_path / "out.tif")
    np.testing.assert_array_equal(valid, nearest(rasters.masks(path)))
    assert not valid.all(axis=(1, 2)).any()


def test_nodata_and_a_mask_together(tmp_path: Path, run: Run) -> None:
    """GDAL reports only the mask. Nodata pixels are invalid too, and remain nodata."""
    pixels, mask = textured(1, 2, 20, 22).clip(1), np.ones((20, 22), dtype=np.bool_)
    pixels[0, 3:6, 3:9] = 0
    mask[12:] = False
    source = rasters.write(tmp_path / "a.tif", pixels, mask=mask, nodata=0)
    run(source)
    out = rasters.read(tmp_path / "out.tif")
    valid = rasters.masks(tmp_path / "out.tif")
    np.testing.assert_array_equal(valid, nearest(rasters.masks(source)))
    np.testing.assert_array_equal(out != 0, nearest((pixels > 0) & mask))


@pytest.mark.parametrize("before", [None, 0])
def test_the_nodata_option_replaces_the_value_of_the_file(
    tmp_path: Path, run: Run, before: int | None
) -> None:
    pixels = textured(1, 1, 20, 22)
    pixels[0, 5:9, 5:9] = 200
    source = rasters.write(tmp_path / "a.tif", pixels, nodata=before)
    run(source, nodata=200)
    np.testing.assert_array_equal(rasters.masks(tmp_path / "out.tif"), nearest(pixels != 200))
    with rasters.opened(tmp_path / "out.tif") as dataset:
        assert dataset.nodata == 200


def test_a_nodata_value_outside_the_dtype_is_kept(tmp_path: Path, run: Run) -> None:
    pixels = textured(1, 1, 20, 22)
    part = rasters.write(tmp_path / "a.tif", pixels)
    plan = run(virtual(tmp_path / "a.vrt", ("Byte", part, "<NoDataValue>-9999</NoDataValue>")))
    assert rasters.masks(tmp_path / "out.tif").all()
    assert plan.notes() == []
    with rasters.opened(tmp_path / "out.tif") as dataset, MemoryFile(ext=".vrt") as vrt:
        rasterio.shutil.copy(dataset, vrt.name, driver="VRT")
        assert b"<NoDataValue>-9999</NoDataValue>" in vrt.read()


@pytest.mark.parametrize(
    ("consistency", "farther"), [(False, limits.REACH), (True, consistency.REACH + limits.REACH)]
)
def test_a_nan_block_changes_nothing_far_from_it(
    tmp_path: Path, run: Run, consistency: bool, farther: float
) -> None:
    pixels = textured(1, 2, 60, 60, dtype="float32", high=100) - np.float32(50)
    plain = rasters.write(tmp_path / "plain.tif", pixels)
    pixels[:, :9, :9] = np.nan
    holed = rasters.write(tmp_path / "holed.tif", pixels)
    for source, out in ((plain, "one.tif"), (holed, "other.tif")):
        run(source, out, value_range=(-50, 50), consistency=consistency)
    one, other = (rasters.read(tmp_path / n) for n in ("one.tif", "other.tif"))
    np.testing.assert_array_equal(np.isnan(other), nearest(np.isnan(pixels)))
    # The hole, the reach of the tiny prior, and that of cubic interpolation, in source pixels.
    far = round(2.5 * (9 + 8 + 3 + farther))
    np.testing.assert_array_equal(one[:, far:], other[:, far:])
    np.testing.assert_array_equal(one[:, :, far:], other[:, :, far:])
    assert np.isfinite(one).all()


# Bands


def test_chosen_bands_are_written_in_their_order(tmp_path: Path, run: Run) -> None:
    source = rasters.write(tmp_path / "a.tif", textured(1, 4, 20, 22), photometric="minisblack")
    with rasters.opened(source, "r+") as dataset:
        dataset.descriptions = ("B1", "B2", "B3", "B4")
    run(source, "all.tif")
    run(source, bidx=(4, 2))
    with rasters.opened(tmp_path / "out.tif") as dataset:
        assert dataset.descriptions == ("B4", "B2")
    everything, chosen = rasters.read(tmp_path / "all.tif"), rasters.read(tmp_path / "out.tif")
    np.testing.assert_array_equal(chosen, everything[[3, 1]])


def test_a_triplet_by_number_is_treated_like_one_by_colour(tmp_path: Path, run: Run) -> None:
    pixels = textured(1, 4, 20, 22)
    plain = rasters.write(tmp_path / "a.tif", pixels, photometric="minisblack")
    colours = ("undefined", "blue", "green", "red")
    coloured = rasters.write(tmp_path / "b.tif", pixels, colours=colours)
    plan = run(plain, "one.tif", rgb=(4, 3, 2))
    run(coloured, "other.tif")
    run(plain, "single.tif")
    one, other, single = (rasters.read(tmp_path / f"{n}.tif") for n in ("one", "other", "single"))
    np.testing.assert_array_equal(one, other)
    assert (one != single).any()
    with rasters.opened(tmp_path / "one.tif") as dataset:
        assert dataset.tags()["SUPERRES_BANDS"] == "joint 4,3,2; alone 1"
    assert "joint 4,3,2" in str(plan.pixels.roles)
    assert plan.settings()["band roles"]["joint"] == [3, 2, 1]


def test_quality_bands_keep_their_values(tmp_path: Path, run: Run) -> None:
    pixels = textured(1, 2, 300, 310, dtype="uint16", high=3000)
    pixels[1] = np.random.default_rng(1).choice([0, 64, 1024, 21824], pixels.shape[1:])
    source = rasters.write(tmp_path / "a.tif", pixels)
    run(source, nearest=(2,))
    out = rasters.read(tmp_path / "out.tif")
    np.testing.assert_array_equal(out[1], nearest(pixels)[1])
    assert (out[0] != nearest(pixels)[0]).any()
    with rasterio.open(tmp_path / "out.tif", overview_level=0) as overview:
        assert set(np.unique(overview.read(2))) <= {0, 64, 1024, 21824}


def palette(path: Path, **profile: Any) -> tuple[Path, Array, Array]:
    """Write a file with a colour table; return it, its indices, and its colours, (value, 4)."""
    pixels = np.random.default_rng(1).integers(0, 5, (1, 20, 22)).astype(np.uint8)
    colours = np.array([[40 * i, 200 - 30 * i, i, 255] for i in range(5)])
    rasters.write(path, pixels, photometric="palette", **profile)
    with rasters.opened(path, "r+") as dataset:
        dataset.write_colormap(1, dict(enumerate(map(tuple, colours.tolist()))))
    return path, pixels, colours


def test_expanded_palettes_become_colours(tmp_path: Path, tiny: str) -> None:
    path, pixels, colours = palette(tmp_path / "a.tif")
    plan = engine.plan(
        path,
        tmp_path / "out.tif",
        Options(scale="2", model=tiny, steps=0, classes="expand"),
    )
    recipe = replace(plan.recipe, inference=Bilinear())
    engine.run(replace(plan, pixels=replace(plan.pixels, recipe=recipe)))
    with rasters.opened(tmp_path / "out.tif") as dataset:
        assert [c.name for c in dataset.colorinterp] == list(RGB)
        out = dataset.read()
    expected = np.moveaxis(colours[pixels[0]][..., :3], -1, 0)
    downsampled = out.reshape(3, 20, 2, 22, 2).mean(axis=(2, 4))
    assert np.corrcoef(downsampled.ravel(), expected.ravel())[0, 1] > 0.8
    with open_source(path, plan.pixels.roles.selection) as source:
        np.testing.assert_array_equal(source.read(source.description.grid.window)[0], expected)


def test_expanded_nodata_is_masked(tmp_path: Path, run: Run) -> None:
    path, pixels, _ = palette(tmp_path / "a.tif", nodata=3)
    run(path, classes="expand")
    with rasters.opened(tmp_path / "out.tif") as dataset:
        assert (dataset.count, dataset.nodata) == (3, None)
        assert dataset.mask_flag_enums[0] == [MaskFlags.per_dataset]
    valid = rasters.masks(tmp_path / "out.tif")
    np.testing.assert_array_equal(valid, np.repeat(nearest(pixels != 3), 3, axis=0))


def test_transparent_colours_become_an_alpha_band(tmp_path: Path, run: Run) -> None:
    image = Image.fromarray(np.repeat(np.arange(4, dtype=np.uint8), 60).reshape(12, 20))
    image.putpalette([v for i in range(4) for v in (60 * i, 10, 20)])
    image.save(tmp_path / "a.png", transparency=b"\xff\x80\x00\xff")
    run(tmp_path / "a.png", scale="2", classes="expand")
    with rasters.opened(tmp_path / "out.tif") as dataset:
        assert [c.name for c in dataset.colorinterp] == [*RGB, "alpha"]
        alpha = dataset.read(4)
    assert (alpha[13:17] == 0).all()
    assert (alpha[:5] == 255).all()


def test_classes_keep_values_and_colours(tmp_path: Path, run: Run) -> None:
    path, pixels, _ = palette(tmp_path / "a.tif")
    run(path, classes="nearest")
    np.testing.assert_array_equal(rasters.read(tmp_path / "out.tif"), nearest(pixels))
    with rasters.opened(path) as source, rasters.opened(tmp_path / "out.tif") as dataset:
        assert dataset.colormap(1) == source.colormap(1)


def named_classes(path: Path, bands: int = 1) -> Path:
    """Write classes whose last band has category names in a sidecar file."""
    rasters.write(path, textured(1, bands, 20, 22) // 90, photometric="MINISBLACK")
    path.with_name(f"{path.name}.aux.xml").write_text(
        f'<PAMDataset><PAMRasterBand band="{bands}"><CategoryNames><Category>ice</Category>'
        "</CategoryNames></PAMRasterBand></PAMDataset>"
    )
    return path


def test_names_of_classes_are_kept_or_noted(tmp_path: Path, tiny: str) -> None:
    source = named_classes(tmp_path / "a.tif", bands=2)
    options = Options(model=tiny, steps=0, scale="2")
    plan = engine.plan(source, tmp_path / "out.tif", options)
    assert ["category names" in note for note in plan.notes()] == [True]
    assert "band 2 fit" in plan.notes()[0]
    assert not any(band.classes for band in plan.target().source.bands)
    chosen = replace(options, nearest=(2,), bidx=(2, 1))
    plan = engine.plan(source, tmp_path / "out.tif", chosen)
    assert not plan.notes()
    assert ["ice" in band.classes for band in plan.target().source.bands] == [True, False]
    assert not any(band.classes for band in plan.std_target().source.bands)


def test_a_cog_notes_that_white_was_the_smallest_value(tmp_path: Path, tiny: str) -> None:
    source = rasters.write(tmp_path / "a.tif", textured(1, 1, 20, 22), photometric="MINISWHITE")
    forms: tuple[tuple[Literal["cog", "gtiff"], bool], ...] = (("cog", True), ("gtiff", False))
    for form, noted in forms:
        options = Options(model=tiny, steps=0, scale="2", format=form)
        notes = engine.plan(source, tmp_path / "out.tif", options).notes()
        assert any("MINISWHITE" in note for note in notes) == noted


@pytest.mark.parametrize("form", ["cog", "gtiff"])
def test_colours_beyond_red_green_and_blue_are_kept(tmp_path: Path, run: Run, form: str) -> None:
    colours = ("red", "nir", "rededge", "pan", "swir")
    run(rasters.write(tmp_path / "a.tif", textured(1, 5, 20, 22), colours=colours), format=form)
    with rasters.opened(tmp_path / "out.tif") as dataset:
        assert tuple(c.name for c in dataset.colorinterp) == colours


def test_statistics_of_the_source_are_left_out(tmp_path: Path, run: Run) -> None:
    source = rasters.write(tmp_path / "a.tif", textured(1, 1, 20, 22))
    with rasters.opened(source, "r+") as dataset:
        dataset.update_tags(1, STATISTICS_MEAN="3", STATISTICS_VALID_PERCENT="4", KEPT="5")
    run(source)
    with rasters.opened(tmp_path / "out.tif") as dataset:
        assert dataset.tags(1) == {"KEPT": "5"}


@pytest.mark.parametrize("kind", ["CInt16", "CInt32", "CFloat32", "CFloat64"])
@pytest.mark.parametrize("nodata", ["", "<NoDataValue>0</NoDataValue>"])
def test_complex_numbers_are_refused(tmp_path: Path, run: Run, kind: str, nodata: str) -> None:
    file = rasters.write(tmp_path / "a.tif", textured(1, 1, 20, 22))
    source = virtual(tmp_path / "a.vrt", (kind, file, nodata))
    with pytest.raises(InputError, match=r"has dtype complex.*take the amplitude first"):
        run(source)
    with pytest.raises(InputError, match="take the amplitude first"):
        verify(str(file), source)
    refusal = survey(str(source)).refusal
    assert refusal is not None
    assert "take the amplitude first" in refusal


def test_one_bit_stays_one_bit(tmp_path: Path, run: Run, gdal_tools: Path) -> None:
    pixels = (textured(1, 1, 20, 22) > 128).astype(np.uint8)
    run(rasters.write(tmp_path / "a.tif", pixels, nbits=1), classes="nearest")
    np.testing.assert_array_equal(rasters.read(tmp_path / "out.tif"), nearest(pixels))
    [band] = rasters.gdalinfo(gdal_tools, tmp_path / "out.tif")["bands"]
    assert band["metadata"]["IMAGE_STRUCTURE"]["NBITS"] == "1"


# Several sources


def test_sources_are_stacked(tmp_path: Path, run: Run) -> None:
    pixels = textured(1, 3, 20, 22, dtype="uint16", high=3000)
    parts = []
    for i in range(3):
        path = rasters.write(tmp_path / f"B{i + 2}.tif", pixels[[i]], tags={"SCENE": "x"})
        with rasters.opened(path, "r+") as dataset:
            dataset.update_tags(BAND=str(i + 2))
        parts.append(path)
    with rasters.opened(parts[1], "r+") as dataset:
        dataset.set_band_description(1, "green")
    stack = rasters.write(tmp_path / "stack.tif", pixels)
    run(parts, value_range=(0, 3000))
    run(stack, "stack-out.tif", value_range=(0, 3000))
    out, expected = (rasters.read(tmp_path / n) for n in ("out.tif", "stack-out.tif"))
    np.testing.assert_array_equal(out, expected)
    with rasters.opened(tmp_path / "out.tif") as dataset:
        assert dataset.descriptions == ("B2", "green", "B4")
        assert dataset.tags()["SCENE"] == "x"
        assert [dataset.tags(i)["BAND"] for i in (1, 2, 3)] == ["2", "3", "4"]


def test_sources_on_different_grids_or_dtypes_are_refused(tmp_path: Path, run: Run) -> None:
    first = rasters.write(tmp_path / "a.tif", textured(1, 1, 20, 22))
    for name, message, pixels, profile in (
        (
            "moved",
            "on another grid",
            textured(1, 1, 20, 22),
            {"transform": NORTH_UP @ Affine.translation(0.5, 0)},
        ),
        ("larger", "on another grid", textured(1, 1, 21, 22), {}),
        ("elsewhere", "on another grid", textured(1, 1, 20, 22), {"crs": "EPSG:32632"}),
        ("deeper", "dtype uint16", textured(1, 1, 20, 22, dtype="uint16"), {}),
    ):
        other = rasters.write(tmp_path / f"{name}.tif", pixels, **profile)
        with pytest.raises(InputError, match=f"{name}.*{message}.*rs-sr batch upscales each"):
            run([first, other])
    with pytest.raises(InputError, match="is the source"):
        run([first, first], "a.tif", overwrite=True)


# Metadata


@pytest.mark.parametrize("file_format", ["cog", "gtiff"])
def test_tags_of_all_domains_are_kept(tmp_path: Path, run: Run, file_format: str) -> None:
    source = rasters.write(tmp_path / "a.tif", textured(1, 2, 20, 22), tags={"A": "1"})
    document = "<mine><a b='2'/></mine>"
    with rasters.opened(source, "r+") as dataset:
        dataset.update_tags(ns="MINE", B="2")
        dataset.update_tags(2, ns="THEIRS", C="3")
        key, _, rest = document.partition("=")
        dataset.update_tags(ns="xml:MINE", **{key: rest})
    plan = run(source, format=file_format)
    assert plan.notes() == []
    with rasters.opened(tmp_path / "out.tif") as dataset:
        assert dataset.tags()["A"] == "1"
        assert dataset.tags(ns="MINE") == {"B": "2"}
        assert dataset.tags(2, ns="THEIRS") == {"C": "3"}
        kept = dataset.tags(ns="xml:MINE")["xml:MINE"]
        assert canonicalize(kept, strip_text=True) == canonicalize(document)
        assert kept == document or file_format == "cog"
    with rasters.opened(source, "r+") as dataset:
        dataset.update_tags(1, D="4")
    plan = run(source, format=file_format, overwrite=True)
    assert len(plan.notes()) == (1 if file_format == "cog" else 0)
    with rasters.opened(tmp_path / "out.tif") as dataset:
        assert dataset.tags(1) == {"D": "4"}
        assert dataset.tags(ns="MINE") == ({} if file_format == "cog" else {"B": "2"})


def test_a_colour_profile_is_kept(tmp_path: Path, run: Run) -> None:
    source = rasters.write(
        tmp_path / "a.tif", textured(1, 3, 20, 22), colours=RGB, source_icc_profile="AAACoGxjbXM="
    )
    run(source)
    with rasters.opened(source) as before, rasters.opened(tmp_path / "out.tif") as dataset:
        profile = before.tags(ns="COLOR_PROFILE")
        assert profile["SOURCE_ICC_PROFILE"] == "AAACoGxjbXM="
        assert dataset.tags(ns="COLOR_PROFILE") == profile


# Layouts of a file

LAYOUTS: dict[str, dict[str, Any]] = {
    "striped": {"blockysize": 3},
    "tiled": {"tiled": True, "blockxsize": 16, "blockysize": 16},
    "planar": {"interleave": "band"},
    "lzw": {"compress": "lzw", "predictor": 2},
    "deflate": {"compress": "deflate"},
    "zstd": {"compress": "zstd"},
    "packbits": {"compress": "packbits"},
    "lerc": {"compress": "lerc"},
    "lzma": {"compress": "lzma"},
    "webp": {"compress": "webp", "webp_lossless": True},
    "big endian": {"endianness": "big"},
    "bigtiff": {"bigtiff": "yes"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_of_the_file_does_not_matter(tmp_path: Path, run: Run, layout: str) -> None:
    pixels = textured(1, 3, 20, 22)
    run(rasters.write(tmp_path / "plain.tif", pixels, colours=RGB), "one.tif")
    run(rasters.write(tmp_path / "a.tif", pixels, colours=RGB, **LAYOUTS[layout]), "other.tif")
    one, other = (rasters.read(tmp_path / n) for n in ("one.tif", "other.tif"))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 40), (1, 40, 1), (1, 30, 3), (60, 4, 5)])
def test_narrow_and_tiny_rasters(tmp_path: Path, run: Run, shape: tuple[int, int, int]) -> None:
    pixels = textured(1, *shape) if np.prod(shape) > 1 else np.full(shape, 77, dtype=np.uint8)
    run(rasters.write(tmp_path / "a.tif", pixels))
    out = rasters.read(tmp_path / "out.tif")
    assert out.shape == nearest(pixels).shape
    assert rasters.masks(tmp_path / "out.tif").all()


def test_a_world_file_places_the_result(tmp_path: Path, run: Run) -> None:
    source = rasters.write(tmp_path / "a.tif", textured(1, 1, 20, 22), transform=None, crs=None)
    (tmp_path / "a.tfw").write_text("10\n0\n0\n-10\n500005\n5399995\n")
    run(source)
    transform = rasters.transform_of(tmp_path / "out.tif")
    assert transform.almost_equals(NORTH_UP @ Affine.scale(0.4), 1e-9)


def test_a_note_lists_pages_that_are_not_read(tmp_path: Path, run: Run) -> None:
    source = rasters.write(tmp_path / "a.tif", textured(1, 1, 20, 22))
    with rasters.opened(
        source, "w", driver="GTiff", height=20, width=22, count=1, dtype="uint8"
    ) as dataset:
        dataset.write(textured(1, 1, 20, 22))
    with rasters.opened(
        source,
        "w",
        driver="GTiff",
        height=9,
        width=9,
        count=1,
        dtype="uint8",
        append_subdataset=True,
    ) as dataset:
        dataset.write(textured(2, 1, 9, 9))
    [note] = run(source).notes()
    assert "GTIFF_DIR:2:" in note
    assert rasters.read(tmp_path / "out.tif").shape == (1, 50, 55)
    run(f"GTIFF_DIR:2:{source}", "second.tif")
    assert rasters.read(tmp_path / "second.tif").shape == (1, 23, 23)
    with pytest.raises(InputError, match="is the source"):
        run(f"GTIFF_DIR:2:{source}", "a.tif", overwrite=True)


# Archives and addresses


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder, and its address on a server; in another process, because GDAL holds the GIL."""
    folder = tmp_path_factory.mktemp("served")
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    port = server.stdout.readline().split("port ")[1].split()[0]
    yield folder, f"http://127.0.0.1:{port}"
    server.kill()
    server.wait()
    server.stdout.close()


def test_archives_and_addresses(tmp_path: Path, run: Run, served: tuple[Path, str]) -> None:
    folder, address = served
    source = rasters.write(folder / "a.tif", textured(1, 1, 20, 22))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(source, "in/a b.tif")
    run(source, "plain.tif")
    for i, name in enumerate(
        (f"{address}/a.tif", f"/vsicurl/{address}/a.tif", f"/vsizip/{tmp_path}/a.zip/in/a b.tif")
    ):
        plan = run(name, f"{i}.tif")
        assert plan.sources == (name,)
        out, expected = (rasters.read(tmp_path / n) for n in (f"{i}.tif", "plain.tif"))
        np.testing.assert_array_equal(out, expected)


def test_sources_that_cannot_be_reached_are_refused(
    tmp_path: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDAL_HTTP_LOW_SPEED_TIME", "1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "no raster")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        for name in (
            f"http://127.0.0.1:{silent.getsockname()[1]}/a.tif",
            f"{served[1]}/none.tif",
            "https://localhost:1/a.tif",
            "s3://no-such-bucket-of-ours/a.tif",
            str(tmp_path / "a.zip"),
        ):
            with pytest.raises(RasterError, match="cannot open") as caught:
                open_source(name)
            assert "\n" not in str(caught.value)
            assert name in str(caught.value)


# Results that cannot be written


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("s3://bucket/out.tif", "not a local file"),
        ("s3:/bucket/out.tif", "not a local file"),
        ("/vsis3/bucket/out.tif", "not a local file"),
        ("https://host/out.tif", "not a local file"),
        ("/vsimem/out.tif", "not a local file"),
        ("out.jp2", r"ends in .tif, .*: a GeoTIFF is written, gdal_translate"),
        ("out.png", "a GeoTIFF is written"),
        ("out", "a GeoTIFF is written"),
    ],
)
def test_results_other_than_local_geotiffs_are_refused(
    tmp_path: Path, tiny: str, out: str, message: str
) -> None:
    source = rasters.write(tmp_path / "a.tif", textured(1, 1, 20, 22))
    name = out if "/" in out else str(tmp_path / out)
    with pytest.raises(InputError, match=message):
        engine.plan(source, name, Options(scale=2, model=tiny))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["COMPRESS=NONSENSE"], "'NONSENSE' is an unexpected value for COMPRESS"),
        (["NO_SUCH=1"], "does not support creation option NO_SUCH"),
        (["COMPRESS"], r"\['COMPRESS'\], expected texts KEY=VALUE"),
        (["BLOCKSIZE=abc"], "'BLOCKSIZE=abc', expected a multiple of 16"),
        (["BLOCKSIZE=16000000"], "expected a multiple of 16 up to 8192"),
        (["blocksize=100"], "expected a multiple of 16"),
        (["TARGET_SRS=EPSG:4326"], "onto another grid; upscale first, then use gdalwarp"),
        (["COMPRESS=JPEG"], "COG cannot hold this raster with .*COMPRESS=JPEG.*change creation="),
    ],
)
def test_creation_options_are_checked_before_the_run(
    tmp_path: Path, tiny: str, options: list[str], message: str
) -> None:
    pixels = textured(1, 1, 20, 22, dtype="float32")
    source = rasters.write(tmp_path / "a.tif", pixels, crs=UTM)
    with pytest.raises(InputError, match=message) as caught:
        engine.plan(
            source, tmp_path / "out.tif", Options(scale=2, model=tiny, steps=0, creation=options)
        )
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


def test_a_result_that_is_too_large_is_refused(tmp_path: Path, tiny: str) -> None:
    source = rasters.write(tmp_path / "a.tif", textured(1, 1, 400, 400))
    with pytest.raises(RasterError, match=r"GB of disk in .* are free; use bounds="):
        engine.plan(source, tmp_path / "out.tif", Options(scale="40000", model=tiny, steps=0))
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]
    with pytest.raises(InputError, match="which no raster file holds"):
        engine.plan(source, tmp_path / "out.tif", Options(scale="1e8", model=tiny, steps=0))


# Transparency


def orthophoto(path: Path, hidden: int, driver: str = "GTiff", bands: int = 3) -> Path:
    """Write bright colours, 150 to 190, that end along a slanted edge, ``hidden`` beyond it."""
    rows, columns = np.mgrid[:60, :70]
    pixels = textured(2, bands, 60, 70) // 7 + 150
    pixels[:, columns + 0.6 * rows <= 50] = hidden
    alpha = np.where(columns + 0.6 * rows > 50, 255, 0).astype(np.uint8)
    pixels = np.concatenate((pixels, alpha[None]))
    colours = (*RGB, "undefined", "undefined")[:bands] if bands > 1 else ("gray",)
    tiff = rasters.write(path.with_suffix(".tif"), pixels, colours=(*colours, "alpha"))
    if driver != "GTiff":
        lossless = {"WEBP": {"LOSSLESS": "YES"}, "MBTiles": {"TILE_FORMAT": "PNG"}}
        rasterio.shutil.copy(tiff, path, driver=driver, **lossless.get(driver, {}))
    return path


def check_edge(source: Path, out: Path) -> None:
    """Check that no visible pixel has a foreign colour, and that ``rs-sr verify`` agrees."""
    *colours, alpha = rasters.read(out)
    visible = np.stack(colours)[:, alpha > 0]
    assert visible.min() > 145
    assert visible.max() < 195
    assert not verify(str(out), source).failed


@pytest.mark.parametrize("hidden", [0, 255])
@pytest.mark.parametrize(
    ("driver", "suffix", "bands"),
    [
        ("GTiff", "tif", 3),
        ("GTiff", "tif", 1),
        ("GTiff", "tif", 5),
        ("PNG", "png", 3),
        ("GPKG", "gpkg", 3),
        ("WEBP", "webp", 3),
        ("VRT", "vrt", 3),
    ],
)
def test_colours_under_full_transparency_leave_no_rim(
    tmp_path: Path, run: Run, driver: str, suffix: str, bands: int, hidden: int
) -> None:
    source = orthophoto(tmp_path / f"a.{suffix}", hidden, driver, bands)
    run(source)
    check_edge(source, tmp_path / "out.tif")


def test_tiles_of_a_web_map_leave_no_rim(tmp_path: Path, run: Run) -> None:
    run(orthophoto(tmp_path / "a.mbtiles", 0, "MBTiles"))
    *colours, alpha = rasters.read(tmp_path / "out.tif")
    visible = np.stack(colours)[:, alpha > 0]
    assert visible.min() > 145
    assert visible.max() < 195


def test_transparency_without_its_alpha_band_becomes_a_mask(tmp_path: Path, run: Run) -> None:
    source = orthophoto(tmp_path / "a.tif", 0)
    run(source, bidx=(3, 1))
    valid = rasters.masks(tmp_path / "out.tif")
    shown = nearest(rasters.read(source)[3:] > 0)
    np.testing.assert_array_equal(valid, np.repeat(shown, 2, axis=0))
    assert (rasters.read(tmp_path / "out.tif")[valid] > 145).all()
    assert not verify(str(tmp_path / "out.tif"), source, bidx=(3, 1)).failed


def test_alpha_and_nodata_hide_pixels_together(tmp_path: Path, run: Run) -> None:
    source = orthophoto(tmp_path / "a.tif", 255)
    with rasters.opened(source, "r+") as dataset:
        pixels = dataset.read()
        pixels[:3, 40:50, 50:60] = 7
        dataset.write(pixels)
        dataset.nodata = 7
    run(source)
    out = rasters.read(tmp_path / "out.tif")
    hole = np.repeat(nearest(pixels == 7), 1, axis=0)
    np.testing.assert_array_equal(out == 7, hole | ((out == 7) & (out[3] == 0)))
    shown = out[:3][(out[:3] != 7) & (out[3] > 0)]
    assert shown.min() > 145
    assert shown.max() < 195


def test_each_stacked_file_is_under_its_own_alpha(tmp_path: Path, run: Run) -> None:
    source = orthophoto(tmp_path / "a.tif", 0)
    plain = textured(9, 1, 60, 70)
    grey = rasters.write(tmp_path / "b.tif", plain)
    run([source, grey], out="both.tif")
    run(grey, out="one.tif")
    run(source, out="other.tif")
    both = rasters.read(tmp_path / "both.tif")
    np.testing.assert_array_equal(both[4:], rasters.read(tmp_path / "one.tif"))
    np.testing.assert_array_equal(both[:4], rasters.read(tmp_path / "other.tif"))
