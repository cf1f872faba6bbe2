"""The front door: ``rs_superres.upscale``, the accessor, and what the package exports."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import rs_superres
import rs_superres.accessor  # registers the accessor ``superres``
from rs_superres import errors
from rs_superres.scene.survey import survey
from rs_superres.verify import verify
from tests import models, rasters
from tests.dataarrays import opened
from tests.rasters import NORTH_UP, RGB, UTM, textured

BOX = xr.DataArray(textured(1, 3, 20, 22), dims=("band", "y", "x"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return rasters.write(tmp_path / "scene.tif", textured(1, 3, 20, 22), colours=RGB)


def test_files_are_upscaled_to_a_file(tmp_path: Path, source: Path, tiny: str) -> None:
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
    with pytest.warns(rs_superres.ColourWarning, match="rs-sr batch upscales each of the 2 files"):
        stack = rs_superres.upscale(
            [source, source], tmp_path / "six.tif", scale=2, model=tiny, steps=0
        )
    assert rasters.read(stack.out).shape == (6, 40, 44)


def test_progress_counts_the_cells_of_all_scenes_of_an_array(tiny: str) -> None:
    seen: list[tuple[int, int]] = []
    scenes = np.stack([textured(seed, 3, 20, 90) for seed in (1, 2)])
    keywords: Any = {"scale": 2, "model": tiny, "steps": 0}
    result = rs_superres.upscale(
        scenes, progress=lambda done, total: seen.append((done, total)), **keywords
    )
    total = seen[-1][1]
    assert total > 2
    assert seen == [(done, total) for done in range(1, total + 1)]
    assert np.array_equal(result, rs_superres.upscale(scenes, **keywords))


def test_a_model_is_loaded_once(
    tmp_path: Path, source: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = rs_superres.load_model(tiny)
    assert isinstance(model, rs_superres.Model)
    monkeypatch.setattr("rs_superres.zoo.models.load", lambda *_: pytest.fail("loaded again"))
    rs_superres.upscale(source, tmp_path / "out.tif", scale=2, model=model, steps=0)
    for scale in (2, 3):
        result = rs_superres.upscale(opened(source), scale=scale, model=model, steps=0)
        assert result.attrs["SUPERRES_MODEL"] == "tiny"


@pytest.mark.parametrize(
    ("given", "keywords", "message"),
    [
        ((BOX, "out.tif"), {}, "out= applies to files only"),
        ((BOX,), {"overwrite": True}, "overwrite= applies to files only"),
        (
            (BOX.chunk(),),
            {"progress": print},
            "progress= applies to files and to arrays in memory; .* dask.diagnostics",
        ),
        ((BOX.chunk(),), {"progress": True}, "progress= applies to .* dask.diagnostics"),
        ((BOX,), {"progress": "yes"}, "progress='yes', expected True, False, None or a function"),
        ((xr.Dataset({"a": BOX}),), {"progress": print}, "progress= of a Dataset is True, False"),
        ((BOX,), {"uncertainty": "std.tif"}, "uncertainty= applies to files only"),
        (("scene.tif",), {}, "scene.tif is a file and the result needs a name"),
        ((3,), {}, "of type int, expected a path, an xarray.DataArray"),
        (([],), {}, "of type list, expected a path"),
        ((np.zeros(3),), {}, "the array has 1 dimensions, expected .y, x."),
        ((BOX,), {"scale": 1}, "scale=1, expected a number above 1"),
        ((BOX,), {"scale": None}, "one of scale=, resolution= and like= is needed"),
        (
            (BOX,),
            {"resolution": 3, "scale": None},
            "resolution= needs a raster with an affine transform",
        ),
        ((BOX,), {"rgb": (1, 2, 5)}, "rgb= lists band 5, the array has bands 1 to 3"),
        ((BOX,), {"nodata": 256}, "nodata 256, expected a value that uint8 holds"),
        ((BOX,), {"value_range": (3, 2)}, r"value_range=\(3, 2\), expected the lower number first"),
        ((BOX,), {"classes": "expand"}, "classes='expand' needs a colour table"),
        ((BOX,), {"steps": -1}, "steps=-1, expected a whole number, 0 or more"),
        ((BOX,), {"model": "nowhere"}, "no model 'nowhere'"),
        ((BOX,), {"device": "abacus"}, "device='abacus', expected auto"),
    ],
)
def test_wrong_calls_are_refused_in_one_line(
    tiny: str, given: Any, keywords: Any, message: str
) -> None:
    with pytest.raises(errors.SuperResError, match=message) as caught:
        rs_superres.upscale(*given, **{"scale": 2, "model": tiny} | keywords)
    assert "\n" not in str(caught.value)


def test_a_misspelt_keyword_is_refused(tmp_path: Path, source: Path) -> None:
    misspelt: Any = {"scael": 2}
    with pytest.raises(TypeError, match="'scael'"):
        rs_superres.upscale(BOX, **misspelt)
    with pytest.raises(TypeError, match="'scael'"):
        rs_superres.upscale(source, tmp_path / "out.tif", **misspelt)


def test_warnings_point_at_the_callers_line(tmp_path: Path, source: Path, tiny: str) -> None:
    array = opened(source)
    dataset = array.to_dataset(name="photo")
    keywords: Any = {"scale": 9, "model": tiny, "steps": 0}
    calls: list[Callable[[], object]] = [
        lambda: rs_superres.upscale(array, **keywords),
        lambda: rs_superres.upscale(source, tmp_path / "out.tif", **keywords),
        lambda: array.superres.upscale(**keywords),
        lambda: rs_superres.upscale(dataset, **keywords),
        lambda: dataset.superres.upscale(**keywords),
        lambda: rs_superres.upscale(array.values, **keywords),
    ]
    for call in calls:
        # Not pytest.warns, which raises the other warnings anew, those that are ignored too.
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", errors.CardWarning)
            call()
        (warning,) = caught
        assert "the scale is 9" in str(warning.message)
        assert (warning.filename, warning.lineno) == (__file__, call.__code__.co_firstlineno)


def test_the_accessor_upscales_arrays_and_datasets(source: Path, tiny: str) -> None:
    array = opened(source)
    want = rs_superres.upscale(array, scale=2, model=tiny, steps=0)
    xr.testing.assert_identical(array.superres.upscale(scale=2, model=tiny, steps=0), want)
    dataset = array.to_dataset(name="photo")
    result = dataset.superres.upscale(scale=2, model=tiny, steps=0)
    np.testing.assert_array_equal(result.photo, want)


@pytest.mark.parametrize(
    "script",
    [
        "import rs_superres; assert not {'xarray', 'torch', 'numpy'} & {*sys.modules}",
        "import rs_superres.xarray; assert 'torch' not in sys.modules",
        "import rs_superres; rs_superres.InputError, rs_superres.CardWarning",
        "import rs_superres; assert {*rs_superres.__all__} <= {*dir(rs_superres)}",
        "from rs_superres import *; assert upscale.__module__ == 'rs_superres.api'",
    ],
)
def test_the_front_door_is_cheap_and_complete(tmp_path: Path, script: str) -> None:
    check(tmp_path, script)


@pytest.mark.parametrize(
    "imports",
    [
        "import rs_superres, xarray",
        "import xarray, rs_superres",
        "import rs_superres.xarray, xarray",
        "import rs_superres.accessor, xarray",
        "import rs_superres, rioxarray, xarray",
        "import rs_superres; in_thread('xarray'); import xarray",
        "import rs_superres; in_thread('xarray').join(); import xarray",
        "import xarray; in_thread('rs_superres').join()",
        "in_thread('xarray'); import rs_superres; import xarray",
        "import rs_superres; importlib.util.find_spec('xarray'); import xarray",
    ],
)
def test_the_accessor_is_registered_whatever_the_order_of_imports(
    tmp_path: Path, imports: str
) -> None:
    check(tmp_path, f"{imports}; xarray.DataArray([[1.0]]).superres; xarray.Dataset().superres")


def check(folder: Path, script: str) -> None:
    """Run statements in another process, where warnings are errors."""
    line = [sys.executable, "-W", "error", "-c", f"{PREAMBLE}\n{script}"]
    subprocess.run(line, cwd=folder, check=True)


PREAMBLE = """
import importlib.util, sys, threading
def in_thread(name):
    thread = threading.Thread(target=__import__, args=(name,))
    thread.start()
    return thread
"""


def test_models_of_the_papers_kind_take_arrays(tmp_path: Path, source: Path) -> None:
    folder = models.write(tmp_path / "paper", models.config("paper"))
    options: Any = {"scale": 2, "model": folder, "steps": 1}
    rs_superres.upscale(source, tmp_path / "out.tif", **options)
    result = rs_superres.upscale(opened(source, chunks={"x": 6}), **options)
    np.testing.assert_array_equal(result, opened(tmp_path / "out.tif"))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_alpha_next_to_nodata_gives_no_warning_of_rasterio(
    tmp_path: Path, tiny: str, dtype: str
) -> None:
    """rasterio warns whenever the mask of such a raster is read; here warnings are errors."""
    pixels = textured(1, 4, 20, 22, dtype=dtype)
    pixels[:3, :4], pixels[3] = 0, 255
    source = rasters.write(tmp_path / "scene.tif", pixels, colours=(*RGB, "alpha"), nodata=0)
    out = tmp_path / "out.tif"
    keywords: Any = {"scale": 2, "model": tiny, "steps": 0, "preview": tmp_path / "p.png"}
    rs_superres.upscale(source, out, **keywords)
    assert not rasters.read(out)[:3, :8].any()
    survey(str(source))
    assert not verify(str(out), str(source)).failed
