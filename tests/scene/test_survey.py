"""The report on a raster agrees with gdalinfo, and says what a run would do."""

from __future__ import annotations

import contextlib
import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from rs_superres.errors import InputError, RasterError, SuperResError
from rs_superres.scene.survey import survey
from tests import rasters
from tests.rasters import NORTH_UP, RGB, textured

TRANSFORMS = {
    "north up": NORTH_UP,
    "turned": NORTH_UP @ Affine.rotation(33),
    "sheared": NORTH_UP @ Affine.shear(15, 5),
    "south up": Affine(10.0, 0.0, 500_000.0, 0.0, 10.0, 5_300_000.0),
}

NAMES, KINDS = ("height", "lat", "long", "line", "samp"), ("off", "scale")
COEFFICIENTS = ("line_num_coeff", "line_den_coeff", "samp_num_coeff", "samp_den_coeff")


def facts(path: Path) -> dict[str, Any]:
    """The facts about a file, after a round trip through JSON."""
    values: dict[str, Any] = json.loads(json.dumps(survey(str(path)).facts(), allow_nan=False))
    return values


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_the_grid_is_that_of_gdalinfo(tmp_path: Path, gdal_tools: Path, kind: str) -> None:
    path = rasters.write(tmp_path / "a.tif", textured(1, 3, 20, 30), transform=TRANSFORMS[kind])
    report, expected = facts(path), rasters.gdalinfo(gdal_tools, path)
    assert (report["driver"], report["size"]) == (expected["driverShortName"], expected["size"])
    grid = report["grid"]
    for name, theirs in (
        ("upper_left", "upperLeft"),
        ("upper_right", "upperRight"),
        ("lower_right", "lowerRight"),
        ("lower_left", "lowerLeft"),
    ):
        corner = expected["cornerCoordinates"][theirs]
        assert grid["corners"][name] == pytest.approx(corner, abs=1e-3)
    assert (grid["crs"], grid["crs_code"]) == ("WGS 84 / UTM zone 33N", "EPSG:32633")
    assert grid["unit"] == "metre"
    assert grid["south_up"] == (kind == "south up")
    assert grid["sheared"] == (kind == "sheared")
    if kind == "turned":
        assert abs(grid["rotation"]) == pytest.approx(33)
    if kind == "north up":
        assert grid["pixel_size"] == [10, 10]
        assert grid["rotation"] == 0


def test_a_raster_without_georeference(tmp_path: Path) -> None:
    report = facts(
        rasters.write(tmp_path / "a.tif", textured(1, 1, 20, 30), transform=None, crs=None)
    )
    assert set(report["grid"].values()) == {None}
    assert report["options"] == ["scale=", "bounds="]


def test_control_points_and_rational_polynomials_are_reported(tmp_path: Path) -> None:
    path = rasters.write(
        tmp_path / "a.tif",
        textured(1, 1, 20, 30),
        transform=None,
        crs="EPSG:4326",
        gcps=[GroundControlPoint(r, c, c, r) for r, c in ((0, 0), (0, 9), (9, 0), (9, 9))],
    )
    with rasters.opened(path, "r+") as dataset:
        ones = [1.0] * 20
        numbers = dict.fromkeys((f"{name}_{kind}" for name in NAMES for kind in KINDS), 1.0)
        dataset.rpcs = RPC(**numbers, **dict.fromkeys(COEFFICIENTS, ones))
    report = facts(path)
    assert (report["control_points"], report["control_crs"]) == (4, "WGS 84")
    assert report["rational_polynomials"]


def test_bands_and_their_roles_are_reported(tmp_path: Path) -> None:
    path = rasters.write(
        tmp_path / "a.tif", textured(1, 5, 20, 30), colours=(*RGB, "undefined", "alpha")
    )
    with rasters.opened(path, "r+") as dataset:
        dataset.set_band_description(4, "near infrared")
        dataset.set_band_unit(4, "reflectance")
        dataset.scales = (1, 1, 1, 0.5, 1)
        dataset.offsets = (0, 0, 0, -3, 0)
    report = facts(path)
    assert [b["network"] for b in report["bands"]] == [*["jointly"] * 3, "singly", "alpha"]
    fourth = report["bands"][3]
    assert (fourth["description"], fourth["unit"]) == ("near infrared", "reflectance")
    assert (fourth["scale"], fourth["offset"], fourth["dtype"]) == (0.5, -3, "uint8")
    assert [g["bands"] for g in report["groups"]] == [[1, 2, 3], [4]]
    assert report["groups"][0]["value_range"] == [0, 255]
    assert report["groups"][0]["rule"] == "all values of uint8"
    assert report["refused"] is None


def test_the_value_range_is_that_of_a_run(tmp_path: Path) -> None:
    pixels = textured(1, 1, 40, 40, dtype="uint16", high=3000)
    [group] = facts(rasters.write(tmp_path / "a.tif", pixels))["groups"]
    assert group["value_range"] == pytest.approx(list(np.percentile(pixels, (0.5, 99.5))))
    assert group["rule"] == "percentiles 0.5 and 99.5 of sampled windows"


def test_masks_are_described_in_words(tmp_path: Path) -> None:
    pixels = textured(1, 1, 20, 30)
    files = {
        "none": rasters.write(tmp_path / "a.tif", pixels),
        "nodata value 7": rasters.write(tmp_path / "b.tif", pixels, nodata=7),
        "one mask for all bands, in the file or in a .msk file": rasters.write(
            tmp_path / "c.tif", pixels, mask=pixels[0] > 9
        ),
        "nodata value nan; NaN and infinite values": rasters.write(
            tmp_path / "d.tif", pixels.astype(np.float32), nodata=math.nan
        ),
        "NaN and infinite values": rasters.write(tmp_path / "f.tif", pixels.astype(np.float32)),
        "none but the alpha band": rasters.write(
            tmp_path / "e.tif", np.repeat(pixels, 2, axis=0), colours=("gray", "alpha")
        ),
    }
    for words, path in files.items():
        assert facts(path)["bands"][0]["mask"] == words
    assert facts(tmp_path / "d.tif")["bands"][0]["nodata"] == "nan"


def test_refused_files_are_described(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "a.tif", textured(1, 1, 20, 30).astype(np.complex64))
    report = facts(path)
    assert "has dtype complex64, supported are" in report["refused"]
    assert (report["size"], report["groups"]) == ([30, 20], [])
    assert report["bands"][0]["network"] is None


def test_what_is_no_raster_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory"):
        survey(str(tmp_path))
    with pytest.raises(RasterError, match="cannot open"):
        survey(str(tmp_path / "none.tif"))


@pytest.mark.full
def test_every_scene_is_described_or_refused(shared: Path) -> None:
    scenes = shared / "data" / "scenes"
    with (scenes / "INDEX.tsv").open(encoding="utf-8") as index:
        paths = [scenes / row[0] for row in csv.reader(index, delimiter="\t") if row]
    described = 0
    for path in paths:
        with contextlib.suppress(SuperResError):
            described += "driver" in facts(path)
    assert described > len(paths) * 0.8


def test_a_real_stack_is_known_by_the_names_of_its_bands(shared: Path) -> None:
    scenes = shared / "data" / "scenes"
    report = facts(scenes / "sen1floods11" / "Spain_7370579_S2Hand.tif")
    assert report["groups"][0]["bands"] == [4, 3, 2]
    [hint] = report["hints"]
    assert hint.startswith("bands 4,3,2 are named B4, B3 and B2, the red, green and blue of senti")
    unnamed = facts(scenes / "solaris" / "ms1.tif")
    assert [group["bands"] for group in unnamed["groups"]] == [[1], [2], [3], [4]]
    [hint] = unnamed["hints"]
    assert hint.startswith("the 4 bands have no names or colours; ")
