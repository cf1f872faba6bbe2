"""Runs from file to file, checked by rasterio and GDAL's gdalinfo instead of our reader."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio.shutil
import shapely
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import MaskFlags
from rio_cogeo.cogeo import cog_validate
from shapely.geometry import mapping

from rs_superres import engine
from rs_superres.config import TileConfig
from rs_superres.engine import Options, Plan
from rs_superres.engine.store import opened_store, scratch_of
from rs_superres.errors import InputError, RasterError, SuperResError
from rs_superres.raster import open_source
from rs_superres.scene.inference import Inference
from rs_superres.verify import verify
from tests import models, rasters
from tests.located import Bilinear, Counted, StoppedError, coordinates, expected
from tests.rasters import NORTH_UP, RGB, Array, textured

Make = Callable[..., Plan]

TURNED = NORTH_UP @ Affine.rotation(33)
SHEARED = NORTH_UP @ Affine.shear(15, 5)
SOUTH_UP = Affine(10.0, 0.0, 500_000.0, 0.0, 10.0, 5_300_000.0)
PLACES = {"north up": NORTH_UP, "south up": SOUTH_UP, "turned": TURNED, "sheared": SHEARED}


def with_inference(plan: Plan, inference: Inference) -> Plan:
    # Only a real network says how far outside a cell its output is valid.
    consistency = plan.recipe.consistency and bool(inference.valid_margin)
    recipe = replace(plan.recipe, inference=inference, consistency=consistency)
    return replace(plan, pixels=replace(plan.pixels, recipe=recipe))


# The located image: the value of each pixel is its own coordinate


def located(path: Path, dtype: str, transform: Affine) -> Path:
    values = coordinates(23, 29)
    pixels = (1000 * values).astype(dtype) if dtype == "uint16" else values.astype(dtype)
    return rasters.write(path, pixels, transform=transform)


def assert_located(out: Path, source: Affine, dtype: str) -> None:
    """Each valid pixel's value is the source pixel coordinate of its centre."""
    pixels, valid = rasters.read(out).astype(np.float64), rasters.masks(out)
    assert valid.any()
    rows, columns = np.mgrid[: pixels.shape[1], : pixels.shape[2]] + 0.5
    between = ~source @ rasters.transform_of(out)
    across = between.a * columns + between.b * rows + between.c
    down = between.d * columns + between.e * rows + between.f
    expected_values = np.stack((across.clip(0.5, 28.5), down.clip(0.5, 22.5)))
    unit, tolerance = (1000, 0.55) if dtype == "uint16" else (1, 2e-5)
    np.testing.assert_allclose(pixels[valid], unit * expected_values[valid], rtol=0, atol=tolerance)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("dtype", ["float32", "uint16"])
@pytest.mark.parametrize("scale", ["2", "3.5", "6.3"])
def test_located_by_scale(tmp_path: Path, make: Make, place: str, dtype: str, scale: str) -> None:
    source = located(tmp_path / "a.tif", dtype, PLACES[place])
    margin = 8 if dtype == "uint16" else 0
    plan = make(source, scale=scale, value_range=(0, 30_000 if dtype == "uint16" else 30))
    engine.run(with_inference(plan, Bilinear(halo=2, margin=margin)))
    assert_located(plan.out, PLACES[place], dtype)
    assert rasters.masks(plan.out).all()


@pytest.mark.parametrize("place", PLACES)
def test_located_by_resolution(tmp_path: Path, make: Make, place: str) -> None:
    source = located(tmp_path / "a.tif", "float32", PLACES[place])
    plan = make(source, resolution=(3.1, 4.7), value_range=(0, 30))
    engine.run(with_inference(plan, Bilinear()))
    assert_located(plan.out, PLACES[place], "float32")
    assert rasters.masks(plan.out).all()
    transform, was = rasters.transform_of(plan.out), PLACES[place]
    assert (transform.c, transform.f) == (was.c, was.f)
    if place in {"north up", "south up"}:
        assert (transform.a, abs(transform.e), transform.b, transform.d) == (3.1, 4.7, 0, 0)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("offset", [(3.3, 5.4), (-4.2, -2.7), (11.0, -6.5)])
def test_located_by_like(
    tmp_path: Path, make: Make, place: str, offset: tuple[float, float]
) -> None:
    source = located(tmp_path / "a.tif", "float32", PLACES[place])
    theirs = PLACES[place] @ Affine.translation(*offset) @ Affine.scale(0.37, 0.61)
    like = rasters.write(
        tmp_path / "like.tif", np.zeros((1, 52, 90), dtype=np.uint8), transform=theirs
    )
    plan = make(source, like=like, value_range=(0, 30))
    engine.run(with_inference(plan, Bilinear(margin=8)))
    assert rasters.transform_of(plan.out).almost_equals(theirs, 1e-9)
    assert rasters.read(plan.out).shape == (2, 52, 90)
    assert_located(plan.out, PLACES[place], "float32")
    rows, columns = np.mgrid[:52, :90] + 0.5
    x, y = offset[0] + 0.37 * columns, offset[1] + 0.61 * rows
    inside = (x >= 0) & (x < 29) & (y >= 0) & (y < 23)
    np.testing.assert_array_equal(rasters.masks(plan.out)[0], inside)


def test_like_masks_integers_outside_the_source(tmp_path: Path, make: Make, scene: Path) -> None:
    theirs = NORTH_UP @ Affine.translation(-5, 0) @ Affine.scale(0.5, 0.5)
    like = rasters.write(
        tmp_path / "like.tif", np.zeros((1, 60, 40), dtype=np.uint8), transform=theirs
    )
    plan = make(scene, like=like)
    engine.run(plan)
    masks = rasters.masks(plan.out)
    assert not masks[:, :, :10].any()
    assert masks[:, :, 10:].all()
    assert rasters.read(plan.out)[:, :, 10:].min() >= 0


@pytest.mark.parametrize("place", ["north up", "south up", "turned"])
def test_located_by_bounds(tmp_path: Path, make: Make, place: str) -> None:
    source = located(tmp_path / "a.tif", "float32", PLACES[place])
    x, y = PLACES[place] @ (12.3, 9.8)
    plan = make(source, scale="3.5", value_range=(0, 30), bounds=(x - 41, y - 33, x + 38, y + 47))
    engine.run(with_inference(plan, Bilinear()))
    assert_located(plan.out, PLACES[place], "float32")
    with rasters.opened(plan.out) as dataset:
        corners = [
            dataset.transform @ (column, row)
            for column in (0, dataset.width)
            for row in (0, dataset.height)
        ]
    (left, right), (bottom, top) = ((min(v), max(v)) for v in zip(*corners, strict=True))
    # Outward, and by less than a pixel where the grid is not turned.
    beyond = x - 41 - left, y - 33 - bottom, right - x - 38, top - y - 47
    assert min(beyond) >= 0
    assert place == "turned" or max(beyond) < 10 / 3.4


def test_the_expected_image_agrees_with_the_grid(tmp_path: Path, make: Make) -> None:
    """The two functions by which the tests compute where a pixel lies agree."""
    source = located(tmp_path / "a.tif", "float32", TURNED)
    plan = make(source, scale="3.5", value_range=(0, 30))
    engine.run(with_inference(plan, Bilinear()))
    np.testing.assert_allclose(rasters.read(plan.out), expected(plan.pixels.zoom), atol=2e-5)


# The same input gives the same bytes


@pytest.mark.parametrize("steps", [0, 2])
def test_the_same_call_gives_the_same_bytes(make: Make, scene: Path, steps: int) -> None:
    plans = [make(scene, out, scale="3", steps=steps) for out in ("one.tif", "two.tif")]
    for plan in plans:
        engine.run(plan)
    assert plans[0].out.read_bytes() == plans[1].out.read_bytes()


def test_the_seed_matters_only_with_steps(make: Make, scene: Path) -> None:
    pixels = {}
    for steps in (0, 1):
        for seed in (0, 1):
            plan = make(scene, f"{steps}{seed}.tif", scale="2", steps=steps, seed=seed)
            engine.run(plan)
            pixels[steps, seed] = rasters.read(plan.out)
    np.testing.assert_array_equal(pixels[0, 0], pixels[0, 1])
    assert (pixels[1, 0] != pixels[1, 1]).any()
    assert (pixels[0, 0] != pixels[1, 0]).any()


def test_values_under_a_mask_do_not_matter(tmp_path: Path, make: Make) -> None:
    """Not even for the value range, which is sampled from the scene."""
    pixels = textured(1, 1, 40, 40, dtype="uint16", high=3000)
    mask = np.ones((40, 40), dtype=np.bool_)
    mask[10:20, 10:30] = False
    results = []
    for i, hidden in enumerate((0, 65_535)):
        pixels[:, ~mask] = hidden
        source = rasters.write(tmp_path / f"{i}.tif", pixels, mask=mask)
        plan = make(source, f"out{i}.tif", scale="2.5", steps=1)
        engine.run(plan)
        results.append(rasters.read(plan.out))
        np.testing.assert_array_equal(
            rasters.masks(plan.out)[0],
            mask[np.ix_(*(((np.arange(100) + 0.5) / 2.5).astype(int),) * 2)],
        )
    np.testing.assert_array_equal(results[0], results[1])


# A result appears complete or not at all


def test_a_run_leaves_nothing_but_its_result(tmp_path: Path, make: Make, scene: Path) -> None:
    calls: list[tuple[int, int]] = []
    plan = make(scene, scale="3")
    assert len(plan.cells) == 9
    report = engine.run(plan, progress=lambda done, total: calls.append((done, total)))
    assert {p.name for p in tmp_path.iterdir()} == {"scene.tif", "out.tif"}
    assert calls == [(i, 9) for i in range(10)]
    assert (report.out, report.cells, report.resumed, report.dropped) == (plan.out, 9, 0, None)
    assert report.seconds > 0


def test_a_run_logs_what_it_does(make: Make, scene: Path, caplog: pytest.LogCaptureFixture) -> None:
    plan = make(scene, scale="3")
    with caplog.at_level(logging.DEBUG, logger="rs_superres"):
        engine.run(plan)
    lines = [record.getMessage() for record in caplog.records]
    expected = [
        rf"upscaling {scene} \(44 x 50, 3 bands of uint8\) by 3 to {plan.out} \(132 x 150\)",
        r"9 cells of 64 x 64, model tiny, 0 steps, fp32 on cpu; cells in .*\.out\.tif\.rs-sr",
        r"0 of 9 cells are finished already",
        r"computing \d+ cells at once; limits: memory \d+, processors \d+ \(one cell took ",
        r"computed 9 cells in \d+\.\d s",
        r"assembled 9 cells, 0 of them blank; residual: RMS ",
        r"assembled the result in \d+\.\d s",
        rf"wrote {plan.out} \(\d+ bytes\)",
    ]
    rest = iter(lines)
    for pattern in expected:
        assert any(re.match(pattern, line) for line in rest), (pattern, lines)
    assert sum(bool(re.match(r"cell at row \d+, column \d+: .* s$", line)) for line in lines) == 9


@pytest.mark.parametrize("steps", [0, 1])
def test_an_interrupted_run_resumes(make: Make, scene: Path, steps: int) -> None:
    full = make(scene, "full.tif", scale="3", steps=steps)
    engine.run(full)
    plan = make(scene, scale="3", steps=steps)
    for limit in (2, 3):
        with pytest.raises(StoppedError):
            engine.run(with_inference(plan, Counted(plan.recipe.inference, limit)))
        assert not plan.out.exists()
        assert plan.scratch.is_dir()
    counted = Counted(plan.recipe.inference)
    report = engine.run(with_inference(plan, counted))
    assert (report.resumed, counted.calls) == (5, 4)
    assert plan.out.read_bytes() == full.out.read_bytes()
    assert not plan.scratch.exists()


def test_an_interrupted_assembly_resumes(
    make: Make, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make(scene, scale="3")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("rs_superres.engine.assembly.finish", full)
        with pytest.raises(RasterError, match="No space left on device; finished cells are kept"):
            engine.run(plan)
    assert not plan.out.exists()
    report = engine.run(with_inference(plan, Counted(plan.recipe.inference, limit=0)))
    assert report.resumed == report.cells == 9


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"seed": 7}, "seed"),
        ({"steps": 2}, "steps"),
        ({"samples": 2}, "samples"),
        ({"consistency": False}, "consistency"),
        ({"value_range": (0, 200)}, "value range"),
        ({"scale": "3.02"}, "grid"),
        ({"bounds": (500_100, 5_399_700, 500_300, 5_399_900)}, "window"),
        ({"precision": "bf16"}, "precision"),
    ],
)
def test_changed_settings_start_over(
    make: Make, scene: Path, options: dict[str, Any], why: str
) -> None:
    first = make(scene, scale="3", steps=1)
    with pytest.raises(StoppedError):
        engine.run(with_inference(first, Counted(first.recipe.inference, 2)))
    plan = make(scene, **{"scale": "3", "steps": 1, **options})
    report = engine.run(plan)
    assert report.resumed == 0
    assert report.dropped is not None
    assert why in report.dropped
    fresh = make(scene, "fresh.tif", **{"scale": "3", "steps": 1, **options})
    engine.run(fresh)
    assert fresh.out.read_bytes() == plan.out.read_bytes()


def test_a_changed_source_starts_over(make: Make, scene: Path) -> None:
    first = make(scene, scale="3")
    with pytest.raises(StoppedError):
        engine.run(with_inference(first, Counted(first.recipe.inference, 2)))
    with rasters.opened(scene, "r+") as dataset:
        dataset.write(255 - dataset.read())
    report = engine.run(make(scene, scale="3"))
    assert (report.resumed, report.dropped) == (0, "its source, source file differed")


def test_a_touched_source_starts_over(make: Make, scene: Path) -> None:
    first = make(scene, scale="3")
    with pytest.raises(StoppedError):
        engine.run(with_inference(first, Counted(first.recipe.inference, 2)))
    os.utime(scene, (1, 1))
    assert engine.run(make(scene, scale="3")).dropped == "its source file differed"


def test_resume_false_starts_over(make: Make, scene: Path) -> None:
    plan = make(scene, scale="3", resume=False)
    with pytest.raises(StoppedError):
        engine.run(with_inference(plan, Counted(plan.recipe.inference, 2)))
    report = engine.run(plan)
    assert (report.resumed, report.dropped) == (0, "resume=False")


def test_a_second_run_of_the_same_result_is_refused(make: Make, scene: Path) -> None:
    plan = make(scene, scale="3")
    with (
        opened_store(plan.scratch),
        pytest.raises(RasterError, match="another run is writing this result"),
    ):
        engine.run(plan)


def test_scratch_in_another_folder(tmp_path: Path, make: Make, scene: Path) -> None:
    plan = make(scene, scale="3", scratch=tmp_path / "work")
    with pytest.raises(StoppedError):
        engine.run(with_inference(plan, Counted(plan.recipe.inference, 2)))
    assert list((tmp_path / "work").iterdir()) == [scratch_of(plan.out, tmp_path / "work")]
    assert engine.run(plan).resumed == 2
    assert list((tmp_path / "work").iterdir()) == []


# What the file declares


def refused(kind: type[SuperResError], message: str, call: Callable[[], object]) -> None:
    with pytest.raises(kind, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file_format", ["cog", "gtiff"])
def test_gdalinfo_reads_a_result(
    tmp_path: Path, make: Make, gdal_tools: Path, file_format: str
) -> None:
    four = np.concatenate((textured(1, 3, 150, 151), np.full((1, 150, 151), 255, dtype=np.uint8)))
    source = rasters.write(
        tmp_path / "a.tif", four, colours=(*RGB, "alpha"), tags={"MISSION": "one"}
    )
    with rasters.opened(source, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.5, 0.25, 1, 1), (0, -3, 0, 0)
        dataset.set_band_description(2, "leaf green")
        dataset.set_band_unit(1, "DN")
        dataset.update_tags(1, WAVELENGTH="665", STATISTICS_MEAN="12.5")
    plan = make(source, scale="3.5", format=file_format)
    engine.run(plan)
    before, after = (rasters.gdalinfo(gdal_tools, p) for p in (source, plan.out))
    assert after["size"] == [529, 525]  # 528.5 rounds up
    assert after["coordinateSystem"]["wkt"] == before["coordinateSystem"]["wkt"]
    for name, corner in before["cornerCoordinates"].items():
        assert after["cornerCoordinates"][name] == pytest.approx(corner, abs=1e-5)
    layout = after["metadata"]["IMAGE_STRUCTURE"].get("LAYOUT")
    assert layout == ("COG" if file_format == "cog" else None)
    bands = after["bands"]
    assert [b["colorInterpretation"] for b in bands] == ["Red", "Green", "Blue", "Alpha"]
    assert [b["type"] for b in bands] == ["Byte"] * 4
    assert [b["block"] for b in bands] == [[512, 512]] * 4
    for band in bands:
        [overview] = band["overviews"]
        assert overview["size"] == pytest.approx([264.5, 262.5], abs=0.5)
    assert (bands[0]["scale"], bands[1]["scale"], bands[1]["offset"]) == (0.5, 0.25, -3)
    assert (bands[1]["description"], bands[0]["unit"]) == ("leaf green", "DN")
    assert bands[0]["metadata"][""] == {"WAVELENGTH": "665"}
    tags = after["metadata"][""]
    assert tags["MISSION"] == "one"
    assert tags.pop("SUPERRES_RESIDUAL").startswith("RMS ")
    assert {k: v for k, v in tags.items() if k.startswith("SUPERRES_")} == plan.tags()


def test_gdalinfo_reads_nodata_and_masks(tmp_path: Path, make: Make, gdal_tools: Path) -> None:
    pixels = textured(1, 1, 20, 20, dtype="int16", high=900)
    pixels[0, 3:6, 4:9] = -9999
    source = rasters.write(tmp_path / "a.tif", pixels, nodata=-9999)
    plan = make(source, scale="2")
    engine.run(plan)
    [band] = rasters.gdalinfo(gdal_tools, plan.out)["bands"]
    assert (band["noDataValue"], band["type"]) == (-9999, "Int16")
    expected_nodata = np.repeat(np.repeat(pixels == -9999, 2, 1), 2, 2)
    np.testing.assert_array_equal(rasters.read(plan.out) == -9999, expected_nodata)
    masked = rasters.write(
        tmp_path / "b.tif", textured(1, 1, 20, 20), mask=np.eye(20, dtype=np.bool_)
    )
    plan = make(masked, "masked.tif", scale="2")
    engine.run(plan)
    [band] = rasters.gdalinfo(gdal_tools, plan.out)["bands"]
    assert band["mask"]["flags"] == ["PER_DATASET"]
    np.testing.assert_array_equal(
        rasters.masks(plan.out)[0], np.kron(np.eye(20), np.ones((2, 2))) > 0
    )


@pytest.mark.parametrize("nodata", [-9999.0, 300.0, math.nan])
def test_a_nodata_value_outside_the_dtype_marks_nothing(
    tmp_path: Path, make: Make, nodata: float
) -> None:
    """Such files exist; all their pixels are valid."""
    source = tmp_path / "a.vrt"
    pixels = rasters.write(tmp_path / "a.tif", textured(1, 1, 20, 20))
    source.write_text(
        '<VRTDataset rasterXSize="20" rasterYSize="20"><VRTRasterBand dataType="Byte" band="1">'
        f"<NoDataValue>{nodata}</NoDataValue><SimpleSource><SourceFilename relativeToVRT='1'>"
        f"{pixels.name}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    plan = make(source, scale="2")
    engine.run(plan)
    assert rasters.masks(plan.out).all()


def test_gdalinfo_reads_control_points(tmp_path: Path, make: Make, gdal_tools: Path) -> None:
    points = [
        GroundControlPoint(row=r, col=c, x=10 + 0.01 * c, y=50 - 0.01 * r, z=0)
        for r, c in ((0, 0), (0, 30), (20, 0), (20, 30))
    ]
    source = rasters.write(
        tmp_path / "a.tif", textured(1, 1, 20, 30), transform=None, gcps=points, crs="EPSG:4326"
    )
    plan = make(source, scale="3.5")
    engine.run(plan)
    listed = rasters.gdalinfo(gdal_tools, plan.out)["gcps"]
    assert "4326" in listed["coordinateSystem"]["wkt"]
    points_found = sorted((p["pixel"], p["line"], p["x"], p["y"]) for p in listed["gcpList"])
    points_expected = sorted((p.col * 3.5, p.row * 3.5, p.x, p.y) for p in points)
    np.testing.assert_allclose(points_found, points_expected, atol=1e-6)


GEOID = CRS.from_user_input("EPSG:32633+5773")
ELLIPSOIDAL_HEIGHT = CRS.from_wkt(
    'PROJCRS["UTM 33N with height",BASEGEOGCRS["WGS 84",DATUM["World Geodetic System 1984",'
    'ELLIPSOID["WGS 84",6378137,298.257223563]]],CONVERSION["UTM zone 33N",'
    'METHOD["Transverse Mercator"],PARAMETER["Latitude of natural origin",0],'
    'PARAMETER["Longitude of natural origin",15],PARAMETER["Scale factor at natural origin",'
    '0.9996],PARAMETER["False easting",500000],PARAMETER["False northing",0]],CS[Cartesian,3],'
    'AXIS["(E)",east],AXIS["(N)",north],AXIS["h",up],LENGTHUNIT["metre",1]]'
)
ROTATED_POLE = "+proj=ob_tran +o_proj=longlat +o_lon_p=-162 +o_lat_p=39.25 +lon_0=180"
SITE = CRS.from_wkt(
    'ENGCRS["site",EDATUM["corner stone"],CS[Cartesian,2],AXIS["x",southWest],'
    'AXIS["y",southEast],LENGTHUNIT["metre",1]]'
)
REFERENCE_SYSTEMS = {
    "projected": ("EPSG:32633", None, False),
    "compound": (GEOID, None, False),
    "geographic 3D": ("EPSG:4979", None, False),
    "dynamic": ("EPSG:9000", 2021.25, False),
    "compound and dynamic": (GEOID, 2010.5, False),
    "custom ellipsoid": ("+proj=utm +zone=33 +a=6378000 +b=6356000", None, False),
    "sphere": ("+proj=longlat +R=6371229", None, True),  # longitude first
    "bound": ("+proj=utm +zone=33 +ellps=bessel +towgs84=598,74,418,0.2,0,-2.5,6.7", None, False),
    "projected 3D": (ELLIPSOIDAL_HEIGHT, None, True),
    "projected 3D and dynamic": (ELLIPSOIDAL_HEIGHT, 1999.75, True),
    "rotated pole": (ROTATED_POLE, None, True),
    "icosahedron": ("+proj=isea +ellps=sphere", None, True),
    "site": (SITE, None, True),
}
"""CRS, coordinate epoch, and whether GeoTIFF keys cannot hold them exactly."""


@pytest.mark.parametrize("driver", ["cog", "gtiff"])
@pytest.mark.parametrize("kind", REFERENCE_SYSTEMS)
def test_results_keep_the_crs_and_its_epoch(
    tmp_path: Path, make: Make, scene: Path, gdal_tools: Path, kind: str, driver: str
) -> None:
    crs, epoch, beside = REFERENCE_SYSTEMS[kind]
    wkt = escape(CRS.from_user_input(crs).to_wkt())
    source = tmp_path / "source.vrt"
    rasterio.shutil.copy(scene, source, driver="VRT")
    attribute = "" if epoch is None else f' coordinateEpoch="{epoch}"'
    srs = f"<SRS{attribute}>{wkt}</SRS>"
    source.write_text(re.sub("<SRS.*?</SRS>", lambda _: srs, source.read_text()))
    options = {"scale": 2, "steps": 1, "samples": 2, "format": driver}
    plan = make(source, **options, uncertainty=tmp_path / "std.tif")
    engine.run(plan)
    for out in (plan.out, tmp_path / "std.tif"):
        with rasters.opened(source) as before, rasters.opened(out) as after:
            assert after.crs == before.crs
            assert after.transform == before.transform @ Affine.scale(0.5)
            assert [Path(f).suffix for f in after.files] == [".tif", ".xml"][: 1 + beside]
        assert rasters.gdalinfo(gdal_tools, out).get("coordinateEpoch") == epoch
    audit = verify(str(plan.out), source)
    assert [f.measured for f in audit.findings if f.name == "crs"] == [0]
    assert {p.name for p in tmp_path.glob("*.aux.xml")} == (
        {"out.tif.aux.xml", "std.tif.aux.xml"} if beside else set()
    )


def test_a_run_that_was_killed_while_it_named_its_files_resumes(
    make: Make, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has files next to its result, which are its own."""
    with rasters.opened(scene, "r+") as dataset:
        dataset.crs = ELLIPSOIDAL_HEIGHT
    plan = make(scene, scale=2)
    sidecar = plan.out.with_name("out.tif.aux.xml")
    replaced = Path.replace
    for last in ("out.tif.aux.xml", "out.tif"):

        def killed(path: Path, name: Path, *, last: str = last) -> None:
            replaced(path, name)
            if name.name == last and name.parent == plan.out.parent:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", killed)
            with pytest.raises(KeyboardInterrupt):
                engine.run(make(scene, scale=2))
        assert sidecar.exists()
        assert plan.out.exists() == (last == "out.tif")
    report = engine.run(make(scene, scale=2))
    assert report.resumed == report.cells
    with rasters.opened(plan.out) as dataset:
        assert dataset.crs == ELLIPSOIDAL_HEIGHT
    assert sorted(p.name for p in plan.out.parent.glob("*out*")) == [plan.out.name, sidecar.name]


def test_files_that_creation_options_make_get_the_name_of_the_result(
    tmp_path: Path, make: Make, scene: Path
) -> None:
    engine.run(make(scene, scale=2, format="gtiff", creation=["TFW=YES"]))
    assert (tmp_path / "out.tfw").read_text().split()[0] == "5.0000000000"


def test_the_environment_does_not_hide_an_epoch(
    tmp_path: Path, make: Make, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may keep GDAL from reading files next to a raster."""
    monkeypatch.setenv("GDAL_DISABLE_READDIR_ON_OPEN", "EMPTY_DIR")
    source = tmp_path / "source.vrt"
    rasterio.shutil.copy(scene, source, driver="VRT")
    source.write_text(source.read_text().replace("<SRS", '<SRS coordinateEpoch="2020.5"', 1))
    plan = make(source, scale=2)
    engine.run(plan)
    with open_source(plan.out) as result:
        assert result.description.epoch == 2020.5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.tif", "scene.tif", "source.vrt"]


def test_control_points_whose_crs_would_be_lost_are_refused(tmp_path: Path, make: Make) -> None:
    points = [
        GroundControlPoint(row=row, col=column, x=column / 10, y=-row / 10)
        for row in (0, 40)
        for column in (0, 60)
    ]
    path = tmp_path / "swath.tif"
    profile = {"count": 1, "height": 40, "width": 60, "dtype": "uint8"}
    with rasters.opened(
        path, "w", driver="GTiff", gcps=points, crs=CRS.from_string(ROTATED_POLE), **profile
    ) as dataset:
        dataset.write(textured(1, 1, 40, 60))
    message = r"COG cannot hold the CRS of the control points of .*swath\.tif"
    refused(InputError, message, lambda: make(path, scale=2))


@pytest.mark.parametrize("masked", [False, True])
def test_an_epoch_changes_nothing_else(tmp_path: Path, make: Make, masked: bool) -> None:
    mask = np.ones((50, 44), dtype=np.bool_)
    mask[:20] = False
    scene = tmp_path / "scene.tif"
    rasters.write(scene, textured(3, 1, 50, 44), crs="EPSG:9000", mask=mask if masked else None)
    with rasters.opened(scene, "r+") as dataset:
        dataset.update_tags(ns="SENSOR", MODE="nadir")
    results = []
    for epoch in (None, 2020.5):
        if epoch is not None:
            srs = f'<SRS coordinateEpoch="{epoch}">EPSG:9000</SRS>'
            (tmp_path / "scene.tif.aux.xml").write_text(f"<PAMDataset>{srs}</PAMDataset>")
        plan = make(scene, scale=2, overwrite=True)
        assert plan.pixels.description.epoch == epoch
        engine.run(plan)
        with rasters.opened(plan.out) as dataset:
            assert dataset.files == [str(plan.out)]
            assert dataset.tags(ns="SENSOR") == {"MODE": "nadir"}
            pixels = dataset.read().tobytes(), dataset.read_masks().tobytes()
            results.append((*pixels, dataset.mask_flag_enums, dict(dataset.profile)))
    assert results[0] == results[1]


def test_control_points_without_a_crs(tmp_path: Path, make: Make) -> None:
    points = [
        GroundControlPoint(row=r, col=c, x=10 + c, y=50 - r, z=0) for r in (0, 20) for c in (0, 30)
    ]
    source = tmp_path / "a.tif"
    rasters.write(source, textured(1, 1, 20, 30), transform=None, gcps=points, crs=CRS())
    plan = make(source, scale="2")
    engine.run(plan)
    with rasters.opened(plan.out) as dataset:
        points_found, crs = dataset.gcps
    assert crs is None
    assert {(p.row, p.col, p.x, p.y) for p in points_found} == {
        (2 * p.row, 2 * p.col, p.x, p.y) for p in points
    }


# Other kinds of models


def test_a_prior_without_denoiser(tmp_path: Path, make: Make, scene: Path) -> None:
    alone = str(models.write(tmp_path / "alone", models.config(denoiser=False)))
    assert make(scene, scale="3", model=alone, steps=None).pixels.steps == 0
    refused(
        InputError,
        "this model is a prior alone",
        lambda: make(scene, scale=3, model=alone, steps=1),
    )


def test_models_of_the_papers_kind(tmp_path: Path, make: Make, scene: Path) -> None:
    config = models.config("paper", tiles=TileConfig(size=64, margin=8))
    paper = str(models.write(tmp_path / "paper", config))
    outs = []
    for steps in (0, 1):
        plan = make(scene, f"{steps}.tif", scale="2", model=paper, steps=steps)
        engine.run(plan)
        outs.append(rasters.read(plan.out))
    assert outs[0].shape == (3, 100, 88)
    assert (outs[0] != outs[1]).any()


# Polygons of interest


def polygons(folder: Path, *boxes: tuple[float, float, float, float]) -> Path:
    """A file of boxes in the CRS of the scenes, and a triangle in a hole of the first."""
    union = shapely.union_all([shapely.box(*b) for b in boxes])
    left, bottom, *_ = boxes[0]
    union = union.difference(
        shapely.Polygon(
            [(left + 20, bottom + 15), (left + 90, bottom + 30), (left + 40, bottom + 97)]
        )
    )
    path = folder / "area.geojson"
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    path.write_text(json.dumps({**mapping(union), "crs": crs}))
    return path


@pytest.mark.parametrize("steps", [0, 2])
@pytest.mark.parametrize("nodata", [None, 7])
def test_an_area_is_cut_out_of_the_full_result(
    tmp_path: Path, gdal_tools: Path, make: Make, steps: int, nodata: int | None
) -> None:
    scene = rasters.write(
        tmp_path / "scene.tif", textured(1, 3, 50, 44), colours=RGB, nodata=nodata
    )
    aoi = polygons(
        tmp_path, (500_103, 5_399_604, 500_228, 5_399_731), (500_300, 5_399_900, 500_330, 5_399_990)
    )
    full = make(scene, "full.tif", scale="3", steps=steps)
    part = make(scene, "part.tif", scale="3", steps=steps, aoi=aoi)
    engine.run(full)
    counted = Counted(part.recipe.inference)
    report = engine.run(with_inference(part, counted))
    # One of the nine has no polygon in it.
    assert counted.calls == report.cells == len(part.cells) < len(full.cells)
    pixels, valid = rasters.read(part.out), rasters.masks(part.out)
    crop = rasters.read(full.out)[:, *part.window.slices]
    inside = burnt(gdal_tools, tmp_path, aoi, part)
    assert 0 < inside.sum() < inside.size
    np.testing.assert_array_equal(valid, np.broadcast_to(inside, valid.shape) & (crop != nodata))
    np.testing.assert_array_equal(pixels[:, inside], crop[:, inside])
    with rasters.opened(part.out) as dataset:
        assert dataset.nodata == nodata
        flags = dataset.mask_flag_enums[0]
    assert flags == ([MaskFlags.per_dataset] if nodata is None else [MaskFlags.nodata])


def burnt(tools: Path, folder: Path, aoi: Path, part: Plan) -> Array:
    """The pixels of a result that GDAL's own tool finds inside."""
    grid = part.pixels.zoom.output.crop(part.window)
    shape = grid.shape.height, grid.shape.width
    target = rasters.write(
        folder / "burnt.tif", np.zeros((1, *shape), dtype=np.uint8), transform=grid.transform
    )
    subprocess.run([tools / "gdal_rasterize", "-q", "-burn", "1", aoi, target], check=True)
    inside: Array = rasters.read(target)[0] == 1
    return inside


def test_an_area_of_floats_is_nan_outside(tmp_path: Path, make: Make) -> None:
    scene = rasters.write(tmp_path / "scene.tif", textured(1, 1, 50, 44, dtype="float32"))
    aoi = polygons(
        tmp_path, (500_103, 5_399_604, 500_218, 5_399_731), (500_300, 5_399_900, 500_330, 5_399_990)
    )
    plan = make(scene, scale="3", aoi=aoi)
    engine.run(plan)
    pixels, valid = rasters.read(plan.out), rasters.masks(plan.out)
    np.testing.assert_array_equal(np.isnan(pixels), ~valid)


def test_cells_with_nothing_valid_are_not_computed(tmp_path: Path, make: Make) -> None:
    pixels = textured(1, 1, 50, 44)
    pixels[pixels == 0] = 1
    pixels[:, :22] = 0
    scene = rasters.write(tmp_path / "scene.tif", pixels, nodata=0)
    plan = make(scene, scale="3")
    counted = Counted(plan.recipe.inference)
    report = engine.run(with_inference(plan, counted))
    assert (report.cells, report.blank, counted.calls) == (9, 3, 6)


def test_another_area_starts_over(tmp_path: Path, make: Make, scene: Path) -> None:
    """The window is the same, the area is not."""
    box = 500_103, 5_399_604, 500_218, 5_399_731
    plan = make(scene, scale="3", aoi=polygons(tmp_path, box))
    with pytest.raises(StoppedError):
        engine.run(with_inference(plan, Counted(plan.recipe.inference, 1)))
    corner = 500_103, 5_399_724, 500_110, 5_399_731
    assert make(scene, scale="3", aoi=polygons(tmp_path, box)).settings() == plan.settings()
    other = make(scene, scale="3", aoi=polygons(tmp_path, (*box[:3], box[3] - 1), corner))
    assert other.window == plan.window
    assert engine.run(other).dropped == "its area differed"


def test_areas_that_are_refused(tmp_path: Path, make: Make, scene: Path) -> None:
    box = 500_103, 5_399_604, 500_228, 5_399_731
    with pytest.raises(InputError, match="bounds= and aoi= were both given"):
        make(scene, scale="3", aoi=polygons(tmp_path, box), bounds=box)
    sliver = polygons(tmp_path, (500_100.1, 5_399_604, 500_101.2, 5_399_731))
    with pytest.raises(InputError, match="lie between the centres"):
        make(scene, scale="3", aoi=sliver)


@pytest.mark.parametrize("steps", [0, 1])
def test_a_wild_value_affects_only_its_surroundings(tmp_path: Path, tiny: str, steps: int) -> None:
    """The lowest float32, not declared as nodata: in network values it overflows."""
    pixels = textured(1, 1, 60, 60, dtype="float32", high=0.3)
    wild = pixels.copy()
    wild[:, 5, 6] = np.finfo(np.float32).min
    results = []
    for number, image in enumerate((pixels, wild)):
        source = rasters.write(tmp_path / f"{number}.tif", image)
        out = tmp_path / f"out{number}.tif"
        options = Options(scale="2", model=tiny, steps=steps, value_range=(0.0, 0.3))
        engine.upscale(source, out, options)
        results.append(rasters.read(out))
    assert np.isfinite(results[1]).all()
    np.testing.assert_array_equal(results[0][:, 90:, 90:], results[1][:, 90:, 90:])


@pytest.mark.parametrize(
    ("dtype", "colours", "more"),
    [
        ("uint8", RGB, {}),
        ("uint8", (*RGB, "alpha"), {}),
        ("uint16", (*RGB, "undefined"), {"nodata": 0}),
        ("float32", ("gray",), {"nodata": -9999.0}),
    ],
)
def test_results_are_valid_cogs(
    dtype: str, colours: tuple[str, ...], more: dict[str, Any], make: Make, tmp_path: Path
) -> None:
    """By the rules of rio-cogeo, which are stricter than GDAL's: with overviews, too."""
    pixels = textured(1, len(colours), 270, 300, dtype=dtype, high=200)
    source = rasters.write(tmp_path / "a.tif", pixels, colours=colours, **more)
    plan = make(source, scale=2, uncertainty=tmp_path / "std.tif")
    engine.run(plan)
    for path in (plan.out, tmp_path / "std.tif"):
        with rasters.opened(path) as dataset:
            assert dataset.overviews(1) == [2]
        assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
