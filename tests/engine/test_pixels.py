"""What is decided about pixels: steps, value ranges, groups; and what of it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rs_superres import engine
from rs_superres._version import __version__
from rs_superres.engine import Plan
from rs_superres.scene.bands import band_groups
from tests import models, rasters
from tests.rasters import Array, textured

Make = Callable[..., Plan]


def test_the_tags(make: Make, scene: Path) -> None:
    tags = make(scene, scale="3", seed=4, steps=2).tags()
    assert tags["SUPERRES_METHOD"].endswith("contains synthetic detail")
    assert "synthetic" not in make(scene, scale="3").tags()["SUPERRES_METHOD"]
    assert tags["SUPERRES_VERSION"] == __version__
    assert tags["SUPERRES_MODEL"] == "tiny"
    assert float(tags["SUPERRES_SCALE"]) == 3
    assert (tags["SUPERRES_STEPS"], tags["SUPERRES_SEED"]) == ("2", "4")
    assert tags["SUPERRES_VALUE_RANGE"] == "0,255"
    for name in ("SUPERRES_MODEL_SHA256", "SUPERRES_SOURCE_SHA256"):
        assert len(tags[name]) == 64


@pytest.mark.parametrize(("multiplies", "precision"), [(True, "bf16"), (False, "fp32")])
def test_the_precision_is_the_processor_s(
    make: Make, scene: Path, multiplies: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rs_superres.system.devices._multiplies_bf16", lambda _: multiplies)
    told = make(scene, scale="3", precision="auto")
    asked = make(scene, scale="3", precision=precision)
    assert told.pixels.precision == told.tags()["SUPERRES_PRECISION"] == precision
    assert told.checksum == asked.checksum
    engine.run(told)
    values = rasters.read(told.out)
    engine.run(replace(asked, out=told.out.with_name("asked.tif")))
    np.testing.assert_array_equal(rasters.read(told.out.with_name("asked.tif")), values)


def test_the_model_s_own_steps(make: Make, scene: Path) -> None:
    assert make(scene, scale="3", steps=None).pixels.steps == 4


def test_warning_outside_the_trained_scales(make: Make, scene: Path) -> None:
    assert make(scene, scale="3").warnings() == []
    [line] = make(scene, scale="8.5").warnings()
    assert line.startswith("the scale is 8.5")
    assert "trained at 1 to 8" in line


@pytest.mark.parametrize(
    ("trained", "told"), [((4.0, 30.0), 0), ((0.3, 4.9), 1), ((21.0, 40.0), 1)]
)
def test_warning_far_from_the_trained_pixel_size(
    tmp_path: Path, make: Make, scene: Path, trained: tuple[float, float], told: int
) -> None:
    """The scene's pixels are 10 m: up to twice beyond the range is near enough."""
    made = models.config()
    made = replace(made, trained=replace(made.trained, pixel_size=trained))
    plan = make(scene, scale="2", model=str(models.write(tmp_path / "far", made)))
    assert len(plan.warnings()) == told
    assert ("SUPERRES_WARNING" in plan.tags()) == bool(told)
    for line in plan.warnings():
        assert line.startswith("10 m pixels are outside the training range")
        assert f"({trained[0]:.3g} to {trained[1]:.3g} m)" in line


def test_sixteen_bits_take_their_range_from_the_scene(tmp_path: Path, make: Make) -> None:
    pixels = textured(1, 1, 40, 40, dtype="uint16", high=800) + np.uint16(5000)
    plan = make(rasters.write(tmp_path / "a.tif", pixels), scale="2")
    [group] = plan.recipe.groups
    low, high = np.percentile(pixels, (0.5, 99.5))
    assert (group.value_range.low, group.value_range.high) == (low, high)
    assert plan.tags()["SUPERRES_VALUE_RANGE"] == f"{low:.10g},{high:.10g}"
    engine.run(plan)
    out: Array = rasters.read(plan.out)
    assert 4800 < out.min() < out.max() < 6200


def test_groups_of_a_plan_are_those_of_its_bands(make: Make, scene: Path) -> None:
    plan = make(scene, scale="2")
    assert plan.recipe.groups == tuple(
        band_groups(plan.pixels.roles, plan.pixels.description.bands, [], None)
    )
