"""What a run would take: cells, time and memory, measured on one cell; and its lattice as a map.

Nothing here touches the result or its scratch folder.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.warp import transform_geom

from rs_superres.engine.compute import cells_at_once
from rs_superres.engine.runner import Plan
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
from rs_superres.vector import LONGITUDE_LATITUDE

LOOKED_AT = 1024
"""Of more cells, so many are looked at and stand for the others."""

WARM_UP = 20.0
"""Seconds of a first cell beyond which the networks' warming up does not matter."""

EDGE = 16
"""Pieces that a cell's edge is cut into before it is reprojected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a run would take on this machine."""

    cells_to_compute: int
    """Cells that hold a valid pixel, go through the network, and are not finished yet."""
    exact: bool
    """Whether each cell was looked at, or a part that stands for all."""
    leftover_cells: int
    """Finished cells of an earlier run of this target."""
    resumes: bool
    """Whether the run goes on from those."""
    cell_seconds: float
    """One cell's computation, measured."""
    at_once: int
    """Cells that are computed at once."""
    memory_bytes: int
    """The process's highest memory with so many cells, and GDAL's cache of blocks."""

    @property
    def seconds(self) -> float:
        """Of the computation; reading is in it, putting the result together is not."""
        return self.cells_to_compute * self.cell_seconds / self.at_once


def forecast(decided: Plan) -> Forecast:
    """Look at the cells of a run and compute one of them, twice; the second time counts.

    A cell that took long is not computed again: what the first call sets up is no part of it.

    Raises:
        RasterError: the source cannot be read.
    """
    cells, recipe, store = decided.cells, decided.recipe, CellStore(decided.scratch)
    resumes = decided.options.resume and store.fits(decided.settings())
    stride, before = max(1, -(-len(cells) // LOOKED_AT)), resident()
    looked_at = list(islice(cells, 0, None, stride))
    with (
        block_cache(decided.block_cache),
        decided.open_source() as source,
    ):
        valid = [c for c in looked_at if holds_valid(recipe, source, c)]
        to_compute = [c for c in valid if not (resumes and store.has(c))]
        seconds = 0.0
        if to_compute:
            chosen = to_compute[len(to_compute) // 2]
            seconds = _timed(recipe, source, chosen)
            if seconds < WARM_UP:
                seconds = _timed(recipe, source, chosen)
    at_once = min(cells_at_once(decided, before, peak(), cores()), max(len(to_compute) * stride, 1))
    return Forecast(
        cells_to_compute=round(len(cells) * len(to_compute) / len(looked_at)),
        exact=stride == 1,
        leftover_cells=store.finished,
        resumes=resumes and store.finished > 0,
        cell_seconds=seconds,
        at_once=at_once,
        memory_bytes=peak() + (at_once - 1) * (peak() - before) + _block_cache(decided),
    )


def _timed(recipe: CellRecipe, source: Source, cell: Window) -> float:
    """How many seconds a cell takes."""
    started = time.perf_counter()
    compute_cell(recipe, source, cell)
    return time.perf_counter() - started


def _block_cache(decided: Plan) -> int:
    """What GDAL keeps in memory at most while it assembles the result, in bytes."""
    size = np.dtype(decided.pixels.description.dtype).itemsize * len(
        decided.pixels.description.bands
    )
    return min(decided.window.height * decided.window.width * size, decided.block_cache)


def write_lattice(decided: Plan, path: Path, *, overwrite: bool) -> bool:
    """Write the lattice cells of a run's window as GeoJSON, each with row, column and computed.

    Returns:
        Whether it has a place on a map; else its coordinates are pixels of the output.

    Raises:
        InputError: the file is one of the run's own, or exists and may not be replaced.
        RasterError: it cannot be written, or the source not be read.
    """
    _check_lattice(decided, path, overwrite=overwrite)
    with decided.open_source() as source:
        features = list(_features(decided, source))
    grid = decided.pixels.zoom.output
    on_map = grid.transform is not None and grid.crs is not None
    if on_map:
        try:
            places = transform_geom(grid.crs, LONGITUDE_LATITUDE, [f["geometry"] for f in features])
        except FAILURES as error:
            raise RasterError(
                f"cannot write {path}: the lattice has no place in longitudes and latitudes"
            ) from error
        features = [{**f, "geometry": g} for f, g in zip(features, places, strict=True)]
    collection = {"type": "FeatureCollection", "name": "lattice", "features": features}
    if not on_map:
        collection["note"] = "coordinates are pixels of the output, column and row"
    write_file(path, json.dumps(collection))
    return on_map


def _check_lattice(decided: Plan, path: Path, *, overwrite: bool) -> None:
    """Refuse a name that would lose something."""
    options = decided.options
    own = [decided.out, *map(Path, decided.pixels.description.files), options.aoi, options.like]
    if any(p is not None and _same(p, path) for p in own):
        raise InputError(f"{path} is a file of the run itself, choose another for --lattice")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already; use --overwrite to replace it")


def _same(one: Path, other: Path) -> bool:
    """Whether two names are of one file, there or not."""
    there = one.exists() and other.exists()
    return one.samefile(other) if there else one.absolute() == other.absolute()


def _features(decided: Plan, source: Source) -> Iterator[dict[str, Any]]:
    """The cells as GeoJSON features in the CRS of the output, or in its pixels without one."""
    needed = set(decided.cells)
    size = decided.recipe.lattice.cell
    for cell in decided.recipe.lattice.cells(decided.window):
        shared = cell.intersection(decided.pixels.zoom.output.window)
        if shared is None:
            continue
        computed = cell in needed and holds_valid(decided.recipe, source, cell)
        yield {
            "type": "Feature",
            "properties": {
                "row": cell.row // size.height,
                "column": cell.column // size.width,
                "computed": computed,
            },
            "geometry": {"type": "Polygon", "coordinates": [_ring(decided, shared)]},
        }


def _ring(decided: Plan, cell: Window) -> Sequence[tuple[float, float]]:
    """A cell's border, closed, its edges cut so that they stay true when they are reprojected."""
    grid = decided.pixels.zoom.output
    there: Doubles = np.arange(EDGE) / EDGE
    zero, one = np.zeros(EDGE), np.ones(EDGE)
    # Against the clock on a north-up raster, as GeoJSON wants outer rings.
    along = np.concatenate((there, one, 1 - there, zero, [0.0]))
    down = np.concatenate((one, 1 - there, zero, there, [1.0]))
    columns, rows = cell.column + along * cell.width, cell.row + down * cell.height
    if grid.transform is None or grid.crs is None:
        return list(zip(columns.tolist(), rows.tolist(), strict=True))
    return [grid.transform @ point for point in zip(columns.tolist(), rows.tolist(), strict=True)]
