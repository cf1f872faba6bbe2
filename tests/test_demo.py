"""The demonstration's town: the same place at every pixel size, and a run from end to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rs_superres import demo, engine
from rs_superres.errors import InputError
from tests import rasters


def box(pixels: rasters.Array, times: int) -> rasters.Array:
    """Means over times x times pixels."""
    bands, side, _ = pixels.shape
    cut = pixels.astype(np.float64).reshape(bands, side // times, times, side // times, times)
    means: rasters.Array = cut.mean(axis=(2, 4))
    return means


def test_a_pixel_is_the_mean_of_its_area() -> None:
    """The same sample points as coarse pixels and as fine ones."""
    coarse, fine = demo.render(40, samples=6), demo.render(120, samples=2)
    assert coarse.shape == (3, 40, 40)
    assert coarse.dtype == np.uint8
    # Nine roundings, and one.
    assert np.abs(box(fine, 3) - coarse).max() <= 1


def test_more_samples_are_the_same_place() -> None:
    one, other = demo.render(30, samples=8), demo.render(30, samples=16)
    assert np.abs(one.astype(int) - other).mean() < 2


def test_rows_are_drawn_alike_whatever_the_chunk() -> None:
    """Rows beyond the first chunk of 64 lie where the first ones say."""
    points = (np.arange(100) + 0.5) * (demo.EXTENT / 100)
    y, x = np.meshgrid(points, points, indexing="ij")
    whole = np.rint(demo.radiance(x, y)).clip(0, 255).astype(np.uint8)
    np.testing.assert_array_equal(demo.render(100, samples=1), whole)


def test_there_is_something_to_see() -> None:
    pixels = demo.render(60, samples=4).astype(np.float64)
    assert (pixels.std(axis=(1, 2)) > 20).all()
    assert np.abs(np.diff(pixels, axis=2)).mean() > 5


def test_its_corners_are_the_same_at_every_size() -> None:
    for side in (40, 160, 560):
        grid = demo.grid(side)
        assert grid.transform is not None
        assert grid.transform @ (0, 0) == demo.ORIGIN
        assert grid.transform @ (side, side) == pytest.approx(
            (demo.ORIGIN[0] + 120, demo.ORIGIN[1] - 120)
        )


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tiny: str) -> None:
    """A demonstration of 48 pixels by the tiny model."""

    def upscale(source: Path, out: Path, options: engine.Options, **more: Any) -> engine.Report:
        return engine.upscale(source, out, replace(options, model=tiny), **more)

    monkeypatch.setattr(demo, "SIDE", 48)
    monkeypatch.setattr(demo, "upscale", upscale)


@pytest.mark.usefixtures("small")
def test_run(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    outcome = demo.run(tmp_path / "demo", progress=lambda done, total: told.append((done, total)))
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
    truth = demo.render(168, samples=4).astype(np.float64)
    error = np.mean((rasters.read(outcome.result) - truth) ** 2)
    assert outcome.psnr["default"] == pytest.approx(10 * np.log10(255**2 / error))
    assert 15 < outcome.psnr["cubic"] < 40
    with pytest.raises(InputError, match=r"scene\.tif exists already; use --overwrite"):
        demo.run(tmp_path / "demo")
    assert demo.run(tmp_path / "demo", overwrite=True) == outcome


@pytest.mark.usefixtures("small")
def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot make the folder"):
        demo.run(tmp_path / "file")
