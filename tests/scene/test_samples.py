"""Several samples: their mean, and the file of their deviation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from rs_superres import engine
from rs_superres.engine import Options, Plan
from rs_superres.errors import InputError
from rs_superres.image.noise import normal_field
from tests import rasters
from tests.located import Noise
from tests.rasters import RGB, Array, textured


def planned(folder: Path, source: Path, model: str, **options: Any) -> Plan:
    asked = Options(**{"scale": "2.5", "model": model, **options})
    return engine.plan(source, folder / "out.tif", asked)


def with_recipe(plan: Plan, **changes: Any) -> Plan:
    recipe = replace(plan.recipe, **changes)
    return replace(plan, pixels=replace(plan.pixels, recipe=recipe))


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return rasters.write(tmp_path / "a.tif", textured(1, 3, 40, 36, dtype="float32"), colours=RGB)


def fields(seed: int, samples: int) -> Array:
    """The noise of each sample, (sample, band, y, x)."""
    return np.stack(
        [normal_field((seed, k, 0, 0), row=0, column=0, shape=(3, 100, 90)) for k in range(samples)]
    )


def test_mean_and_deviation_are_those_of_the_samples(
    tmp_path: Path, tiny: str, scene: Path
) -> None:
    spread = tmp_path / "std.tif"
    asked = {"steps": 1, "seed": 9, "samples": 5, "uncertainty": spread, "value_range": (-2, 2)}
    plan = planned(tmp_path, scene, tiny, consistency=False, **asked)
    engine.run(with_recipe(plan, inference=Noise(), uncertainty_factor=1.5))
    drawn = 2.0 * fields(9, 5)
    np.testing.assert_allclose(rasters.read(plan.out), drawn.mean(axis=0), atol=1e-6)
    found = rasters.read(spread)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, 1.5 * drawn.std(axis=0, ddof=1), rtol=1e-5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "out.tif", "std.tif"]


def test_one_sample_is_the_first_of_several(tmp_path: Path, tiny: str, scene: Path) -> None:
    plan = planned(tmp_path, scene, tiny, steps=1, value_range=(-2, 2), consistency=False)
    engine.run(with_recipe(plan, inference=Noise()))
    np.testing.assert_allclose(rasters.read(plan.out), 2 * fields(0, 1)[0], atol=1e-6)


def test_the_deviation_lies_as_the_result_does(tmp_path: Path, tiny: str) -> None:
    values = textured(1, 5, 40, 36, dtype="uint16", high=3000) + 10
    values[:, 10:20, 5:9] = 0
    colours = (*RGB, "undefined", "undefined")
    source = rasters.write(tmp_path / "a.tif", values, colours=colours, nodata=0)
    with rasterio.open(source, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.0001,) * 5, (-0.1,) * 5
        dataset.set_band_unit(1, "reflectance")
    spread = tmp_path / "std.tif"
    plan = planned(
        tmp_path,
        source,
        tiny,
        steps=1,
        samples=2,
        uncertainty=spread,
        nearest=(5,),
    )
    engine.run(plan)
    with rasterio.open(plan.out) as out, rasterio.open(spread) as std:
        assert (std.transform, std.crs, std.shape) == (out.transform, out.crs, out.shape)
        assert std.dtypes == ("float32",) * 5
        assert std.scales == (0.0001,) * 5
        assert std.offsets == (0.0,) * 5
        assert std.units[0] == "reflectance"
        assert std.tags()["SUPERRES_CONTENT"] == "standard deviation of 2 samples"
        pixels, valid = std.read(), out.read(1) != 0
    assert np.isnan(pixels[:, ~valid]).all()
    assert (pixels[:4, valid] > 0).mean() > 0.9
    assert (pixels[4, valid] == 0).all()  # carried by nearest neighbour: nothing was drawn


def test_mistakes(tmp_path: Path, tiny: str, scene: Path) -> None:
    for options, told in (
        ({"samples": 0}, "samples=0, expected a whole number, 1 or more"),
        ({"samples": 2, "steps": 0}, "samples=2 of the neural operator alone are all the same"),
        ({"uncertainty": tmp_path / "s.tif"}, "uncertainty= needs samples=2 or more"),
        ({"uncertainty": tmp_path / "out.tif", "samples": 2}, "expected different names"),
        ({"uncertainty": scene, "samples": 2}, "is the source"),
        ({"uncertainty": tmp_path / "s.png", "samples": 2}, "expected a name that ends in"),
    ):
        with pytest.raises(InputError, match=told):
            planned(tmp_path, scene, tiny, **{"steps": 1, **options})
    (tmp_path / "s.tif").touch()
    with pytest.raises(InputError, match="exists already; overwrite=True"):
        planned(tmp_path, scene, tiny, steps=1, samples=2, uncertainty=tmp_path / "s.tif")
