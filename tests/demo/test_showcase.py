"""The demonstration, a run from end to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rs_superres import demo, engine
from rs_superres.demo.synthetic_scene import render_scene
from rs_superres.errors import InputError
from tests import rasters


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tiny: str) -> None:
    """A demonstration of 48 pixels by the tiny model."""

    def upscale(source: Path, out: Path, options: engine.Options, **more: Any) -> engine.Report:
        return engine.upscale(source, out, replace(options, model=tiny), **more)

    monkeypatch.setattr(demo.showcase, "SIDE", 48)
    monkeypatch.setattr(demo.showcase, "upscale", upscale)


@pytest.mark.usefixtures("small")
def test_run(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    outcome = demo.run_demo(
        tmp_path / "demo", progress=lambda done, total: told.append((done, total))
    )
    assert told[-1] == (9, 9)
    assert {p.name for p in (tmp_path / "demo").iterdir()} == {
        "scene.tif",
        "upscaled.tif",
        "upscaled-prior.tif",
        "before-after.png",
    }
    with rasters.opened(outcome.scene) as scene, rasters.opened(outcome.result) as result:
        assert (scene.width, result.width) == (48, 168)
        assert scene.crs == result.crs
        assert result.bounds == pytest.approx(scene.bounds)
        assert result.tags()["SUPERRES_STEPS"] == "4"
    with Image.open(outcome.picture) as picture:
        assert picture.size == (5 * 138 + 4 * 8, 128)
    assert list(outcome.psnr) == ["cubic", "prior", "default"]
    truth = render_scene(168, samples=4).astype(np.float64)
    error = np.mean((rasters.read(outcome.result) - truth) ** 2)
    assert outcome.psnr["default"] == pytest.approx(10 * np.log10(255**2 / error))
    assert 15 < outcome.psnr["cubic"] < 40
    with pytest.raises(InputError, match=r"scene\.tif exists already; use --overwrite"):
        demo.run_demo(tmp_path / "demo")
    assert demo.run_demo(tmp_path / "demo", overwrite=True) == outcome


@pytest.mark.usefixtures("small")
def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot make the folder"):
        demo.run_demo(tmp_path / "file")
