"""The source pixels that a cell is computed from: those under it, and a halo around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rs_superres.grid import AxisSupport, Window, axis_support
from rs_superres.image.radiometry import FILL_RADIUS, weigh_colours
from rs_superres.raster import opacity, visible
from rs_superres.scene.reader import Reader
from rs_superres.scene.recipe import CellRecipe
from rs_superres.types import Valid, Values


@dataclass(frozen=True, slots=True)
class HaloWindow:
    """The source pixels that one cell is computed from.

    From the inside out: the pixels under the cell and its margin, the halo that the networks look
    at, and a border of ``FILL_RADIUS`` pixels from which holes are filled.
    """

    cell: Window
    """The cell, in output pixels."""
    rows: AxisSupport
    """Source rows that the networks see, and the output rows, margin included, among them."""
    columns: AxisSupport
    """Source columns that the networks see, and the output columns among them."""
    window: Window
    """The source pixels of ``values``; it extends beyond the scene at the scene's border."""
    values: Values
    """(band, y, x) digital numbers, with the border that holes are filled from.

    float64 if colours under partial alpha were weighed.
    """
    valid: Valid
    """(band, y, x), True where ``values`` are valid."""
    visible: Valid
    """(band, y, x), True where ``values`` are valid and not fully transparent."""

    @classmethod
    def read(cls, recipe: CellRecipe, reader: Reader, cell: Window) -> HaloWindow:
        """Read the source around a cell.

        Args:
            recipe: says how the grids lie, and how large halo and margin are.
            reader: reads the source.
            cell: the cell, in output pixels.

        Raises:
            RasterError: the source cannot be read.
        """
        rows, columns = _supports(recipe, cell)
        window = _with_border(rows, columns)
        values, valid = reader.read_mirrored(source_window(recipe, cell))
        if not recipe.has_alpha:
            return cls(cell, rows, columns, window, values, valid, valid)
        shown = visible(recipe.bands, values, valid)
        values = _weighed(recipe, values, shown)
        inner = np.s_[:, 1:-1, 1:-1]
        return cls(cell, rows, columns, window, values[inner], valid[inner], shown[inner])


def source_window(recipe: CellRecipe, cell: Window) -> Window:
    """The source pixels that :meth:`HaloWindow.read` reads; they may extend beyond the scene.

    Args:
        recipe: says how the grids lie, and how large halo and margin are.
        cell: the cell, in output pixels.
    """
    window = _with_border(*_supports(recipe, cell))
    if not recipe.has_alpha:
        return window
    # Colours under partial alpha are weighed with their neighbours.
    return Window(window.row - 1, window.column - 1, window.height + 2, window.width + 2)


def source_windows(recipe: CellRecipe, cell: Window) -> list[Window]:
    """The windows of the source that a cell is computed from, each of which is read once.

    The first is :func:`source_window`. The others are for bands with larger pixels.

    Args:
        recipe: says how the grids lie, and how large halo and margin are.
        cell: the cell, in output pixels.
    """
    windows = [source_window(recipe, cell)]
    for factor in dict.fromkeys(recipe.factor(group) for group in recipe.groups):
        if factor > 1:
            coarse = source_window(recipe.on_grid(factor), cell)
            windows.append(coarse.finer(factor))
    return windows


def _weighed(recipe: CellRecipe, values: Values, shown: Valid) -> Values:
    """Weigh the colours that go through the network by their alpha; see :func:`weigh_colours`."""
    colours = [i for group in recipe.groups for i in group.bands]
    alpha = np.where(shown, opacity(recipe.bands, values), 0.0)
    before = values[colours]
    weighed = weigh_colours(before, alpha[colours])
    if weighed is before:
        return values
    out = values.astype(np.float64)
    out[colours] = weighed
    return out


def _supports(recipe: CellRecipe, cell: Window) -> tuple[AxisSupport, AxisSupport]:
    """The source rows and columns that the networks need for a cell and its margin."""
    zoom, inference = recipe.zoom, recipe.inference
    rows = axis_support(
        zoom.rows, cell.row, cell.height, margin=inference.margin, halo=inference.halo
    )
    columns = axis_support(
        zoom.columns, cell.column, cell.width, margin=inference.margin, halo=inference.halo
    )
    return rows, columns


def _with_border(rows: AxisSupport, columns: AxisSupport) -> Window:
    """The window of these source rows and columns and the border that holes are filled from."""
    r = FILL_RADIUS
    return Window(rows.start - r, columns.start - r, rows.count + 2 * r, columns.count + 2 * r)
