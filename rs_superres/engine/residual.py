"""How far a finished result, brought back to the source's grid, lies from the source."""

from __future__ import annotations

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
"""Blocks of the scene that are compared at most, evenly spread: the cost is bounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """Differences between result and source, digital numbers, a figure for each network band."""

    rms: tuple[float, ...]
    bias: tuple[float, ...]
    """Mean of result less source."""
    pixels: int
    """Source pixels that were compared, of the band with the fewest."""

    def __str__(self) -> str:
        """One line."""
        if not self.pixels:
            return "not measured: no source pixel is far enough from a hole or a border"
        rms, bias = (" ".join(f"{v:.3g}" for v in figures) for figures in (self.rms, self.bias))
        return f"RMS {rms}, mean {bias}, over {self.pixels} source pixels"


def residual(
    source: Source, made: Source, recipe: CellRecipe, window: Window, config: ConsistencyConfig
) -> Residual:
    """Bring a result back by a model's kernel and compare it with its source.

    Args:
        source: as the result was made from it.
        made: the result.
        recipe: by which it was made.
        window: the part of the output grid that ``made`` holds.
        config: the kernel.

    Raises:
        RasterError: one of them cannot be read.
    """
    zoom, bands = recipe.zoom, tuple(i for group in recipe.groups for i in group.bands)
    pair = SourceResultPair(source=source, result=made, zoom=zoom.part(window), bands=bands)
    blocks = list(pair.blocks())
    found = {band: Moments() for band in bands}
    for place in blocks[:: -(-len(blocks) // BLOCKS) or 1]:
        block = pair.read(place)
        back = [
            # Pixels of the whole output: the result's border need not be the scene's.
            _back(config, axis, range(start, start + pixels), range(cell, cell + cells))
            for axis, start, pixels, cell, cells in (
                (zoom.rows, window.row + block.pixels.row, block.pixels.height,
                 place.row, place.height),
                (zoom.columns, window.column + block.pixels.column, block.pixels.width,
                 place.column, place.width),
            )
        ]  # fmt: skip
        (down, whole_rows), (across, whole_columns) = back
        whole = np.logical_and.outer(whole_rows, whole_columns)
        for band, moments in found.items():
            # Of numbers near the greatest there are the figures are infinite, and say so.
            with np.errstate(over="ignore", invalid="ignore"):
                brought = (across @ (down @ block.result(band)).T).T
                far = brought - block.source(band)
                moments.add(far[whole & block.usable(band)])
    return Residual(
        rms=tuple(m.rms for m in found.values()),
        bias=tuple(m.mean for m in found.values()),
        pixels=int(min((m.count for m in found.values()), default=0)),
    )


@lru_cache(maxsize=2 * BLOCKS)  # blocks above and beside each other share theirs
def _back(
    config: ConsistencyConfig, axis: AxisMapping, pixels: range, cells: range
) -> tuple[csr_array, Valid]:
    """What brings pixels back along one axis, and which cells they cover whole."""
    back = footprints(config, axis, pixels, cells)
    whole = np.asarray(back.any(axis=1), dtype=np.bool_)  # one number is no array to the stubs
    return csr_array(back), whole  # a cell's footprint is a few pixels
