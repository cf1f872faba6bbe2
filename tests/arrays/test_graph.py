"""Lazy results: what computing a part reads and computes, and the size of the graph."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import xarray as xr
from dask.callbacks import Callback
from dask.diagnostics.progress import ProgressBar

import rs_superres
from rs_superres import errors
from rs_superres.arrays import graph
from rs_superres.grid import Window
from rs_superres.scene.cell import compute_cell
from tests import rasters
from tests.dataarrays import assert_same, opened
from tests.rasters import textured

Locations = list[tuple[int, ...]]
"""Indices of chunks that were computed, in order."""


@pytest.fixture(scope="module")
def model(tiny: str) -> rs_superres.Model:
    return rs_superres.load_model(tiny)


def counting_array(
    shape: tuple[int, ...], chunk: int, dtype: str = "uint8"
) -> tuple[Any, Locations]:
    """Make a dask array, and a list that grows by the location of each computed chunk."""
    read: Locations = []

    def make(block_info: Any) -> Any:
        location = block_info[None]["chunk-location"]
        read.append(location)
        return textured(sum(location), *block_info[None]["chunk-shape"], dtype=dtype)

    chunks = dask.array.core.normalize_chunks((-1, chunk, chunk), shape)
    return dask.array.map_blocks(make, chunks=chunks, dtype=dtype, meta=np.empty(0, dtype)), read


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> list[Window]:
    """A list that grows by each computed cell."""
    seen: list[Window] = []

    def compute(recipe: Any, reader: Any, cell: Window) -> Any:
        seen.append(cell)
        return compute_cell(recipe, reader, cell)

    monkeypatch.setattr(graph, "compute_cell", compute)
    return seen


@pytest.mark.parametrize(
    ("dtype", "value_range"), [("uint8", None), ("uint16", (0.0, 255.0)), ("float32", (0.0, 255.0))]
)
def test_a_corner_reads_and_computes_only_its_cells(
    model: rs_superres.Model,
    cells: list[Window],
    dtype: str,
    value_range: tuple[float, float] | None,
) -> None:
    source, read = counting_array((3, 1000, 1000), 105, dtype)
    options: Any = {} if value_range is None else {"value_range": value_range}
    result = rs_superres.upscale(source, scale=2, model=model, steps=0, **options)
    assert result.shape == (3, 2000, 2000)
    assert read == []
    result[:, :100, :60].compute()
    assert sorted(cells, key=lambda cell: cell.row) == [
        Window(0, 0, 64, 64),
        Window(64, 0, 64, 64),
    ]
    # 128 output pixels are 64 source pixels. With halo and margin they fit into the first 105.
    assert read == [(0, 0, 0)]
    read.clear()
    result[:, 1000:1001, 1000:1001].compute()
    assert len(cells) == 3
    assert sorted(read) == [(0, 4, 4), (0, 4, 5), (0, 5, 4), (0, 5, 5)]


def test_sampling_value_ranges_reads_the_samples_once(
    model: rs_superres.Model, cells: list[Window]
) -> None:
    source, read = counting_array((1, 2000, 130), 65, "uint16")
    result = rs_superres.upscale(source, scale=2, model=model, steps=0)
    assert read == []
    result[:, :10, :10].compute()
    assert len(cells) == 1
    assert 16 <= len(set(read)) <= 62
    assert len(set(read)) == len(read)


def test_the_graph_has_one_task_per_cell(model: rs_superres.Model) -> None:
    """Its size depends neither on pixels nor on source chunks, and it holds the model once."""

    def layer(side: int, chunk: int) -> dict[Any, Any]:
        source = dask.array.zeros((3, side, side), chunks=(1, chunk, chunk), dtype="uint8")
        result = rs_superres.upscale(source, scale=4, model=model, steps=0)
        tasks: dict[Any, Any] = dict(result.__dask_graph__().layers[result.name])
        return tasks

    assert len(layer(64, 64)) == 16 + 1
    assert len(layer(64, 5)) == 16 + 1
    large = layer(640, 640)
    assert len(large) == 40 * 40 + 1
    recipe = len(pickle.dumps(layer(64, 64)))
    assert len(pickle.dumps(large)) - recipe < 1600 * 400


def test_dask_shows_the_progress_of_the_cells(
    model: rs_superres.Model, cells: list[Window]
) -> None:
    array, _ = counting_array((3, 60, 60), 30)
    result = rs_superres.upscale(array, scale=2, model=model, steps=0)
    shown, finished = io.StringIO(), set[int]()

    def count(*_: object) -> None:
        finished.add(len(cells))

    with ProgressBar(out=shown), Callback(posttask=count):
        result.compute(scheduler="synchronous")
    assert len(cells) == 4
    # The bar counts tasks, and each cell is one.
    assert finished >= {1, 2, 3, 4}
    assert "100% Completed" in shown.getvalue()


def test_no_task_depends_on_the_entire_array(model: rs_superres.Model) -> None:
    source = dask.array.zeros((3, 1000, 1000), chunks=(3, 50, 50), dtype="uint16")
    result = rs_superres.upscale(source, scale=2, model=model, steps=0)
    graph = dict(result.__dask_graph__())
    most = max(len(dask.core.get_dependencies(graph, k)) for k in graph if k[0] == result.name)
    assert most <= 5 * 5 + 2


def test_tasks_can_be_pickled(model: rs_superres.Model, tmp_path: Path) -> None:
    source = rasters.write(tmp_path / "scene.tif", textured(2, 3, 40, 40))
    options: Any = {"scale": 2, "model": model, "steps": 2}
    rs_superres.upscale(source, tmp_path / "out.tif", **options)
    result = rs_superres.upscale(opened(source, chunks={"y": 13}), **options)
    layer = dict(result.data.__dask_graph__().layers[result.data.name])
    graph = pickle.loads(pickle.dumps(layer))  # noqa: S301 (pickled in the line above)
    rest = {k: v for k, v in dict(result.__dask_graph__()).items() if k not in graph}
    again = dask.array.Array(graph | rest, result.data.name, result.data.chunks, dtype=result.dtype)
    assert_same(result.copy(data=again), tmp_path / "out.tif")


def test_equal_calls_have_equal_names(model: rs_superres.Model) -> None:
    source = dask.array.zeros((1, 40, 40), chunks=20, dtype="uint8")

    def name(array: Any = source, **options: Any) -> str:
        arguments: Any = {"scale": 2, "model": model, "steps": 0} | options
        return str(rs_superres.upscale(array, **arguments).name)

    names = [name(), name(seed=1), name(steps=1), name(scale=3), name(value_range=(0, 9))]
    names += [name(nodata=3), name(source + 1)]
    assert len(set(names)) == len(names)
    assert name() == names[0]


def test_chunks_of_unknown_size_are_refused(model: rs_superres.Model) -> None:
    source = dask.array.zeros((1, 40, 40), chunks=20, dtype="uint8")
    unknown = source[:, source[0, :, 0] == 0]
    with pytest.raises(errors.InputError, match="compute_chunk_sizes"):
        rs_superres.upscale(unknown, scale=2, model=model)


def test_chunks_may_be_empty_or_of_one_pixel(model: rs_superres.Model) -> None:
    pixels = textured(3, 3, 20, 22)
    expected = rs_superres.upscale(pixels, scale=3, model=model, steps=0)
    source = dask.array.from_array(pixels, chunks=((1, 2), (0, 1, 18, 0, 1), (1,) * 22))
    result = rs_superres.upscale(source, scale=3, model=model, steps=0)
    np.testing.assert_array_equal(result.compute(), expected)
    assert isinstance(xr.DataArray(result).chunks, tuple)
