"""What a plan refuses, before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from affine import Affine

from rs_superres import engine
from rs_superres.engine import Plan
from rs_superres.errors import InputError, RasterError, SuperResError, UnknownModelError
from tests import rasters
from tests.rasters import NORTH_UP, textured

Make = Callable[..., Plan]


def test_too_little_disk(make: Make, scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make(scene, scale="3")
    usage = type("Usage", (), {"free": plan.disk_bytes - 1})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(RasterError, match="GB of disk"):
        engine.run(plan)
    assert not plan.scratch.exists()


def test_out_names_that_would_lose_something(tmp_path: Path, make: Make, scene: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "there.tif").write_bytes(b"precious")
    (tmp_path / "link.tif").symlink_to(scene)
    for out, options, message in (
        ("folder", {}, "is a directory, expected a file name"),
        ("none/out.tif", {}, "folder .*none does not exist"),
        ("scene.tif", {}, "is the source"),
        ("scene.tif", {"overwrite": True}, "is the source"),
        ("link.tif", {"overwrite": True}, "is the source"),
        ("there.tif", {}, "exists already; use --overwrite"),
    ):
        with pytest.raises(InputError, match=message):
            make(scene, out, scale="3", **options)
    assert (tmp_path / "there.tif").read_bytes() == b"precious"
    plan = make(scene, "there.tif", scale="3", overwrite=True)
    assert (tmp_path / "there.tif").read_bytes() == b"precious"
    engine.run(plan)
    assert rasters.read(plan.out).shape == (3, 150, 132)


def refused(kind: type[SuperResError], message: str, call: Callable[[], object]) -> None:
    with pytest.raises(kind, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_options_that_cannot_be(tmp_path: Path, make: Make, scene: Path) -> None:
    one = "one of scale=, resolution= and like= is needed"
    for options in ({}, {"scale": 2, "resolution": (1, 1)}, {"scale": 2, "like": scene}):
        refused(InputError, one, partial(make, scene, **options))
    other = rasters.write(
        tmp_path / "other.tif",
        textured(1, 1, 9, 9),
        transform=NORTH_UP @ Affine.scale(0.5),
        crs="EPSG:32632",
    )
    refused(InputError, "has another CRS than the source", lambda: make(scene, like=other))
    refused(RasterError, "cannot open", lambda: make(scene, like=tmp_path / "none.tif"))
    refused(UnknownModelError, "no model", lambda: make(scene, scale=2, model="none"))
    refused(InputError, "device 'tpu'", lambda: make(scene, scale=2, device="tpu"))
    refused(InputError, "steps=-1, expected a whole number", lambda: make(scene, scale=2, steps=-1))
    refused(RasterError, "cannot open", lambda: make(tmp_path / "none.tif", scale=2))
    refused(InputError, "lower one first", lambda: make(scene, scale=2, value_range=(9, 9)))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.tif", "scene.tif"]
