"""Tests of the benchmarks."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch

from rs_superres import zoo
from rs_superres.demo.synthetic_scene import render_scene, scene_grid
from rs_superres.raster import write_image


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import the module, which is not installed."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    return importlib.import_module("benchmarks.commands")


@pytest.mark.parametrize("size", [1, 150_000_000])
def test_memory_and_disk_exclude_the_measuring_process(
    commands: Any, tmp_path: Path, size: int
) -> None:
    held = np.ones(40_000_000)
    code = f"import time; x = b'1' * {size}; open('x', 'wb').write(x); time.sleep(0.5)"
    program = f"import os; os.chdir({str(tmp_path)!r}); {code}"
    seconds, memory, disk = commands._measure([sys.executable, "-c", program], tmp_path)
    assert seconds > 0.5
    assert size < memory < size + 60e6 < size + held.nbytes
    assert disk == size


def test_gdal_is_timed_with_the_same_compression_and_overviews(
    commands: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "scene.tif"
    write_image(path, render_scene(160, samples=1), scene_grid(160))
    monkeypatch.setattr(commands, "scene", lambda *_: path)
    results: list[object] = []
    for tool in (None, shutil.which("gdal_translate")):
        if tool is None and results:
            pytest.skip("gdal_translate is not installed")
        monkeypatch.setattr(shutil, "which", lambda _, tool=tool: tool)
        rows = commands.interpolation(tmp_path, quick=True)
        assert len(rows) == 3
        with rasterio.open(tmp_path / "cubic.tif") as dataset:
            tags = dataset.tags(ns="IMAGE_STRUCTURE")
            results.append(
                ({k: tags[k] for k in ("COMPRESSION", "PREDICTOR")}, dataset.overviews(1))
            )
    assert results[0] == results[1]


@pytest.mark.full
def test_gpu_benchmark_runs_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    gpu = importlib.import_module("benchmarks.gpu")
    sizes = gpu.Sizes(
        product=64, copied=1000, sides=(64,), compared=64, megapixels=64**2 / 1e6, repeats=1
    )
    tables = [rows for _, rows in gpu.measure(tmp_path, torch.device("cpu"), sizes)]
    assert [len(rows) for rows in tables] == [2, 5, 5, 5, 3]
    assert all({len(row) for row in rows} == {len(rows[0])} for rows in tables)
    differences = [row[4] for row in tables[3] if row[2] == "fp32"]
    assert differences == ["rms 0.00000, largest 0.0000 DN"] * 2
    model = zoo.load("aerial")
    for steps in (0, 2):
        compute_settings, cell = gpu._prepare_cell(model, torch.device("cpu"), steps, 64, "fp32")
        alone = gpu.network_alone(model, compute_settings, cell)()
        torch.testing.assert_close(alone[0], cell(), rtol=0, atol=0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "skipped" in str(list(gpu.on_gpu(tmp_path)))
