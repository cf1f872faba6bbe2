"""What the benchmarks tell of whole commands."""

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
    """The module, which no installation holds."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    return importlib.import_module("benchmarks.commands")


@pytest.mark.parametrize("taken", [1, 150_000_000])
def test_memory_and_disk_are_the_command_s_own(commands: Any, tmp_path: Path, taken: int) -> None:
    """What the process that starts it holds does not count."""
    ours = np.ones(40_000_000)
    code = f"import time; x = b'1' * {taken}; open('x', 'wb').write(x); time.sleep(0.5)"
    program = f"import os; os.chdir({str(tmp_path)!r}); {code}"
    seconds, memory, disk = commands._watched([sys.executable, "-c", program], tmp_path)
    assert seconds > 0.5
    assert taken < memory < taken + 60e6 < taken + ours.nbytes
    assert disk == taken


def test_gdal_writes_what_we_write(
    commands: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compression, predictor, overviews: the yardstick does as much."""
    path = tmp_path / "scene.tif"
    write_image(path, render_scene(160, samples=1), scene_grid(160))
    monkeypatch.setattr(commands, "scene", lambda *_: path)
    found: list[object] = []
    for tool in (None, shutil.which("gdal_translate")):
        if tool is None and found:
            pytest.skip("gdal_translate is not installed")
        monkeypatch.setattr(shutil, "which", lambda _, tool=tool: tool)
        rows = commands.interpolation(tmp_path, quick=True)
        assert len(rows) == 3
        with rasterio.open(tmp_path / "cubic.tif") as dataset:
            tags = dataset.tags(ns="IMAGE_STRUCTURE")
            found.append(({k: tags[k] for k in ("COMPRESSION", "PREDICTOR")}, dataset.overviews(1)))
    assert found[0] == found[1]


@pytest.mark.full
def test_what_is_measured_of_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tried on the CPU, where the picture is the CPU's."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    gpu = importlib.import_module("benchmarks.gpu")
    sizes = gpu.Sizes(
        product=64, copied=1000, sides=(64,), compared=64, megapixels=64**2 / 1e6, repeats=1
    )
    tables = [rows for _, rows in gpu.measured(tmp_path, torch.device("cpu"), sizes)]
    assert [len(rows) for rows in tables] == [2, 5, 5, 5, 3]
    assert all({len(row) for row in rows} == {len(rows[0])} for rows in tables)
    same = [row[4] for row in tables[3] if row[2] == "fp32"]
    assert same == ["rms 0.00000, largest 0.0000 DN"] * 2
    model = zoo.load("aerial")
    for steps in (0, 2):
        manner, cell = gpu._asked(model, torch.device("cpu"), steps, 64, "fp32")
        alone = gpu.resident(model, manner, cell)()
        torch.testing.assert_close(alone[0], cell(), rtol=0, atol=0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "skipped" in str(list(gpu.on_gpu(tmp_path)))
