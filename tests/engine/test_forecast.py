"""What a run would take, and the lattice as GDAL's own tool reads it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio import warp
from shapely.geometry import mapping, shape

from rs_superres import engine
from rs_superres.engine import Options, Plan, forecast
from rs_superres.engine.forecast import write_lattice
from rs_superres.errors import InputError, WriteError
from tests import rasters
from tests.located import Counted, StoppedError
from tests.rasters import NORTH_UP, RGB, textured

Make = Callable[..., Plan]


@pytest.fixture
def make(tmp_path: Path, tiny: str) -> Make:
    def planned(source: Path, **options: Any) -> Plan:
        chosen = {"model": tiny, "steps": 0, "scale": "3", **options}
        return engine.plan(source, tmp_path / "out.tif", Options(**chosen))

    return planned


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """A scene whose left half is nodata: of its nine cells at x3, three hold nothing valid."""
    pixels = textured(1, 3, 50, 44)
    pixels[pixels == 0] = 1
    pixels[:, :, :22] = 0
    return rasters.write(tmp_path / "half.tif", pixels, colours=RGB, nodata=0)


def counted(plan: Plan, limit: int | None = None) -> tuple[Plan, Counted]:
    inference = Counted(plan.recipe.inference, limit)
    recipe = replace(plan.recipe, inference=inference)
    return replace(plan, pixels=replace(plan.pixels, recipe=recipe)), inference


def test_cells_at_once_share_the_time_and_add_up_in_memory(
    make: Make, half: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "cores", lambda: 8)
    monkeypatch.setattr(forecast, "resident", lambda: 10**9)
    monkeypatch.setattr(forecast, "peak", lambda: 2 * 10**9)
    predicted = {
        memory: forecast.forecast(make(half, memory=memory * 10**9)) for memory in (2, 4, 6, 50)
    }
    assert {memory: f.at_once for memory, f in predicted.items()} == {2: 1, 4: 2, 6: 4, 50: 4}
    assert predicted[6].seconds == predicted[6].cell_seconds * 6 / 4
    assert predicted[6].memory_bytes - predicted[2].memory_bytes == 3 * 10**9


def test_one_cell_is_computed_twice(make: Make, half: Path) -> None:
    plan, calls = counted(make(half))
    predicted = forecast.forecast(plan)
    assert calls.calls == 2
    assert (predicted.cells_to_compute, predicted.exact) == (6, True)
    assert predicted.cell_seconds > 0
    assert predicted.seconds == pytest.approx(6 * predicted.cell_seconds)
    assert 5e7 < predicted.memory_bytes < 1e11


class Clock:
    """A clock that advances as a cell is computed, by a constant and by the cell's pixels."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, constant: float, pixel: float) -> None:
        self.now, self.cells = 0.0, list[Any]()
        self._constant, self._pixel = constant, pixel
        monkeypatch.setattr(forecast, "time", self)
        monkeypatch.setattr(forecast, "compute_cell", self.compute)

    def perf_counter(self) -> float:
        return self.now

    def seconds(self, recipe: Any, cell: Any) -> float:
        margin = 2 * recipe.inference.margin
        pixels = (cell.height + margin) * (cell.width + margin)
        passes: int = len(recipe.groups) * recipe.samples
        return float(passes * (self._constant + self._pixel * pixels))

    def compute(self, recipe: Any, _: Any, cell: Any) -> None:
        self.cells.append(cell)
        self.now += self.seconds(recipe, cell) + (0.5 if len(self.cells) == 1 else 0)  # warms up


@pytest.mark.parametrize("bands", [1, 5])
@pytest.mark.parametrize("seconds", [0.01, 1, 10, 100])
def test_measuring_is_bounded(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, bands: int
) -> None:
    """A cell that takes long is extrapolated from its parts."""
    source = rasters.write(tmp_path / "a.tif", textured(1, bands, 30, 30))
    plan = make(source, scale=2)
    (cell,) = plan.cells
    monkeypatch.setattr(forecast, "PART", 8)
    margin = 2 * plan.recipe.inference.margin
    pixel = 0.98 * seconds / (cell.height + margin) ** 2
    clock = Clock(monkeypatch, constant=0.02 * seconds, pixel=pixel)
    expected = clock.seconds(plan.recipe, cell)
    predicted = forecast.forecast(plan)
    assert predicted.cells_to_compute == 1
    if expected <= 1:  # the cell itself was measured
        assert predicted.cell_seconds == pytest.approx(expected)
        assert clock.now < forecast.MEASURING
    elif seconds <= 10:
        assert predicted.cell_seconds == pytest.approx(expected, rel=0.5)
        assert clock.now < max(forecast.MEASURING, seconds)
    else:  # even the smallest part takes long
        assert predicted.cell_seconds == pytest.approx(expected)
        assert len(clock.cells) == 3


def test_a_long_run_is_measured_for_longer(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell of 10 s is little in a run of 170 minutes."""
    source = rasters.write(tmp_path / "a.tif", textured(1, 1, 1024, 1024))
    plan = make(source, scale=2)
    clock = Clock(monkeypatch, constant=0.0, pixel=0.0)
    clock.seconds = lambda *_: 10.0  # type: ignore[method-assign]
    predicted = forecast.forecast(plan)
    assert (predicted.cell_seconds, clock.now) == (10.0, 20.5)


def test_examining_is_bounded(make: Make, half: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "EXAMINING", 0.0)
    predicted = forecast.forecast(make(half))
    assert not predicted.exact
    assert predicted.cells_to_compute in {0, 9}


def test_many_cells_are_sampled(make: Make, half: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "SAMPLED_CELLS", 3)
    predicted = forecast.forecast(make(half))
    assert not predicted.exact
    assert predicted.cells_to_compute in {0, 3, 6, 9}


def test_a_source_without_valid_pixels_takes_no_time(tmp_path: Path, make: Make) -> None:
    zeros = np.zeros((1, 50, 44), dtype=np.uint8)
    plan, calls = counted(make(rasters.write(tmp_path / "a.tif", zeros, nodata=0)))
    predicted = forecast.forecast(plan)
    assert (predicted.cells_to_compute, predicted.seconds, calls.calls) == (0, 0, 0)


def test_finished_cells_are_subtracted(make: Make, half: Path) -> None:
    plan = make(half)
    stopped, _ = counted(plan, 2)  # stops in its fifth cell; two of them held nothing
    with pytest.raises(StoppedError):
        engine.run(stopped)
    before = sorted((p.name, p.stat().st_mtime_ns) for p in plan.scratch.iterdir())
    predicted = forecast.forecast(plan)
    assert (predicted.leftover_cells, predicted.resumes, predicted.cells_to_compute) == (4, True, 4)
    for other in (make(half, seed=3), make(half, resume=False)):
        predicted = forecast.forecast(other)
        assert (predicted.leftover_cells, predicted.resumes, predicted.cells_to_compute) == (
            4,
            False,
            6,
        )
    assert sorted((p.name, p.stat().st_mtime_ns) for p in plan.scratch.iterdir()) == before


# The lattice


def read(path: Path) -> list[dict[str, Any]]:
    features: list[dict[str, Any]] = json.loads(path.read_text())["features"]
    return features


def test_lattice_opens_in_gdal(tmp_path: Path, gdal_tools: Path, make: Make, half: Path) -> None:
    path = tmp_path / "lattice.geojson"
    assert write_lattice(make(half), path, overwrite=False)
    summary = subprocess.run(
        [gdal_tools / "ogrinfo", "-al", "-so", path], check=True, capture_output=True, text=True
    ).stdout
    for line in (
        "Layer name: lattice",
        "Geometry: Polygon",
        "Feature Count: 9",
        "row: Integer (0.0)",
        "column: Integer (0.0)",
        "computed: Integer(Boolean)",
        'ID["EPSG",4326]]',
    ):
        assert line in summary
    numbers = re.search(r"Extent: \((.+), (.+)\) - \((.+), (.+)\)", summary)
    assert numbers is not None
    # Its extent is that of the scene.
    left, bottom, right, top = warp.transform_bounds(
        rasters.UTM, "EPSG:4326", 500_000, 5_399_500, 500_440, 5_400_000
    )
    extent = [float(number) for number in numbers.groups()]
    assert extent == pytest.approx([left, bottom, right, top], abs=1e-6)


@pytest.mark.parametrize("transform", [NORTH_UP, NORTH_UP @ Affine.rotation(33)])
def test_lattice_lies_where_the_cells_lie(
    tmp_path: Path, make: Make, half: Path, transform: Affine
) -> None:
    with rasters.opened(half, "r+") as dataset:
        dataset.transform = transform
    path = tmp_path / "lattice.geojson"
    plan = make(half)
    write_lattice(plan, path, overwrite=False)
    features = read(path)
    by_cell = {(f["properties"]["row"], f["properties"]["column"]): f for f in features}
    assert set(by_cell) == {(row, column) for row in range(3) for column in range(3)}
    assert {key for key, f in by_cell.items() if f["properties"]["computed"]} == {
        (row, column) for row in range(3) for column in (1, 2)
    }
    output = plan.pixels.zoom.output
    assert output.transform is not None
    for (row, column), feature in by_cell.items():
        x, y = output.transform @ (64 * column + 2, 64 * row + 2)
        [longitude], [latitude] = warp.transform(rasters.UTM, "EPSG:4326", [x], [y])
        assert shape(feature["geometry"]).contains(shapely.Point(longitude, latitude))
    union = shapely.union_all([shape(f["geometry"]).buffer(1e-9) for f in features])
    assert isinstance(union, shapely.Polygon)
    assert not union.interiors


def test_lattice_of_an_area(tmp_path: Path, make: Make, half: Path) -> None:
    aoi = tmp_path / "aoi.geojson"
    crs = {"type": "name", "properties": {"name": "EPSG:32633"}}
    corners = [
        shapely.box(500_300, 5_399_950, 500_330, 5_399_990),
        shapely.box(500_400, 5_399_510, 500_430, 5_399_550),
    ]
    aoi.write_text(json.dumps({**mapping(shapely.MultiPolygon(corners)), "crs": crs}))
    path = tmp_path / "lattice.geojson"
    write_lattice(make(half, aoi=aoi), path, overwrite=False)
    computed = {
        (f["properties"]["row"], f["properties"]["column"])
        for f in read(path)
        if f["properties"]["computed"]
    }
    assert computed == {(0, 1), (2, 1), (2, 2)}
    assert len(read(path)) == 6


def test_lattice_without_a_map_is_in_pixels(tmp_path: Path, make: Make) -> None:
    source = rasters.write(tmp_path / "a.tif", textured(1, 1, 50, 44), transform=None, crs=None)
    path = tmp_path / "lattice.geojson"
    assert not write_lattice(make(source), path, overwrite=False)
    assert "pixels of the output" in json.loads(path.read_text())["note"]
    bounds = {shape(f["geometry"]).bounds for f in read(path)}
    assert (0, 0, 64, 64) in bounds
    assert (128, 128, 132, 150) in bounds


def test_lattice_across_the_antimeridian(tmp_path: Path, make: Make) -> None:
    source = rasters.write(
        tmp_path / "a.tif",
        textured(1, 1, 50, 44),
        transform=Affine(10_000, 0, 600_000, 0, -10_000, 5_200_000),
        crs="EPSG:32660",
    )
    path = tmp_path / "lattice.geojson"
    write_lattice(make(source), path, overwrite=False)
    for feature in read(path):
        for part in shapely.get_parts(shape(feature["geometry"])):
            assert part.bounds[2] - part.bounds[0] < 4


def test_lattice_files_that_are_refused(tmp_path: Path, make: Make, half: Path) -> None:
    plan = make(half)
    for path in (half, plan.out):
        with pytest.raises(InputError, match="is a file of the run itself"):
            write_lattice(plan, path, overwrite=True)
    there = tmp_path / "there.geojson"
    there.write_text("precious")
    with pytest.raises(InputError, match="exists already; overwrite=True"):
        write_lattice(plan, there, overwrite=False)
    assert there.read_text() == "precious"
    with pytest.raises(WriteError, match=r"cannot write .*: No such file or directory"):
        write_lattice(plan, tmp_path / "none" / "a.geojson", overwrite=False)
    assert write_lattice(plan, there, overwrite=True)
