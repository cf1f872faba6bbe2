"""Arrays in memory are upscaled as files are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rs_superres import engine, zoo
from rs_superres.grid import Grid, Shape, Zoom
from rs_superres.raster import Band
from rs_superres.scene.bands import BandGroup
from rs_superres.scene.image import EIGHT_BITS, LowResolution, upscale_image, upscale_onto_grid
from rs_superres.scene.recipe import ModelSettings
from tests import rasters
from tests.rasters import RGB, textured


def low_of(image: rasters.Array) -> LowResolution:
    return LowResolution(
        values=image,
        valid=np.ones(image.shape, dtype=np.bool_),
        bands=(Band(dtype=image.dtype.name),) * 3,
        groups=(BandGroup((0, 1, 2), EIGHT_BITS),),
    )


@pytest.mark.parametrize("steps", [0, 1])
def test_an_image_is_upscaled_as_a_file_is(tmp_path: Path, tiny: str, steps: int) -> None:
    image = textured(1, 3, 40, 36)
    source = rasters.write(tmp_path / "a.tif", image, colours=RGB)
    options = engine.Options(scale="2.5", model=tiny, steps=steps, seed=3, precision="fp32")
    engine.upscale(source, tmp_path / "out.tif", options)
    result = upscale_image(image, (100, 90), zoo.load(tiny), steps=steps, seed=3)
    np.testing.assert_array_equal(result, rasters.read(tmp_path / "out.tif"))


def test_mean_and_std_of_samples_are_those_of_a_file(tmp_path: Path, tiny: str) -> None:
    image, model = textured(1, 3, 30, 34), zoo.load(tiny)
    source = rasters.write(tmp_path / "a.tif", image, colours=RGB)
    out, std = tmp_path / "out.tif", tmp_path / "std.tif"
    options = engine.Options(
        scale="3",
        model=tiny,
        steps=1,
        samples=2,
        uncertainty=std,
        consistency=False,
        precision="fp32",
    )
    engine.upscale(source, out, options)
    zoom = Zoom.onto(Grid(Shape(30, 34), None), Shape(90, 102))
    settings = ModelSettings(
        model=model,
        steps=1,
        samples=2,
        uncertainty=True,
        consistency=False,
        precision="fp32",
        device=torch.device("cpu"),
    )
    mean, deviation = upscale_onto_grid(low_of(image), zoom, settings)
    np.testing.assert_array_equal(mean, rasters.read(out))
    np.testing.assert_array_equal(deviation, rasters.read(std))
    settings = replace(settings, samples=1, uncertainty=False)
    sample, no_deviation = upscale_onto_grid(low_of(image), zoom, settings)
    assert no_deviation is None
    assert (sample != mean).any()
