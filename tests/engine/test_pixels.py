"""The plan of pixels: steps, value ranges, groups; tags, warnings and settings."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from rs_superres import engine
from rs_superres._version import __version__
from rs_superres.config import TileConfig
from rs_superres.engine import Plan
from rs_superres.image.limits import Limits
from rs_superres.options import PixelOptions
from rs_superres.scene.bands import band_groups
from tests import models, rasters
from tests.rasters import NORTH_UP, Array, textured

Make = Callable[..., Plan]


def test_tags_state_how_a_result_was_made(make: Make, scene: Path) -> None:
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
def test_precision_defaults_to_what_the_processor_computes_in(
    make: Make, scene: Path, multiplies: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rs_superres.system.devices._multiplies_bf16", lambda _: multiplies)
    resolved = make(scene, scale="3", precision="auto")
    explicit = make(scene, scale="3", precision=precision)
    assert resolved.pixels.precision == resolved.tags()["SUPERRES_PRECISION"] == precision
    assert resolved.checksum == explicit.checksum
    engine.run(resolved)
    values = rasters.read(resolved.out)
    engine.run(replace(explicit, out=resolved.out.with_name("explicit.tif")))
    np.testing.assert_array_equal(rasters.read(resolved.out.with_name("explicit.tif")), values)


def test_steps_default_to_the_models(make: Make, scene: Path) -> None:
    assert make(scene, scale="3", steps=None).pixels.steps == 4


def test_scales_outside_training_warn(make: Make, scene: Path) -> None:
    assert make(scene, scale="3").warnings() == []
    [line] = make(scene, scale="8.5").warnings()
    assert line.startswith("the scale is 8.5")
    assert "trained at 1 to 8" in line


@pytest.mark.parametrize(
    ("trained", "count"), [((4.0, 30.0), 0), ((0.3, 4.9), 1), ((21.0, 40.0), 1)]
)
def test_pixel_sizes_far_outside_training_warn(
    tmp_path: Path, make: Make, scene: Path, trained: tuple[float, float], count: int
) -> None:
    """The scene's pixels are 10 m: up to twice beyond the range is near enough."""
    config = models.config()
    config = replace(config, trained=replace(config.trained, pixel_size=trained))
    plan = make(scene, scale="2", model=str(models.write(tmp_path / "far", config)))
    assert len(plan.warnings()) == count
    assert ("SUPERRES_WARNING" in plan.tags()) == bool(count)
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


# Settings: what makes an earlier result another one

SETTINGS = {
    "grid": {
        "rows": {"source": 50, "size": 125, "a": 50.0, "b": -125.0, "d": 250.0},
        "columns": {"source": 44, "size": 110, "a": 44.0, "b": -110.0, "d": 220.0},
        "cell": {"height": 64, "width": 64},
    },
    "window": {"row": 25, "column": 25, "height": 50, "width": 50},
    "area": None,
    "model": {
        "weights": "0" * 64,
        "kind": "scene",
        "encoder": {
            "name": "edsr-baseline",
            "channels": 4,
            "blocks": 2,
            "residual_scale": 1.0,
            "layers": 8,
            "growth": 64,
            "source_aware": False,
        },
        "operator": {"width": 8, "heads": 2, "hidden": 4, "scales": [1.0, 8.0]},
        "denoiser": None,
        "texture": {
            "channels": 6,
            "blocks": 1,
            "spread_channels": 4,
            "spread_blocks": 1,
            "patch": 4,
        },
        "sampler": {
            "texture": 1.0,
            "method": "ddim",
            "timesteps": 2000,
            "beta_start": 1e-06,
            "beta_end": 0.01,
        },
        "tiles": {"size": 64, "margin": 8},
    },
    "steps": 2,
    "seed": 7,
    "samples": 3,
    "consistency": True,
    "kernel": {"kernel": "bicubic", "mtf": 0.25, "noise": 0.0},
    "quality": {"mtf": None, "sensor": None, "noise": None, "bands": [[None, None]]},
    "limits": {"bounds": None},
    "uncertainty factor": 1.0,
    "precision": "fp32",
    "device": "cpu",
    "band roles": {
        "source": [1, 2, 3],
        "nodata": "0",
        "expand": False,
        "joint": [0, 1, 2],
        "alone": [],
        "nearest": [],
        "alpha": [],
    },
    "value range": [[0.0, 200.0]],
    "version": __version__,
}


def test_settings_are_plain_named_values(tmp_path: Path, make: Make, scene: Path) -> None:
    """A literal, so that no renaming changes the settings of results that exist."""
    bounds = (500_100, 5_399_700, 500_300, 5_399_900)
    numbers = {"steps": 2, "seed": 7, "samples": 3, "nodata": 0, "value_range": (0, 200)}
    uncertainty = tmp_path / "std.tif"
    plan = make(scene, scale="2.5", bounds=bounds, uncertainty=uncertainty, device="cpu", **numbers)
    pixels = replace(plan.pixels, model=replace(plan.pixels.model, checksum="0" * 64))
    assert json.loads(json.dumps(pixels.settings())) == SETTINGS
    assert plan.pixels.settings() == json.loads(json.dumps(plan.pixels.settings()))


CHANGES: dict[str, tuple[Any, Any]] = {
    "scale": ("2", "2.02"),
    "resolution": (5, 4),
    "like": ("like.tif", "other.tif"),
    "bounds": (None, (500_100, 5_399_700, 500_300, 5_399_900)),
    "aoi": (None, "area.geojson"),
    "model": ("tiny", "other"),
    "steps": (1, 2),
    "texture": (None, 0.5),
    "seed": (0, 1),
    "samples": (1, 2),
    "ensemble": (1, 2),
    "consistency": (True, False),
    "sensor": (None, "sentinel-2"),
    "mtf": (None, 0.3),
    "noise": (None, 3),
    "limits": ("local", (0, 200)),
    "bidx": ((1, 2, 3), (3, 2, 1)),
    "rgb": ((), (3, 2, 1)),
    "nearest": ((), 3),
    "classes": ("expand", "nearest"),
    "nodata": (None, 7),
    "value_range": (None, (0, 200)),
    "precision": ("fp32", "bf16"),
}
"""Two values of each option that decides pixels."""


@pytest.fixture
def things(tmp_path: Path) -> dict[str, Path]:
    """Files that options name."""
    area = {
        "type": "Polygon",
        "coordinates": [[[500_010, 5_399_990], [500_100, 5_399_990], [500_010, 5_399_800]]],
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}},
    }
    (tmp_path / "area.geojson").write_text(json.dumps(area))
    for name, step in (("like", 0.5), ("other", 0.25)):
        grid = NORTH_UP @ Affine.scale(step)
        rasters.write(tmp_path / f"{name}.tif", textured(1, 1, 9, 9), transform=grid)
    config = models.config(tiles=TileConfig(size=64, margin=8))
    sampler = replace(config.sampler, texture=0.02)
    models.write(tmp_path / "other", replace(config, sampler=sampler))
    return {path.name: path for path in tmp_path.iterdir()}


@pytest.mark.parametrize("name", CHANGES)
def test_every_option_that_decides_pixels_changes_the_settings(
    tmp_path: Path,
    make: Make,
    scene: Path,
    name: str,
    things: dict[str, Path],
) -> None:
    if name == "classes":
        scene = rasters.write(tmp_path / "palette.tif", textured(1, 1, 9, 9), photometric="palette")
        with rasters.opened(scene, "r+") as dataset:
            dataset.write_colormap(1, {i: (i, 0, 0, 255) for i in range(256)})
    settings = []
    for value in CHANGES[name]:
        options: dict[str, Any] = (
            {"steps": 1} if name in {"resolution", "like"} else {"scale": "2", "steps": 1}
        )
        options[name] = things.get(value, value) if isinstance(value, str) else value
        if options.get("model") == "tiny":
            del options["model"]
        plan = make(scene, **options)
        settings.append(plan.settings())
        assert plan.settings() == make(scene, **options).settings()
    assert settings[0] != settings[1]


def test_the_mtf_changes_the_settings_where_only_the_limits_use_it(make: Make, scene: Path) -> None:
    plans = [make(scene, scale="2", consistency=False, mtf=mtf) for mtf in (0.2, 0.3)]
    assert plans[0].settings() != plans[1].settings()


@pytest.mark.parametrize(
    ("limits", "expected"),
    [((0, math.inf), (0, 255)), ((-math.inf, 200), (0, 200)), ((0.5, 1e300), (1, 255))],
)
def test_bounds_end_at_the_range_of_the_dtype(
    make: Make, scene: Path, limits: tuple[float, float], expected: tuple[float, float]
) -> None:
    plan = make(scene, scale="2", limits=limits)
    assert plan.recipe.limits == Limits(expected)


def test_the_kind_of_device_changes_the_settings_and_its_number_does_not(
    make: Make, scene: Path
) -> None:
    assert {*CHANGES, "device"} == {entry.name for entry in fields(PixelOptions)}
    pixels = make(scene, scale="2", device="cpu").pixels
    cpu, cuda, second = (
        replace(pixels, device=name).settings() for name in ("cpu", "cuda", "cuda:1")
    )
    assert cpu != cuda == second


def test_the_uncertainty_changes_the_settings(tmp_path: Path, make: Make, scene: Path) -> None:
    options: dict[str, Any] = {"scale": "2", "steps": 1, "samples": 2}
    with_std = make(scene, uncertainty=tmp_path / "std.tif", **options)
    assert with_std.settings() != make(scene, **options).settings()


def test_file_options_change_only_the_checksum(make: Make, scene: Path) -> None:
    plan = make(scene, scale="2")
    changes: list[dict[str, Any]] = [{"format": "gtiff"}, {"creation": ["COMPRESS=LZW"]}]
    for change in changes:
        other = make(scene, scale="2", **change)
        assert other.settings() == plan.settings()
        assert other.checksum != plan.checksum
    for same in ({"overwrite": True}, {"resume": False}, {"memory": "64GB"}):
        assert make(scene, scale="2", **same).checksum == plan.checksum


def test_a_plan_groups_its_bands(make: Make, scene: Path) -> None:
    plan = make(scene, scale="2")
    assert plan.recipe.groups == tuple(
        band_groups(plan.pixels.roles, plan.pixels.description.bands, [], None)
    )
