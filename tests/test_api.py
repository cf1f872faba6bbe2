"""The function that Python calls, and the accessor."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import rs_superres
import rs_superres.accessor  # registers the accessor ``superres``
from rs_superres import errors
from rs_superres.api import Asked, AskedOfFile
from rs_superres.engine import Options
from rs_superres.scene.bands import BandOptions
from tests import models, rasters
from tests.dataarrays import opened
from tests.rasters import NORTH_UP, RGB, UTM, textured

BOX = xr.DataArray(textured(1, 3, 20, 22), dims=("band", "y", "x"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return rasters.write(tmp_path / "scene.tif", textured(1, 3, 20, 22), colours=RGB)


def test_a_file_to_a_file(tmp_path: Path, source: Path, tiny: str) -> None:
    out, seen = tmp_path / "out.tif", []
    report = rs_superres.upscale(
        str(source), out, scale=2, model=Path(tiny), steps=0, format="gtiff",
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert report.out == out
    assert seen[-1] == (1, 1)
    with rasters.opened(out) as dataset:
        assert (dataset.width, dataset.height, dataset.crs.to_string()) == (44, 40, UTM)
        assert dataset.transform.c == NORTH_UP.c
    stack = rs_superres.upscale(
        [source, source], tmp_path / "six.tif", scale=2, model=tiny, steps=0
    )
    assert rasters.read(stack.out).shape == (6, 40, 44)


def test_every_option_of_a_run_can_be_asked_for() -> None:
    known = {f.name for f in fields(Options)} - {"bands"}
    known |= {f.name for f in fields(BandOptions)} - {"bands"} | {"bidx", "progress"}
    assert {*AskedOfFile.__annotations__} == known
    ours = {"format", "creation", "overwrite", "resume", "scratch", "memory", "progress"}
    assert {*Asked.__annotations__} == known - ours - {"uncertainty", "preview"}


def test_a_model_is_loaded_once(
    tmp_path: Path, source: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = rs_superres.load_model(tiny)
    assert isinstance(model, rs_superres.Model)
    monkeypatch.setattr("rs_superres.zoo.models.load", lambda *_: pytest.fail("loaded again"))
    rs_superres.upscale(source, tmp_path / "out.tif", scale=2, model=model, steps=0)
    for scale in (2, 3):
        made = rs_superres.upscale(opened(source), scale=scale, model=model, steps=0)
        assert made.attrs["SUPERRES_MODEL"] == "tiny"


@pytest.mark.parametrize(
    ("given", "asked", "told"),
    [
        ((BOX, "out.tif"), {}, "an output name goes with files"),
        (("scene.tif",), {}, "scene.tif is a file, so a name for the result is needed"),
        ((3,), {}, "of type int, expected a path, an xarray.DataArray"),
        (([],), {}, "of type list, expected a path"),
        ((np.zeros(3),), {}, "the array has 1 dimensions, expected .y, x."),
        ((BOX,), {"scale": 1}, "scale 1, expected a number above 1"),
        ((BOX,), {"scale": None}, "one of --scale, --res and --like is needed"),
        ((BOX,), {"resolution": 3, "scale": None}, "--res needs a raster with an affine transform"),
        ((BOX,), {"rgb": (1, 2, 5)}, "rgb= lists band 5, the array has bands 1 to 3"),
        ((BOX,), {"nodata": 256}, "nodata 256, expected a value that uint8 holds"),
        ((BOX,), {"value_range": (3, 2)}, "value range 3,2, expected the lower one first"),
        ((BOX,), {"classes": "expand"}, "classes='expand' needs a colour table"),
        ((BOX,), {"steps": -1}, "-1 steps, expected 0 or more"),
        ((BOX,), {"model": "nowhere"}, "no model 'nowhere'"),
        ((BOX,), {"device": "abacus"}, "device 'abacus', expected auto"),
    ],
)
def test_what_is_refused(tiny: str, given: Any, asked: Any, told: str) -> None:
    with pytest.raises(errors.SuperResError, match=told) as caught:
        rs_superres.upscale(*given, **{"scale": 2, "model": tiny} | asked)
    assert "\n" not in str(caught.value)


def test_a_misspelt_option_is_refused(tmp_path: Path, source: Path) -> None:
    misspelt: Any = {"scael": 2}
    with pytest.raises(TypeError, match="'scael'; known are aoi, bidx, bounds"):
        rs_superres.upscale(BOX, **misspelt)
    with pytest.raises(TypeError, match="'overwrite'"):
        rs_superres.upscale(BOX, overwrite=True)  # type: ignore[call-overload] # meant
    with pytest.raises(TypeError, match="'scael'"):
        rs_superres.upscale(source, tmp_path / "out.tif", **misspelt)


def test_warnings_point_at_the_callers_line(tmp_path: Path, source: Path, tiny: str) -> None:
    array = opened(source)
    dataset = array.to_dataset(name="photo")
    asked: Any = {"scale": 9, "model": tiny, "steps": 0}
    calls: list[Callable[[], object]] = [
        lambda: rs_superres.upscale(array, **asked),
        lambda: rs_superres.upscale(source, tmp_path / "out.tif", **asked),
        lambda: array.superres.upscale(**asked),
        lambda: rs_superres.upscale(dataset, **asked),
        lambda: dataset.superres.upscale(**asked),
        lambda: rs_superres.upscale(array.values, **asked),
    ]
    for call in calls:
        # Not pytest.warns, which raises the other warnings anew, those that are ignored too.
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", errors.CardWarning)
            call()
        (warning,) = caught
        assert "the scale is 9" in str(warning.message)
        assert (warning.filename, warning.lineno) == (__file__, call.__code__.co_firstlineno)


def test_the_accessor(source: Path, tiny: str) -> None:
    array = opened(source)
    want = rs_superres.upscale(array, scale=2, model=tiny, steps=0)
    xr.testing.assert_identical(array.superres.upscale(scale=2, model=tiny, steps=0), want)
    dataset = array.to_dataset(name="photo")
    made = dataset.superres.upscale(scale=2, model=tiny, steps=0)
    np.testing.assert_array_equal(made.photo, want)


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("import rs_superres, sys; sys.exit('xarray' in sys.modules)", 0),
        ("import rs_superres.accessor, sys; sys.exit('torch' in sys.modules)", 0),
        ("import xarray as xr, rs_superres; sys.exit(not hasattr(xr.DataArray, 'superres'))", 0),
        ("import rs_superres.accessor as a, xarray as xr; xr.Dataset().superres.upscale", 0),
    ],
)
def test_imports_are_cheap(tmp_path: Path, script: str, status: int) -> None:
    line = [sys.executable, "-W", "error", "-c", f"import sys; {script}"]
    assert subprocess.run(line, cwd=tmp_path, check=False).returncode == status


def test_the_paper_kind_takes_arrays_too(tmp_path: Path, source: Path) -> None:
    folder = models.write(tmp_path / "paper", models.config("paper"))
    asked: Any = {"scale": 2, "model": folder, "steps": 1}
    rs_superres.upscale(source, tmp_path / "out.tif", **asked)
    made = rs_superres.upscale(opened(source, chunks={"x": 6}), **asked)
    np.testing.assert_array_equal(made, opened(tmp_path / "out.tif"))


@pytest.mark.parametrize(
    ("name", "given", "count"),
    [("value_range", "0:255", 2), ("value_range", 255, 2), ("bounds", (1, 2, None, 4), 4)],
)
def test_numbers_that_are_none(name: str, given: Any, count: int) -> None:
    asked: dict[str, Any] = {name: given}
    with pytest.raises(errors.InputError, match=f"^{name} is .*, expected {count} numbers$"):
        rs_superres.upscale(np.zeros((3, 20, 20), np.uint8), scale=2, steps=0, **asked)
