"""Results that are computed when they are asked for: one dask task for each cell of the lattice.

A task takes those chunks of the source that its cell reads, whatever their size. What all tasks
share, the recipe with its network, stands in the graph once.
"""

from __future__ import annotations

import functools
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
from rs_superres.raster import Band, Sampled, sample_windows
from rs_superres.scene.bands import BandGroup, BandRoles, band_groups
from rs_superres.scene.cell import blank_cell, compute_cell
from rs_superres.scene.halo import source_window
from rs_superres.scene.reader import ArrayReader
from rs_superres.scene.recipe import CellRecipe
from rs_superres.system.threads import THREADS, cores
from rs_superres.types import Values

Key = tuple[Any, ...]
Graph = dict[Any, Any]
Chunks = Sequence[Sequence[Sequence[Values]]]
"""Chunks of the source side by side: by band, row and column."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a task reads of the chunks that it is handed."""

    scene: tuple[int, ...]
    """Indices in the chunks, along the dimensions before the band."""
    row: int
    """Of the first chunk's first pixel."""
    column: int
    window: Window
    """What is read of the scene."""

    def of(self, chunks: Chunks) -> Values:
        """The window, (band, y, x)."""
        heights = [row[0][self.scene].shape[1] for row in chunks[0]]
        widths = [piece[self.scene].shape[2] for piece in chunks[0][0]]
        rows = _cuts(heights, self.window.row - self.row, self.window.height)
        columns = _cuts(widths, self.window.column - self.column, self.window.width)
        values: Values = np.block(
            [
                [
                    [piece[self.scene][:, r, c] for c, piece in zip(columns, row, strict=True)]
                    for r, row in zip(rows, band, strict=True)
                ]
                for band in chunks
            ]
        )
        return values


@dataclass(frozen=True, slots=True)
class _Span:
    """Where one row, or column, of cells lies."""

    start: int
    """First pixel of the cells."""
    kept: slice
    """Which of a cell's pixels are in the result."""
    first: int
    """First pixel of the source that is read."""
    count: int


@dataclass(frozen=True, slots=True)
class _Cell:
    """One cell, and what of it a task keeps."""

    window: Window
    rows: slice
    columns: slice
    before: int
    """Dimensions before the band."""

    def kept(self, values: Values) -> Values:
        """Contiguous: a view would keep the whole cell in memory."""
        kept = np.ascontiguousarray(values[:, self.rows, self.columns])
        return kept.reshape((1,) * self.before + kept.shape)


def lazily(source: dask.array.Array, design: PixelPlan) -> dask.array.Array:
    """The result of a dask array, not computed yet.

    Args:
        source: (..., band, y, x), chunked in any way; each (band, y, x) of it is a scene.
        design: without groups where value ranges are to be sampled: then the tasks of a scene
            depend on the sampled windows of it.

    Returns:
        (..., band, y, x) of the design's window; its chunks are the lattice's cells.
    """
    settings = sorted(design.settings().items())
    token = tokenize(source.name, repr(settings), repr(design.description.bands))
    name, recipe = f"superres-{token}", f"superres-recipe-{token}"
    graph: Graph = {recipe: design.recipe}
    side = design.recipe.lattice.cell
    rows, columns = _spans(design)
    needed = None if design.recipe.area is None else set(design.cells)
    for scene in product(*(range(size) for size in source.shape[:-3])):
        ranges = None
        if design.needs_ranges:
            ranges = (f"superres-ranges-{token}", *scene)
            graph |= _sampling(source, design, scene, ranges)
        for (i, down), (j, across) in product(enumerate(rows), enumerate(columns)):
            window = Window(down.start, across.start, side.height, side.width)
            cell = _Cell(window, down.kept, across.kept, len(scene))
            if needed is not None and window not in needed:
                graph[name, *scene, 0, i, j] = (_blank, recipe, cell)
                continue
            read = Window(down.first, across.first, down.count, across.count)
            task = (_computed, recipe, ranges, cell, *_reading(source, scene, read))
            graph[name, *scene, 0, i, j] = task
    layers = HighLevelGraph.from_collections(name, graph, dependencies=[source])  # type: ignore[list-item] # dask's
    chunks = (
        *((1,) * size for size in source.shape[:-3]),
        (len(design.description.bands),),
        tuple(span.kept.stop - span.kept.start for span in rows),
        tuple(span.kept.stop - span.kept.start for span in columns),
    )
    made: dask.array.Array = dask.array.Array(layers, name, chunks, dtype=design.description.dtype)
    return made


def _spans(design: PixelPlan) -> tuple[list[_Span], list[_Span]]:
    """The rows and the columns of cells that meet the design's window."""
    window, side = design.window, design.recipe.lattice.cell

    def read(row: int, column: int) -> Window:
        cell = Window(row, column, side.height, side.width)
        return covered(source_window(design.recipe, cell), design.recipe.zoom.source.shape)

    # A cell's rows do not depend on its column, nor its columns on its row.
    down, across = design.recipe.lattice.cells(window).starts()
    rows, columns = [], []
    for first in down:
        kept = _kept(window.row, window.height, first, side.height)
        rows.append(_Span(first, kept, read(first, 0).row, read(first, 0).height))
    for first in across:
        kept = _kept(window.column, window.width, first, side.width)
        columns.append(_Span(first, kept, read(0, first).column, read(0, first).width))
    return rows, columns


def _kept(start: int, count: int, first: int, side: int) -> slice:
    """Which pixels of a cell lie in a span."""
    return slice(max(start - first, 0), min(start + count - first, side))


def _reading(
    source: dask.array.Array, scene: tuple[int, ...], window: Window
) -> tuple[_Reading, list[list[list[Key]]]]:
    """What a task needs to read a window of a scene, and the keys of the chunks that it lies in."""
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
    return _Reading(tuple(within), row, column, window), keys


def _blocks(sizes: Sequence[int], start: int, count: int) -> tuple[range, int]:
    """The chunks along an axis that a span lies in, and where the first of them begins."""
    ends = list(accumulate(sizes))
    first, last = bisect_right(ends, start), bisect_left(ends, start + count)
    return range(first, last + 1), ends[first] - sizes[first]


def _cuts(sizes: Sequence[int], start: int, count: int) -> list[slice]:
    """What of chunks side by side lies in a span, counted from the first one's first pixel."""
    firsts = [end - size for end, size in zip(accumulate(sizes), sizes, strict=True)]
    return [
        slice(max(start - first, 0), min(start + count - first, size))
        for first, size in zip(firsts, sizes, strict=True)
    ]


def _computed(
    recipe: CellRecipe,
    groups: tuple[BandGroup, ...] | None,
    cell: _Cell,
    reading: _Reading,
    chunks: Chunks,
) -> Values:
    """Compute one cell; what a task runs."""
    if groups is not None:
        recipe = replace(recipe, groups=groups)
    part = ArrayReader(
        reading.of(chunks),
        nodata=recipe.nodata,
        window=reading.window,
        shape=recipe.zoom.source.shape,
    )
    with _room():
        return cell.kept(compute_cell(recipe, part, cell.window)[0])


def _blank(recipe: CellRecipe, cell: _Cell) -> Values:
    """A cell outside the area of interest."""
    return cell.kept(blank_cell(recipe, cell.window)[0])


@functools.cache
def _room() -> threading.BoundedSemaphore:
    """Room for as many networks at once as there are processors for their threads."""
    return threading.BoundedSemaphore(max(1, cores() // THREADS))


def _sampling(
    source: dask.array.Array, design: PixelPlan, scene: tuple[int, ...], ranges: Key
) -> Graph:
    """The tasks that find a scene's value ranges, from the windows that a file's come from."""
    graph: Graph = {}
    for number, window in enumerate(sample_windows(design.description)):
        task = (_sample, design.recipe.nodata, *_reading(source, scene, window))
        graph[f"sample-{ranges[0]}", *scene, number] = task
    found = functools.partial(_ranges, design.roles, design.description.bands)
    graph[ranges] = (found, list(graph))
    return graph


def _sample(nodata: float | None, reading: _Reading, chunks: Chunks) -> Sampled:
    """Digital numbers and validity of one window; what a task runs."""
    values = reading.of(chunks)
    return values, valid_by_value(values, nodata)


def _ranges(
    roles: BandRoles, bands: tuple[Band, ...], samples: Sequence[Sampled]
) -> tuple[BandGroup, ...]:
    """The groups of a scene; what a task runs."""
    return tuple(band_groups(roles, bands, samples, None))
