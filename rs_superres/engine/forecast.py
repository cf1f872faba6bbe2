"""A forecast of what a run takes, measured in a few seconds; and the lattice of cells as a map.

Nothing here touches the result or its scratch folder.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.warp import transform_geom

from rs_superres.engine.compute import cells_at_once
from rs_superres.engine.planning import Plan
from rs_superres.engine.store import CellStore
from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Window
from rs_superres.raster import FAILURES, Source, block_cache
from rs_superres.scene.cell import compute_cell, holds_valid
from rs_superres.scene.recipe import CellRecipe
from rs_superres.system.files import write_file
from rs_superres.system.memory import forget_peak, peak, resident
from rs_superres.system.threads import cores
from rs_superres.types import Doubles
from rs_superres.vector import LONGITUDE_LATITUDE, split_layer

logger = logging.getLogger(__name__)

SAMPLED_CELLS = 1024
"""Upper limit of the cells that are examined; of more cells, evenly spaced ones are."""

EXAMINING = 3.0
"""Seconds after which no more cells are examined."""

MEASURING = 4.0
"""Seconds that measuring may take; longer if that is at most :data:`SHARE` of the run."""

MOST_MEASURING = 30.0
"""Seconds that measuring may take in the longest of runs."""

SHARE = 0.02
"""Share of a run's time that measuring may take."""

TRIED = 16
"""Number of cells whose middle is tried until one has a valid pixel."""

PART = 64
"""Side of the part of a cell that is measured first, output pixels."""

EDGE = 16
"""Pieces into which a cell's edge is cut before it is reprojected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a run takes on this machine."""

    cells_to_compute: int
    """Number of cells that hold a valid pixel and are not finished yet."""
    exact: bool
    """Whether every cell was examined, not only a sample."""
    leftover_cells: int
    """Number of finished cells of an earlier run of this result."""
    resumes: bool
    """Whether the run uses those cells."""
    cell_seconds: float
    """Duration of one cell's computation, measured or extrapolated from a part of it, seconds."""
    at_once: int
    """Number of cells that are computed at once."""
    memory_bytes: int
    """The process's highest memory with so many cells, and GDAL's block cache, bytes."""

    @property
    def seconds(self) -> float:
        """Duration of the computation with its reading, but without the assembly, seconds."""
        return self.cells_to_compute * self.cell_seconds / self.at_once


@dataclass(frozen=True, slots=True)
class _Cost:
    """What computing one cell takes."""

    seconds: float
    memory: int
    """Bytes beyond those that the process holds between cells."""


def forecast(plan: Plan) -> Forecast:
    """Examine the cells of a run, and compute one of them, or a part if that takes too long.

    Raises:
        RasterError: the source cannot be read.
    """
    cells, store = plan.cells, CellStore(plan.scratch)
    resumes = plan.options.resume and store.fits(plan.settings())
    stride, most = max(1, -(-len(cells) // SAMPLED_CELLS)), peak()
    with block_cache(plan.block_cache), plan.open_source() as source:
        valid, examined = _valid_cells(plan, source, list(islice(cells, 0, None, stride)))
        to_compute = [c for c in valid if not (resumes and store.has(c))]
        count = round(len(cells) * len(to_compute) / examined)
        forget_peak()  # that of planning
        before = resident()
        cost = _Cost(0.0, 0)
        if to_compute:
            cost = _measure(plan, source, to_compute, count)
    highest = before + cost.memory
    at_once = min(cells_at_once(plan, before, highest, cores()), max(count, 1))
    return Forecast(
        cells_to_compute=count,
        exact=examined == len(cells),
        leftover_cells=store.finished,
        resumes=resumes and store.finished > 0,
        cell_seconds=cost.seconds,
        at_once=at_once,
        memory_bytes=max(most, before + at_once * cost.memory) + _block_cache_bytes(plan),
    )


def _valid_cells(plan: Plan, source: Source, cells: Sequence[Window]) -> tuple[list[Window], int]:
    """Examine cells until :data:`EXAMINING` is over.

    Returns:
        Those with a valid pixel, in their order, and the number of cells that were examined.
    """
    started, valid, examined = time.perf_counter(), [], 0
    # Every 16th first, so that those that are examined in time are spread over the scene.
    for number in sorted(range(len(cells)), key=lambda number: number % 16):
        if examined and time.perf_counter() - started > EXAMINING:
            break
        examined += 1
        if holds_valid(plan.recipe, source, cells[number]):
            valid.append(number)
    return [cells[number] for number in sorted(valid)], examined


def _measure(plan: Plan, source: Source, cells: Sequence[Window], count: int) -> _Cost:
    """Measure what a cell takes, on one that lies in the middle.

    A small part of it is computed to warm up, and again. Then come a part of twice its side, and
    larger ones while there is time. What the entire cell takes is extrapolated; if that is little,
    the cell is computed.

    Args:
        plan: the plan of the run.
        source: the opened source.
        cells: cells that the run computes.
        count: how many cells the run computes.
    """
    recipe, middle = plan.recipe, len(cells) // 2
    nearest = sorted(range(len(cells)), key=lambda number: abs(number - middle))[:TRIED]
    parts = ((cells[number], _middle(cells[number], PART)) for number in nearest)
    cell, part = next(
        (pair for pair in parts if holds_valid(recipe, source, pair[1])),
        (cells[middle], cells[middle]),
    )
    # A single pass through the networks; the entire cell takes one for each group and sample.
    once = replace(recipe, groups=recipe.groups[:1], samples=1, uncertainty_factor=None)
    passes = max(1, len(recipe.groups)) * recipe.samples
    costs: list[tuple[Window, _Cost]] = []
    started = time.perf_counter()
    while True:
        costs.append((part, _cost(once, source, part)))
        estimate = _extrapolated(recipe, costs, cell, passes)
        allowed = max(MEASURING, min(MOST_MEASURING, SHARE * count * estimate.seconds))
        allowed -= time.perf_counter() - started
        if estimate.seconds <= allowed:
            break
        last, is_whole = part, part == cell
        if len(costs) > 1 or is_whole:  # the first one warmed up, and is computed again
            part = _middle(cell, 2 * max(part.height, part.width))
        needed = costs[-1][1].seconds * _pixels(recipe, part) / _pixels(recipe, last)
        if is_whole or (len(costs) > 2 and needed > allowed):
            return estimate
    cost = _cost(recipe, source, cell)
    if not plan.pixels.device.startswith("cpu"):  # a GPU chooses its kernels for each shape
        cost = _cost(recipe, source, cell)
    return cost


def _middle(cell: Window, side: int) -> Window:
    """Return the middle of a cell, of at most this side."""
    height, width = min(cell.height, side), min(cell.width, side)
    row, column = (cell.height - height) // 2, (cell.width - width) // 2
    return Window(cell.row + row, cell.column + column, height, width)


def _pixels(recipe: CellRecipe, cell: Window) -> int:
    """Return how many pixels the networks compute for a cell, its margin included."""
    margin = recipe.inference.margin
    return (cell.height + 2 * margin) * (cell.width + 2 * margin)


def _extrapolated(
    recipe: CellRecipe, costs: Sequence[tuple[Window, _Cost]], cell: Window, passes: int
) -> _Cost:
    """Extrapolate what a cell takes from what its parts took.

    Time and memory grow with the number of pixels; from two parts, what they take besides is known.
    """
    part, cost = costs[-1]
    pixels, wanted = _pixels(recipe, part), _pixels(recipe, cell)
    seconds, memory = cost.seconds * wanted / pixels, cost.memory * wanted / pixels
    if len(costs) > 2:  # the first one warmed up
        smaller, less = costs[-2]
        slope = (cost.seconds - less.seconds) / (pixels - _pixels(recipe, smaller))
        seconds = min(seconds, cost.seconds + max(slope, 0.0) * (wanted - pixels))
    return _Cost(passes * seconds, round(memory))


def _cost(recipe: CellRecipe, source: Source, cell: Window) -> _Cost:
    """Compute a cell, or a part of one, and return what it took."""
    before, started = resident(), time.perf_counter()
    compute_cell(recipe, source, cell)
    cost = _Cost(time.perf_counter() - started, max(0, peak() - before))
    logger.debug("%d x %d pixels: %.3f s", cell.width, cell.height, cost.seconds)
    return cost


def _block_cache_bytes(plan: Plan) -> int:
    """Return the most that GDAL's block cache holds while the result is assembled, bytes."""
    source = plan.pixels.description
    pixel = len(source.bands) * np.dtype(source.dtype).itemsize
    return min(plan.window.height * plan.window.width * pixel, plan.block_cache)


def write_lattice(plan: Plan, path: Path, *, overwrite: bool) -> bool:
    """Write the cells of a run as GeoJSON, each with its row, column, and whether it is computed.

    Args:
        plan: the plan of the run.
        path: the name of the GeoJSON file.
        overwrite: whether an existing file may be replaced.

    Returns:
        Whether the coordinates are longitudes and latitudes; otherwise they are output pixels.

    Raises:
        InputError: the file belongs to the run, or exists and may not be replaced.
        RasterError: the source cannot be read, or the lattice cannot be reprojected.
        WriteError: the file cannot be written.
    """
    _check_lattice(plan, path, overwrite=overwrite)
    with plan.open_source() as source:
        features = list(_features(plan, source))
    grid = plan.pixels.zoom.output
    on_map = grid.transform is not None and grid.crs is not None
    if on_map:
        try:
            places = transform_geom(grid.crs, LONGITUDE_LATITUDE, [f["geometry"] for f in features])
        except FAILURES as error:
            raise RasterError(
                f"cannot write {path}: the lattice cannot be reprojected to longitudes and "
                "latitudes"
            ) from error
        features = [{**f, "geometry": g} for f, g in zip(features, places, strict=True)]
    collection = {"type": "FeatureCollection", "name": "lattice", "features": features}
    if not on_map:
        collection["note"] = "coordinates are pixels of the output, column and row"
    write_file(path, json.dumps(collection))
    return on_map


def _check_lattice(plan: Plan, path: Path, *, overwrite: bool) -> None:
    """Refuse a name whose file must not be replaced.

    Raises:
        InputError: the file belongs to the run, or exists and may not be replaced.
    """
    options = plan.options
    aoi = None if options.aoi is None else split_layer(options.aoi)[0]
    own = [plan.out, *map(Path, plan.pixels.description.files), aoi, options.like]
    if any(p is not None and _same(p, path) for p in own):
        raise InputError(f"{path} is a file of the run itself, choose another for the lattice")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already; overwrite=True replaces it")


def _same(one: Path, other: Path) -> bool:
    """Return whether two names are of one file, whether it exists or not."""
    both_exist = one.exists() and other.exists()
    return one.samefile(other) if both_exist else one.absolute() == other.absolute()


def _features(plan: Plan, source: Source) -> Iterator[dict[str, Any]]:
    """Yield cells as GeoJSON features in the CRS of the output, or in its pixels without one."""
    needed = set(plan.cells)
    size = plan.recipe.lattice.cell
    for cell in plan.recipe.lattice.cells(plan.window):
        inside = cell.intersection(plan.pixels.zoom.output.window)
        if inside is None:
            continue
        computed = cell in needed and holds_valid(plan.recipe, source, cell)
        yield {
            "type": "Feature",
            "properties": {
                "row": cell.row // size.height,
                "column": cell.column // size.width,
                "computed": computed,
            },
            "geometry": {"type": "Polygon", "coordinates": [_ring(plan, inside)]},
        }


def _ring(plan: Plan, cell: Window) -> Sequence[tuple[float, float]]:
    """Return a cell's closed border, its edges cut so that they stay true when reprojected."""
    grid = plan.pixels.zoom.output
    forth: Doubles = np.arange(EDGE) / EDGE
    zero, one = np.zeros(EDGE), np.ones(EDGE)
    # Counterclockwise on a north-up raster, as GeoJSON asks of outer rings.
    along = np.concatenate((forth, one, 1 - forth, zero, [0.0]))
    down = np.concatenate((one, 1 - forth, zero, forth, [1.0]))
    columns, rows = cell.column + along * cell.width, cell.row + down * cell.height
    points = list(zip(columns.tolist(), rows.tolist(), strict=True))
    if grid.transform is None or grid.crs is None:
        return points
    return [grid.transform @ point for point in points]
