"""``rs-sr info``: lines for people, JSON for machines."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner, Result

from rs_superres.scene import survey
from tests import rasters
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


def test_text(scene: Path) -> None:
    result = info(scene)
    assert (result.exit_code, result.stderr) == (0, "")
    *lines, last = result.stdout.splitlines()
    assert last.startswith("     model  aerial, ")
    assert last.endswith(" takes --scale, --bounds, --res, --like, --aoi")
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
        '    1  uint8   red         "B04"  mask: none; the alpha band goes through as a band',
        "    2  uint8   green       mask: none; the alpha band goes through as a band",
        "    3  uint8   blue        mask: none; the alpha band goes through as a band",
        "    4  uint8   alpha       mask: none",
        "through the network",
        "   1, 2, 3  together, as RGB: 0 to 255, all values of uint8",
        "         4  alpha: interpolated, not through the network",
    ]


def test_json(scene: Path) -> None:
    """Scripts rely on the keys."""
    result = info(scene, "--json")
    facts = json.loads(result.stdout)
    assert list(facts) == [
        "path", "driver", "size", "grid", "control_points", "control_crs", "rational_polynomials",
        "bands", "groups", "pages_not_read", "options", "model", "refused",
    ]  # fmt: skip
    assert list(facts["grid"]) == [
        "crs", "crs_code", "unit", "transform", "corners", "pixel_size", "rotation", "sheared",
        "south_up",
    ]  # fmt: skip
    assert list(facts["bands"][0]) == [
        "band", "dtype", "description", "unit", "interpretation", "nodata", "scale", "offset",
        "mask", "network",
    ]  # fmt: skip
    assert list(facts["groups"][0]) == ["bands", "network", "value_range", "rule"]
    assert facts["grid"]["transform"] == list(NORTH_UP[:6])


def test_keywords_become_the_flags_of_upscale(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = survey.survey(str(scene)).facts()
    facts |= {"refused": "has classes; classes='expand' or bidx= helps", "options": ["resolution="]}
    report = SimpleNamespace(facts=lambda: dict(facts))
    monkeypatch.setattr(survey, "survey", lambda _: report)
    assert info(scene).stderr == ("rs-sr: error: has classes; --classes expand or --bidx helps\n")
    assert json.loads(info(scene, "--json").stdout)["refused"].endswith("--bidx helps")
    facts["refused"] = None
    assert info(scene).stdout.rstrip().endswith("takes --res")


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
