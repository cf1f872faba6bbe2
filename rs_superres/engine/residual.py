"""The residual of a finished result: the downsampled result minus its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_array

from rs_superres.config import ConsistencyConfig
from rs_superres.grid import AxisMapping, Window
from rs_superres.image.consistency import footprints
from rs_superres.image.statistics import Moments
from rs_superres.raster import Source
from rs_superres.scene.recipe import CellRecipe
from rs_superres.types import Valid
from rs_superres.verify.comparison import SourceResultPair

BLOCKS = 64
"""Upper limit of the blocks that are compared, spread evenly over the scene: it bounds the cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """The downsampled result minus the source, in digital numbers, for each network band."""

    rms: tuple[float, ...]
    """Root mean square."""
    bias: tuple[float, ...]
    """Mean."""
    pixels: int
    """Number of source pixels that were compared, of the band with the fewest."""

    def __str__(self) -> str:
        """Return one line for people and tags."""
        if not self.pixels:
            return "not measured: no source pixel is far enough from a hole or a border"
        rms, bias = (" ".join(f"{v:.3g}" for v in figures) for figures in (self.rms, self.bias))
        return f"RMS {rms}, mean {bias}, over {self.pixels} source pixels"


def residual(source: Source, result: Source, recipe: CellRecipe, window: Window) -> Residual:
    """Downsample a result by a model's kernel and compare it with its source.

    Args:
        source: the source as the result was computed from it.
        result: the result.
        recipe: the recipe of the result's cells.
        window: the part of the output grid that ``result`` holds, output pixels.

    Raises:
        RasterError: one of the two cannot be read.
    """
    statistics = {band: Moments() for group in recipe.groups for band in group.bands}
    for factor in dict.fromkeys(recipe.factor(group) for group in recipe.groups):
        own = source if factor == 1 else source.coarser(factor)
        _add_differences(statistics, own, result, recipe.on_grid(factor), window, factor)
    return Residual(
        rms=tuple(m.rms for m in statistics.values()),
        bias=tuple(m.mean for m in statistics.values()),
        pixels=int(min((m.count for m in statistics.values()), default=0)),
    )


def _add_differences(
    statistics: Mapping[int, Moments],
    source: Source,
    result: Source,
    recipe: CellRecipe,
    window: Window,
    factor: int,
) -> None:
    """Add the differences of the bands whose pixels have a size.

    Args:
        statistics: the statistics of each band, by its index.
        source: the source, on the grid of these pixels.
        result: the result.
        recipe: the recipe, on the grid of these pixels.
        window: the part of the output grid that ``result`` holds, output pixels.
        factor: the size; see :attr:`Band.factor`.
    """
    zoom = recipe.zoom
    groups = [group for group in recipe.groups if recipe.factor(group) == factor]
    bands = tuple(i for group in groups for i in group.bands)
    pair = SourceResultPair(source=source, result=result, zoom=zoom.part(window), bands=bands)
    blocks = list(pair.blocks())
    for place in blocks[:: -(-len(blocks) // BLOCKS) or 1]:
        block = pair.read(place)
        # Pixels count from the first of the entire output: a window's border is not the scene's.
        row, column = window.row + block.pixels.row, window.column + block.pixels.column
        rows = zoom.rows, _span(row, block.pixels.height), _span(place.row, place.height)
        columns = (
            zoom.columns,
            _span(column, block.pixels.width),
            _span(place.column, place.width),
        )
        for group in groups:
            kernel = recipe.kernel(group)
            down, full_rows = _downsampling(kernel, *rows)
            across, full_columns = _downsampling(kernel, *columns)
            full = np.logical_and.outer(full_rows, full_columns)
            for band in group.bands:
                # Near the largest float64 the differences overflow; the figures then say "inf".
                with np.errstate(over="ignore", invalid="ignore"):
                    downsampled = (across @ (down @ block.result(band)).T).T
                    difference = downsampled - block.source(band)
                    statistics[band].add(difference[full & block.usable(band)])


def _span(start: int, count: int) -> range:
    return range(start, start + count)


@lru_cache(maxsize=2 * BLOCKS)  # blocks in one row or column share theirs
def _downsampling(
    config: ConsistencyConfig, axis: AxisMapping, pixels: range, cells: range
) -> tuple[csr_array, Valid]:
    """Return the matrix that downsamples along one axis, and the source pixels that it covers.

    Args:
        config: the kernel.
        axis: the mapping of the axis.
        pixels: output pixels.
        cells: source pixels.

    Returns:
        (source pixel, output pixel), and whether the output pixels hold a source pixel's entire
        footprint.
    """
    matrix = footprints(config, axis, pixels, cells)
    full = np.asarray(matrix.any(axis=1), dtype=np.bool_)  # the stubs take a scalar for possible
    return csr_array(matrix), full  # sparse: a footprint covers few pixels
