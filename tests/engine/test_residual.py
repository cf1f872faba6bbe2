"""The residual: the downsampled result minus its source."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image

from rs_superres import engine
from rs_superres.engine import Options, Plan
from rs_superres.engine.residual import residual
from rs_superres.raster import open_source, read_tags
from tests import rasters
from tests.rasters import RGB, textured


def smooth(height: int, width: int) -> rasters.Array:
    """One band of waves, float32."""
    rows, columns = np.mgrid[:height, :width]
    waves: rasters.Array = 100 + 40 * np.sin(columns / 3) * np.cos(rows / 4)
    return waves[None].astype(np.float32)


def planned(folder: Path, source: Path, model: str, **options: Any) -> Plan:
    chosen = Options(**{"scale": "2.5", "model": model, **options})
    return engine.plan(source, folder / "out.tif", chosen)


@pytest.mark.parametrize("steps", [0, 2])
@pytest.mark.parametrize("scale", ["2", "3.3"])
def test_the_result_downsamples_to_the_source(
    tmp_path: Path, tiny: str, scale: str, steps: int
) -> None:
    """As Pillow downsamples images of many cells, and as the tag says."""
    values = (textured(1, 3, 70, 61, high=110) + 70).astype(np.uint8)
    source = rasters.write(tmp_path / "a.tif", values, colours=RGB)
    errors = []
    for consistent, kernel in ((False, "off"), (True, "antialiased bicubic")):
        options = {"scale": scale, "steps": steps, "consistency": consistent, "overwrite": True}
        plan = planned(tmp_path, source, tiny, **options)
        report = engine.run(plan)
        picture = Image.fromarray(rasters.read(plan.out).transpose(1, 2, 0))
        back = np.asarray(picture.resize((61, 70), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
        errors.append(float(np.sqrt(((back.astype(float) - values) ** 2).mean())))
        measured = report.residual
        assert np.sqrt(np.mean(np.square(measured.rms))) == pytest.approx(errors[-1], abs=0.29)
        tags = read_tags(plan.out)
        assert (tags["SUPERRES_RESIDUAL"], tags["SUPERRES_CONSISTENCY"]) == (str(measured), kernel)
    assert errors[0] > 3  # random weights
    assert errors[1] < 0.6  # Pillow rounds, too
    assert max(map(abs, measured.bias)) < 0.02 * errors[0] + 0.05


def test_the_residual_of_a_window_leaves_out_its_border(tmp_path: Path, tiny: str) -> None:
    values = (textured(1, 3, 70, 61, high=150) + 50).astype(np.uint8)
    source = rasters.write(tmp_path / "a.tif", values, colours=RGB)
    with rasterio.open(source) as dataset:
        left, top, size = dataset.transform.c, dataset.transform.f, dataset.transform.a
    bounds = (left + 20 * size, top - 40 * size, left + 50 * size, top - 10 * size)
    report = engine.run(planned(tmp_path, source, tiny, steps=0, bounds=bounds))
    assert report.residual.pixels == (30 - 4) ** 2
    assert max(report.residual.rms) < 0.5


@pytest.mark.parametrize("mtf", [0.2, 0.35])
def test_a_given_blur_is_the_one_that_results_downsample_by(
    tmp_path: Path, tiny: str, mtf: float
) -> None:
    source = rasters.write(tmp_path / "a.tif", smooth(40, 44))
    options: dict[str, Any] = {"scale": "3", "model": tiny, "steps": 0, "limits": "none"}
    residuals = {}
    for given in (mtf, None):
        plan = engine.plan(
            source, tmp_path / "out.tif", Options(**options, mtf=given, overwrite=True)
        )
        engine.run(plan)
        groups = tuple(replace(group, mtf=mtf) for group in plan.recipe.groups)
        recipe = replace(plan.recipe, groups=groups)
        with open_source(source) as low, open_source(plan.out) as high:
            residuals[given] = residual(low, high, recipe, plan.window).rms[0]
    assert residuals[mtf] < 0.2 * residuals[None]
    with rasters.opened(tmp_path / "out.tif") as dataset:
        assert "SUPERRES_CONSISTENCY" in dataset.tags()


def test_given_noise_is_not_put_back(tmp_path: Path, tiny: str) -> None:
    noise = np.random.default_rng(0).normal(scale=5, size=(1, 40, 44))
    source = rasters.write(tmp_path / "a.tif", (smooth(40, 44) + noise).astype(np.float32))
    options: dict[str, Any] = {"scale": "3", "model": tiny, "steps": 0, "limits": "none"}
    rms = {}
    for given in (None, 0, 5):
        out = tmp_path / f"{given}.tif"
        plan = engine.plan(source, out, Options(**options, noise=given))
        report = engine.run(plan)
        rms[given] = report.residual.rms[0]
        with rasters.opened(out) as dataset:
            assert ("noise of 5" in dataset.tags()["SUPERRES_CONSISTENCY"]) is (given == 5)
    assert rms[0] == rms[None] < 0.2
    assert 0.3 < rms[5] <= 2 * 5
