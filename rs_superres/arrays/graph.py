"""Builds lazy results: a dask graph with one task for each cell of the lattice.

A task depends on the chunks of the source that its cell reads, whatever their size. The recipe,
which holds the network, is in the graph once and shared by all tasks.
"""

from __future__ import annotations

import functools
import logging
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, product
from typing import Any

import dask.array
import numpy as np
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from rs_superres.engine.pixels import PixelPlan
from rs_superres.grid import Window
from rs_superres.grid.lattice import covered
from rs_superres.image.radiometry import valid_by_value
from rs_superres.raster import Sampled, sample_windows
from rs_superres.scene.bands import BandGroup, BandRoles
from rs_superres.scene.cell import blank_cell, compute_cell
from rs_superres.scene.halo import source_window
from rs_superres.scene.reader import ArrayReader
from rs_superres.scene.recipe import CellRecipe
from rs_superres.system.threads import THREADS, cores
from rs_superres.types import Values

logger = logging.getLogger(__name__)

Key = tuple[Any, ...]
"""The key of a task or of a chunk."""

Graph = dict[Any, Any]
"""Tasks by key."""

Chunks = Sequence[Sequence[Sequence[Values]]]
"""Adjacent chunks of the source, by position along band, y and x."""


@dataclass(frozen=True, slots=True)
class _ChunkReader:
    """Cuts a window of a scene out of the chunks that contain it."""

    scene: tuple[int, ...]
    """Indices of the scene within the chunks, along the dimensions before the band."""
    row: int
    """Row in the scene of the first chunk's first pixel."""
    column: int
    """Column in the scene of the first chunk's first pixel."""
    window: Window
    """The window of the scene to read, in source pixels."""

    def read(self, chunks: Chunks) -> Values:
        """Return the window's digital numbers, (band, y, x)."""
        heights = [row[0][self.scene].shape[1] for row in chunks[0]]
        widths = [chunk[self.scene].shape[2] for chunk in chunks[0][0]]
        rows = _slices(heights, self.window.row - self.row, self.window.height)
        columns = _slices(widths, self.window.column - self.column, self.window.width)
        values: Values = np.block(
            [
                [
                    [chunk[self.scene][:, r, c] for c, chunk in zip(columns, row, strict=True)]
                    for r, row in zip(rows, band, strict=True)
                ]
                for band in chunks
            ]
        )
        return values


@dataclass(frozen=True, slots=True)
class _CellSpan:
    """One row, or one column, of cells along its axis."""

    start: int
    """First output pixel of the cells."""
    kept: slice
    """Pixels of a cell that lie in the result."""
    read_start: int
    """First source pixel that the cells read."""
    read_count: int
    """Number of source pixels that the cells read."""


@dataclass(frozen=True, slots=True)
class _CellPart:
    """A cell, and the part of it that its task returns."""

    window: Window
    """The cell, in output pixels."""
    rows: slice
    """Rows of the cell that lie in the result."""
    columns: slice
    """Columns of the cell that lie in the result."""
    leading: int
    """Number of dimensions before the band."""

    def cut(self, values: Values) -> Values:
        """Cut the part out of a cell's values, (band, y, x), and add the leading dimensions.

        The result is a copy: a view would keep the entire cell in memory.
        """
        part = np.ascontiguousarray(values[:, self.rows, self.columns])
        return part.reshape((1,) * self.leading + part.shape)


def lazy_result(source: dask.array.Array, plan: PixelPlan) -> dask.array.Array:
    """Return the result of a dask array without computing it.

    Args:
        source: Digital numbers, (..., band, y, x), chunked in any way. Each (band, y, x) of it is
            a scene.
        plan: The plan for one scene. If it lacks band groups, the tasks of a scene depend on
            sampled windows of that scene.

    Returns:
        Digital numbers of the plan's window, (..., band, y, x), with one chunk per cell.
    """
    settings = sorted(plan.settings().items())
    token = tokenize(source.name, repr(settings), repr(plan.description.bands))
    name, recipe = f"superres-{token}", f"superres-recipe-{token}"
    graph: Graph = {recipe: plan.recipe}
    side = plan.recipe.lattice.cell
    rows, columns = _cell_spans(plan)
    needed = None if plan.recipe.area is None else set(plan.cells)
    for scene in product(*(range(size) for size in source.shape[:-3])):
        groups = None
        if plan.needs_groups:
            groups = (f"superres-groups-{token}", *scene)
            graph |= _group_tasks(source, plan, scene, recipe, groups)
        for (i, down), (j, across) in product(enumerate(rows), enumerate(columns)):
            window = Window(down.start, across.start, side.height, side.width)
            part = _CellPart(window, down.kept, across.kept, len(scene))
            if needed is not None and window not in needed:
                graph[name, *scene, 0, i, j] = (_blank_part, recipe, part)
                continue
            read = Window(down.read_start, across.read_start, down.read_count, across.read_count)
            task = (_compute_part, recipe, groups, part, *_reader(source, scene, read))
            graph[name, *scene, 0, i, j] = task
    logger.debug(
        "built a graph of %d tasks: %d x %d cells, source chunks %s",
        len(graph),
        len(columns),
        len(rows),
        source.chunksize,
    )
    layers = HighLevelGraph.from_collections(name, graph, dependencies=[source])  # type: ignore[list-item] # dask's
    chunks = (
        *((1,) * size for size in source.shape[:-3]),
        (len(plan.description.bands),),
        tuple(span.kept.stop - span.kept.start for span in rows),
        tuple(span.kept.stop - span.kept.start for span in columns),
    )
    result: dask.array.Array = dask.array.Array(layers, name, chunks, dtype=plan.description.dtype)
    return result


def _cell_spans(plan: PixelPlan) -> tuple[list[_CellSpan], list[_CellSpan]]:
    """Return the rows and the columns of cells that overlap the plan's window."""
    window, side = plan.window, plan.recipe.lattice.cell

    def read(row: int, column: int) -> Window:
        cell = Window(row, column, side.height, side.width)
        return covered(source_window(plan.recipe, cell), plan.recipe.zoom.source.shape)

    # The source rows of a cell do not depend on its column, nor the source columns on its row.
    down, across = plan.recipe.lattice.cells(window).starts()
    rows, columns = [], []
    for start in down:
        kept = _kept(window.row, window.height, start, side.height)
        rows.append(_CellSpan(start, kept, read(start, 0).row, read(start, 0).height))
    for start in across:
        kept = _kept(window.column, window.width, start, side.width)
        columns.append(_CellSpan(start, kept, read(0, start).column, read(0, start).width))
    return rows, columns


def _kept(start: int, count: int, cell_start: int, side: int) -> slice:
    """Return which pixels of a cell lie in a span of ``count`` output pixels from ``start``."""
    return slice(max(start - cell_start, 0), min(start + count - cell_start, side))


def _reader(
    source: dask.array.Array, scene: tuple[int, ...], window: Window
) -> tuple[_ChunkReader, list[list[list[Key]]]]:
    """Return a reader of a window of a scene, and the keys of the chunks that it needs."""
    blocks, within = [], []
    for sizes, index in zip(source.chunks[:-3], scene, strict=True):
        block, first = _blocks(sizes, index, 1)
        blocks.append(block.start)
        within.append(index - first)
    rows, row = _blocks(source.chunks[-2], window.row, window.height)
    columns, column = _blocks(source.chunks[-1], window.column, window.width)
    keys = [
        [[(source.name, *blocks, band, i, j) for j in columns] for i in rows]
        for band in range(len(source.chunks[-3]))
    ]
    return _ChunkReader(tuple(within), row, column, window), keys


def _blocks(sizes: Sequence[int], start: int, count: int) -> tuple[range, int]:
    """Return the chunks along an axis that contain a span, and the first pixel of the first one."""
    ends = list(accumulate(sizes))
    first, last = bisect_right(ends, start), bisect_left(ends, start + count)
    return range(first, last + 1), ends[first] - sizes[first]


def _slices(sizes: Sequence[int], start: int, count: int) -> list[slice]:
    """Return which pixels of each of several adjacent chunks lie in a span.

    Args:
        sizes: Sizes of the chunks along the axis.
        start: First pixel of the span, counted from the first pixel of the first chunk.
        count: Pixels in the span.
    """
    firsts = [end - size for end, size in zip(accumulate(sizes), sizes, strict=True)]
    return [
        slice(max(start - first, 0), min(start + count - first, size))
        for first, size in zip(firsts, sizes, strict=True)
    ]


def _compute_part(
    recipe: CellRecipe,
    groups: tuple[BandGroup, ...] | None,
    part: _CellPart,
    reader: _ChunkReader,
    chunks: Chunks,
) -> Values:
    """Compute one cell and return its part of the result; a task calls this."""
    if groups is not None:
        recipe = replace(recipe, groups=groups)
    source = ArrayReader(
        reader.read(chunks),
        nodata=recipe.nodata,
        window=reader.window,
        shape=recipe.zoom.source.shape,
    )
    with _network_slots():
        return part.cut(compute_cell(recipe, source, part.window).values)


def _blank_part(recipe: CellRecipe, part: _CellPart) -> Values:
    """Return the part of a cell outside the area of interest; a task calls this."""
    return part.cut(blank_cell(recipe, part.window).values)


@functools.cache
def _network_slots() -> threading.BoundedSemaphore:
    """Limit the number of networks that run at once, so that each has its threads' processors."""
    return threading.BoundedSemaphore(max(1, cores() // THREADS))


def _group_tasks(
    source: dask.array.Array, plan: PixelPlan, scene: tuple[int, ...], recipe: str, groups: Key
) -> Graph:
    """Return tasks that find a scene's band groups, from the same windows as for a file.

    Args:
        source: Digital numbers, (..., band, y, x).
        plan: The plan for one scene.
        scene: Indices of the scene along the dimensions before the band.
        recipe: The key of the recipe, which is large: it holds the networks.
        groups: The key of the task that returns the band groups.
    """
    graph: Graph = {}
    for number, window in enumerate(sample_windows(plan.description)):
        task = (_sample, plan.recipe.nodata, *_reader(source, scene, window))
        graph[f"sample-{groups[0]}", *scene, number] = task
    graph[groups] = (_find_groups, recipe, plan.roles, list(graph))
    return graph


def _find_groups(
    recipe: CellRecipe, roles: BandRoles, samples: Sequence[Sampled]
) -> tuple[BandGroup, ...]:
    """Return the band groups of a scene; a task calls this."""
    return recipe.find_groups(roles, samples)


def _sample(nodata: float | None, reader: _ChunkReader, chunks: Chunks) -> Sampled:
    """Return digital numbers and validity of one window; a task calls this."""
    values = reader.read(chunks)
    return values, valid_by_value(values, nodata)
