"""The demonstration from end to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rs_superres import demo, engine
from rs_superres.demo.synthetic_scene import render_scene
from rs_superres.errors import InputError, WriteError
from tests import rasters


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tiny: str) -> None:
    """Run the demonstration on 48 x 48 pixels with the tiny model."""

    def upscale(source: Path, out: Path, options: engine.Options, **more: Any) -> engine.Report:
        return engine.upscale(source, out, replace(options, model=tiny), **more)

    scenes = {name: replace(scene, side=48) for name, scene in demo.SCENES.items()}
    monkeypatch.setattr(demo.showcase, "SCENES", scenes)
    monkeypatch.setattr(demo.showcase, "upscale", upscale)


@pytest.mark.usefixtures("small")
def test_files_and_scores(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    report = demo.run_demo(
        tmp_path / "demo", progress=lambda done, total: calls.append((done, total))
    )
    assert calls[-1] == (9, 9)
    assert {p.name for p in (tmp_path / "demo").iterdir()} == {
        "scene.tif",
        "upscaled.tif",
        "upscaled-prior.tif",
        "before-after.png",
    }
    with rasters.opened(report.scene) as scene, rasters.opened(report.result) as result:
        assert (scene.width, result.width) == (48, 168)
        assert scene.crs == result.crs
        assert result.bounds == pytest.approx(scene.bounds)
        assert result.tags()["SUPERRES_STEPS"] == "4"
    with Image.open(report.picture) as picture:
        assert picture.size == (5 * 138 + 4 * 8, 128)
    assert list(report.psnr) == ["cubic", "prior", "default"]
    truth = render_scene(168, samples=4).astype(np.float64)
    error = np.mean((rasters.read(report.result) - truth) ** 2)
    assert report.psnr["default"] == pytest.approx(10 * np.log10(255**2 / error))
    assert 15 < report.psnr["cubic"] < 40
    with pytest.raises(InputError, match=r"scene\.tif exists already; overwrite=True"):
        demo.run_demo(tmp_path / "demo")
    assert demo.run_demo(tmp_path / "demo", overwrite=True) == report


@pytest.mark.usefixtures("small")
def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="cannot create the folder"):
        demo.run_demo(tmp_path / "file")


@pytest.mark.usefixtures("small")
def test_the_countryside_has_larger_pixels(tmp_path: Path) -> None:
    report = demo.run_demo(tmp_path / "demo", scene="country")
    with rasters.opened(report.scene) as scene, rasters.opened(report.result) as result:
        assert scene.res == pytest.approx((1600 / 48, 1600 / 48))
        assert result.bounds == pytest.approx(scene.bounds)


def test_an_unknown_scene_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="scene=city, expected one of town, country"):
        demo.run_demo(tmp_path / "demo", scene="city")
    assert not (tmp_path / "demo").exists()
