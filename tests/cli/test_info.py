"""``rs-sr info``: lines for people, JSON for machines."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner, Result

from rs_superres import upscale, zoo
from rs_superres.scene import survey
from tests import models, rasters
from tests.cli.calls import main
from tests.rasters import NORTH_UP, RGB, textured


def info(*args: str | Path) -> Result:
    return CliRunner().invoke(main, ["info", *map(str, args)])


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "scene.tif"
    rasters.write(path, textured(1, 4, 40, 44), colours=(*RGB, "alpha"), nodata=None)
    with rasters.opened(path, "r+") as dataset:
        dataset.set_band_description(1, "B04")
    return path


def test_warnings_and_hints(tmp_path: Path) -> None:
    """Pixels of 100 m, in degrees, and bands that only their names call colours."""
    path = rasters.write(
        tmp_path / "scene.tif",
        textured(1, 4, 40, 44, dtype="uint16"),
        crs="EPSG:4326",
        transform=Affine(0.0009, 0, 10, 0, -0.0009, 5),
    )
    with rasters.opened(path, "r+") as dataset:
        for band in range(1, 5):
            dataset.set_band_description(band, f"B{band}")
    result = info(path)
    assert result.exit_code == 0
    warning, hint = result.stderr.splitlines()
    assert warning.startswith("rs-sr: warning: 99.7 m pixels are outside the training range")
    assert hint.startswith("rs-sr: note: bands 4,3,2 are named B4, B3 and B2, which are red, ")
    assert hint.endswith(" as grey, but --rgb 4,3,2 sharpens them together")
    facts = json.loads(info(path, "--json").stdout)
    assert [f"rs-sr: warning: {text}" for text in facts["warnings"]] == [warning]
    assert [f"rs-sr: note: {text}" for text in facts["hints"]] == [hint]
    planned = CliRunner().invoke(
        main, ["upscale", str(path), "-o", str(tmp_path / "o.tif"), "-s", "2", "--dry-run"]
    )
    assert planned.stderr.splitlines() == [warning, hint]


def test_text(scene: Path) -> None:
    result = info(scene)
    assert result.exit_code == 0
    assert result.stderr.startswith("rs-sr: warning: 10 m pixels are outside")
    *lines, estimated, guess, alpha, model, last = result.stdout.splitlines()
    assert re.fullmatch(r" {10,}estimated: MTF of [\d.]+, noise of [\d.]+", estimated)
    assert guess.endswith("rough guess of the blur: give --sensor or --mtf if you know it")
    assert alpha == "         4  alpha: interpolated, not through the network"
    assert model.startswith("     model  aerial, ")
    assert last == "   options  possible: --scale, --bounds, --res, --like, --aoi"
    assert lines == [
        f"file         {scene}",
        "driver       GTiff",
        "size         44 x 40 pixels",
        "CRS          WGS 84 / UTM zone 33N (EPSG:32633)",
        "pixel size   10 x 10 metre",
        "upper left   500000, 5400000",
        "upper right  500440, 5400000",
        "lower right  500440, 5399600",
        "lower left   500000, 5399600",
        "bands        4",
        '    1  uint8   red         "B04"  mask: none but the alpha band',
        "    2  uint8   green       mask: none but the alpha band",
        "    3  uint8   blue        mask: none but the alpha band",
        "    4  uint8   alpha       mask: none",
        "through the network",
        "   1, 2, 3  together, as RGB: 0 to 255, all values of uint8",
    ]


def test_json(scene: Path) -> None:
    """Scripts rely on the keys."""
    result = info(scene, "--json")
    facts = json.loads(result.stdout)
    assert list(facts) == [
        "path", "driver", "size", "grid", "control_points", "control_crs", "rational_polynomials",
        "bands", "groups", "pages_not_read", "product", "warnings", "hints", "options", "model",
        "refused",
    ]  # fmt: skip
    assert list(facts["grid"]) == [
        "crs", "crs_code", "unit", "transform", "corners", "pixel_size", "rotation", "sheared",
        "south_up",
    ]  # fmt: skip
    assert list(facts["bands"][0]) == [
        "band", "dtype", "description", "unit", "interpretation", "nodata", "scale", "offset",
        "mask", "network",
    ]  # fmt: skip
    assert list(facts["groups"][0]) == ["bands", "network", "value_range", "rule", "mtf", "noise"]
    assert facts["grid"]["transform"] == list(NORTH_UP[:6])


def test_what_the_default_model_estimates_is_what_a_run_records(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = models.config(denoiser=False)
    aware = replace(config, encoder=replace(config.encoder, source_aware=True))
    monkeypatch.setattr(zoo, "DEFAULT", str(models.write(tmp_path / "aware", aware)))
    group = json.loads(info(scene, "--json").stdout)["groups"][0]
    assert group["mtf"] > 0
    line = f"estimated: MTF of {group['mtf']:g}, noise of {group['noise']:g}"
    assert line in info(scene).stdout
    out = tmp_path / "out.tif"
    upscale(scene, out, scale=2, model=zoo.DEFAULT)
    with rasterio.open(out) as result:
        recorded = result.tags()["SUPERRES_SOURCE_QUALITY"]
    assert f"MTF {group['mtf']:g} (estimated)" in recorded, recorded


def test_keywords_become_the_flags_of_upscale(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = survey.survey(str(scene)).facts()
    facts |= {"refused": "has classes; classes='expand' or bidx= helps", "options": ["resolution="]}
    report = SimpleNamespace(facts=lambda: dict(facts))
    monkeypatch.setattr(survey, "survey", lambda _: report)
    facts["warnings"] = []
    assert info(scene).stderr == ("rs-sr: error: has classes; --classes expand or --bands helps\n")
    assert json.loads(info(scene, "--json").stdout)["refused"].endswith("--bands helps")
    facts["refused"] = None
    assert info(scene).stdout.rstrip().endswith("possible: --res")


def test_a_refused_raster_exits_1_with_the_reason(tmp_path: Path) -> None:
    pixels = textured(1, 1, 9, 9).astype(np.complex64)
    path = rasters.write(tmp_path / "a.tif", pixels)
    for args in ((path,), (path, "--json")):
        result = info(*args)
        assert result.exit_code == 1
        assert "complex64" in result.stdout
        assert result.stderr.startswith(f"rs-sr: error: {path} ")
        assert result.stderr.count("\n") == 1
    assert json.loads(info(path, "--json").stdout)["refused"] in info(path).stderr


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    for path, message in ((tmp_path, "directory"), (tmp_path / "no.tif", "cannot open")):
        result = info(path)
        assert (result.exit_code, result.stdout) == (1, "")
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
