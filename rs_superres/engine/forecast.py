"""A forecast of what a run takes, measured on one cell; and the lattice of cells as a map.

Nothing here touches the result or its scratch folder.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
from rs_superres.system.memory import peak, resident
from rs_superres.system.threads import cores
from rs_superres.types import Doubles
from rs_superres.vector import LONGITUDE_LATITUDE, split_layer

logger = logging.getLogger(__name__)

SAMPLED_CELLS = 1024
"""Upper limit of the cells that are examined; of more cells, evenly spaced ones are."""

WARM_UP = 20.0
"""Seconds: a first cell that takes longer is not timed again, since warming up hardly counts."""

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
    """Duration of one cell's computation, measured, seconds."""
    at_once: int
    """Number of cells that are computed at once."""
    memory_bytes: int
    """The process's highest memory with so many cells, and GDAL's block cache, bytes."""

    @property
    def seconds(self) -> float:
        """Duration of the computation with its reading, but without the assembly, seconds."""
        return self.cells_to_compute * self.cell_seconds / self.at_once


def forecast(plan: Plan) -> Forecast:
    """Examine the cells of a run, and compute one of them twice: the second time counts.

    A cell that takes longer than :data:`WARM_UP` is computed only once.

    Raises:
        RasterError: the source cannot be read.
    """
    cells, recipe, store = plan.cells, plan.recipe, CellStore(plan.scratch)
    resumes = plan.options.resume and store.fits(plan.settings())
    stride, before = max(1, -(-len(cells) // SAMPLED_CELLS)), resident()
    examined = list(islice(cells, 0, None, stride))
    with block_cache(plan.block_cache), plan.open_source() as source:
        valid = [c for c in examined if holds_valid(recipe, source, c)]
        to_compute = [c for c in valid if not (resumes and store.has(c))]
        seconds = 0.0
        if to_compute:
            chosen = to_compute[len(to_compute) // 2]
            seconds = _seconds(recipe, source, chosen)
            if seconds < WARM_UP:
                seconds = _seconds(recipe, source, chosen)
            logger.debug("cell at row %d, column %d: %.3f s", chosen.row, chosen.column, seconds)
    at_once = min(cells_at_once(plan, before, peak(), cores()), max(len(to_compute) * stride, 1))
    return Forecast(
        cells_to_compute=round(len(cells) * len(to_compute) / len(examined)),
        exact=stride == 1,
        leftover_cells=store.finished,
        resumes=resumes and store.finished > 0,
        cell_seconds=seconds,
        at_once=at_once,
        memory_bytes=peak() + (at_once - 1) * (peak() - before) + _block_cache_bytes(plan),
    )


def _seconds(recipe: CellRecipe, source: Source, cell: Window) -> float:
    """Compute a cell and return how many seconds it took."""
    started = time.perf_counter()
    compute_cell(recipe, source, cell)
    return time.perf_counter() - started


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
