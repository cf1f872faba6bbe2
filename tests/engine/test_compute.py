"""Cells computed side by side in one process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio._env import get_gdal_config

from rs_superres import engine
from rs_superres.engine import Options, Plan, compute
from rs_superres.engine.compute import compute_here
from rs_superres.engine.store import CellStore
from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Window
from rs_superres.raster import Source
from rs_superres.scene.cell import CellResult, compute_cell
from rs_superres.scene.reader import Reader
from rs_superres.scene.recipe import CellRecipe
from rs_superres.system.memory import peak, resident
from tests import rasters
from tests.rasters import RGB, textured


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A scene that takes nine cells at x3."""
    return rasters.write(tmp_path / "scene.tif", textured(1, 3, 50, 44), colours=RGB)


def upscaled(source: Path, out: Path, tiny: str) -> list[tuple[int, int]]:
    """Run it, and return the calls of its progress."""
    calls: list[tuple[int, int]] = []
    engine.upscale(
        source,
        out,
        Options(scale="3", model=tiny),
        progress=lambda done, total: calls.append((done, total)),
    )
    return calls


def pool_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The threads of each pool that a run makes from now on."""
    pools: list[int] = []

    def pool(workers: int, **more: Any) -> ThreadPoolExecutor:
        pools.append(workers)
        return ThreadPoolExecutor(workers, **more)

    monkeypatch.setattr(compute, "ThreadPoolExecutor", pool)
    return pools


def test_processors_change_no_byte(
    source: Path, tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bytes_of = {}
    for cores in (2, 8):
        monkeypatch.setattr(compute, "cores", lambda cores=cores: cores)
        out = tmp_path / f"{cores}.tif"
        calls = upscaled(source, out, tiny)
        assert calls == [(done, 9) for done in range(10)]
        bytes_of[cores] = out.read_bytes()
    assert bytes_of[2] == bytes_of[8]


def test_half_as_many_cells_continue_when_gpu_memory_runs_out(
    source: Path, tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card that holds two cells at once, and one that holds none."""
    upscaled(source, tmp_path / "full.tif", tiny)
    monkeypatch.setattr(compute, "cores", lambda: 16)
    pools = pool_sizes(monkeypatch)
    real = compute.compute_one

    def compute_one(plan: Plan, store: CellStore, cell: Window) -> None:
        if pools[-1] > 2 and cell.row:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")
        real(plan, store, cell)

    monkeypatch.setattr(compute, "compute_one", compute_one)

    calls = upscaled(source, tmp_path / "out.tif", tiny)
    assert calls == [(done, 9) for done in range(10)]
    assert pools == [8, 4, 2]
    assert (tmp_path / "out.tif").read_bytes() == (tmp_path / "full.tif").read_bytes()

    def compute_none(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")

    monkeypatch.setattr(compute, "compute_cell", compute_none)
    with pytest.raises(InputError, match=r"does not hold one cell .*device='cpu'$") as caught:
        upscaled(source, tmp_path / "none.tif", tiny)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "none.tif").exists()


def test_a_failing_cell_among_others_stops_the_run(
    source: Path, tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute, "cores", lambda: 8)

    def failing(recipe: CellRecipe, reader: Reader, cell: Window) -> Any:
        if cell.row and cell.column:
            raise RasterError("cannot read it")
        return compute_cell(recipe, reader, cell)

    monkeypatch.setattr(compute, "compute_cell", failing)
    out = tmp_path / "out.tif"
    with pytest.raises(RasterError, match="cannot read it"):
        upscaled(source, out, tiny)
    assert not out.exists()
    monkeypatch.setattr(compute, "compute_cell", compute_cell)
    upscaled(source, out, tiny)
    assert out.exists()


@pytest.mark.parametrize(
    "cores_limit_at_once", [(8, 10.0, 4), (8, 4.5, 3), (8, 2.1, 1), (5, 10.0, 2), (1, 9.0, 1)]
)
def test_cells_at_once_follow_from_what_the_first_took(
    source: Path,
    tmp_path: Path,
    tiny: str,
    monkeypatch: pytest.MonkeyPatch,
    cores_limit_at_once: tuple[int, float, int],
) -> None:
    """The process held 1 GB before, 2 GB with a cell: one GB each."""
    cores, limit, at_once = cores_limit_at_once
    monkeypatch.setattr(compute, "resident", lambda: 10**9)
    monkeypatch.setattr(compute, "peak", lambda: 2 * 10**9)
    pools = pool_sizes(monkeypatch)
    options = Options(scale="3", model=tiny, memory=int(limit * 10**9))
    engine.run(
        engine.plan(source, tmp_path / "out.tif", options),
        compute=partial(compute_here, processors=cores),
    )
    assert pools == ([at_once] if at_once > 1 else [1, 1])  # a reader, a writer


@pytest.mark.parametrize(
    "case", [(16, 64, 40.0, 16), (16, 5.5, 40.0, 3), (16, 64, 4.5, 5), (1, 64, 40.0, 1)]
)
def test_cells_at_once_on_a_gpu(
    source: Path,
    tmp_path: Path,
    tiny: str,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[int, float, float, int],
) -> None:
    """A thread a processor, as far as either memory bears: a cell takes 1 GB of both."""
    processors, limit, free, at_once = case
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (int(free * 1e9), 80 * 10**9))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 5 * 10**8)
    options = Options(scale="3", model=tiny, memory=int(limit * 10**9))
    plan = engine.plan(source, tmp_path / "out.tif", options)
    for device, expected in (("cuda", at_once), ("mps", 1)):
        on_device = replace(plan, pixels=replace(plan.pixels, device=device))
        assert compute.cells_at_once(on_device, 10**9, 2 * 10**9, processors) == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_threads_on_a_gpu_give_the_pixels_of_the_cpu(
    source: Path, tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute, "cores", lambda: 4)
    results = []
    for device in ("cpu", "cuda"):
        out = tmp_path / f"{device}.tif"
        engine.upscale(source, out, Options(scale="3", model=tiny, device=device, precision="fp32"))
        with rasterio.open(out) as dataset:
            results.append(dataset.read().astype(int))
    assert np.abs(results[0] - results[1]).max() <= 1


def test_blank_cells_do_not_decide_cells_at_once(
    tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first cell that is computed decides, not the blank ones before it."""
    pixels = textured(1, 3, 50, 44)
    pixels[:, :22] = 0
    source = rasters.write(tmp_path / "scene.tif", pixels, colours=RGB, nodata=0)
    finished: list[int] = []
    plan = engine.plan(source, tmp_path / "out.tif", Options(scale="3", model=tiny))

    def measured_peak() -> int:
        finished.append(len(list(plan.scratch.glob("*.tif"))))
        return 10**9

    monkeypatch.setattr(compute, "peak", measured_peak)
    report = engine.run(plan)
    assert report.blank == 3
    assert finished[0] == 4


def test_a_memory_limit_too_small_for_a_cell_is_refused(
    source: Path, tmp_path: Path, tiny: str
) -> None:
    out = tmp_path / "out.tif"
    with pytest.raises(
        InputError, match=r"one cell .* GB of memory, allowed are 0\.05 GB; use memory=\d+\.\dGB"
    ):
        engine.upscale(source, out, Options(scale="3", model=tiny, memory=50_000_000))
    assert not out.exists()


def test_memory_changes_no_byte(source: Path, tmp_path: Path, tiny: str) -> None:
    results = []
    for memory in (None, 60 * 10**9):
        out = tmp_path / f"{memory}.tif"
        engine.upscale(source, out, Options(scale="3", model=tiny, memory=memory))
        results.append(out.read_bytes())
    assert results[0] == results[1]


def test_gdal_cache_is_bounded_during_a_run(
    source: Path, tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GDAL_CACHEMAX", raising=False)
    before, limits = get_gdal_config("GDAL_CACHEMAX"), set()
    limit = resident() + 1_000_000_000
    options = Options(scale="3", model=tiny, memory=limit)
    engine.upscale(
        source,
        tmp_path / "out.tif",
        options,
        progress=lambda *_: limits.add(get_gdal_config("GDAL_CACHEMAX")),
    )
    assert limits == {min(limit // 16, 128 * 2**20)}
    assert get_gdal_config("GDAL_CACHEMAX") == before


def test_an_earlier_larger_run_does_not_count(source: Path, tmp_path: Path, tiny: str) -> None:
    limit = resident() + 400_000_000
    taken = np.ones(600_000_000, dtype=np.uint8)
    del taken
    assert peak() > limit
    options = Options(scale="3", model=tiny, memory=limit)
    engine.upscale(source, tmp_path / "out.tif", options)


def test_reading_and_writing_overlap_with_computing(
    source: Path, tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the third cell is computed, the fourth is read and the second written."""
    computed: list[Window] = []
    read, written = Event(), Event()
    reading, putting = Source.read_mirrored, CellStore.put

    def observed_read(self: Source, window: Window) -> Any:
        if len(computed) == 3:
            read.set()
        return reading(self, window)

    def observed_put(self: CellStore, cell: Window, result: CellResult, *, blank: bool) -> None:
        if cell in computed[1:2]:
            assert third.wait(20)  # held back until the third is being computed
            written.set()
        putting(self, cell, result, blank=blank)

    third = Event()

    def observed(recipe: CellRecipe, reader: Reader, cell: Window) -> CellResult:
        computed.append(cell)
        if len(computed) == 3:
            third.set()
            assert read.wait(20)
            assert written.wait(20)
        return compute_cell(recipe, reader, cell)

    monkeypatch.setattr(compute, "cores", lambda: 2)
    monkeypatch.setattr(Source, "read_mirrored", observed_read)
    monkeypatch.setattr(CellStore, "put", observed_put)
    monkeypatch.setattr(compute, "compute_cell", observed)
    calls = upscaled(source, tmp_path / "out.tif", tiny)
    assert calls == [(done, 9) for done in range(10)]
    assert len(computed) == len(set(computed)) == 9
