"""The surroundings of a cell: what of the source its pixels depend on."""

from __future__ import annotations

from dataclasses import dataclass

from rs_superres.grid import AxisSupport, Window, axis_support
from rs_superres.image.radiometry import FILL_RADIUS
from rs_superres.scene.reader import Reader
from rs_superres.scene.recipe import CellRecipe
from rs_superres.types import Valid, Values


@dataclass(frozen=True, slots=True)
class HaloWindow:
    """One cell of the lattice and the source around it."""

    cell: Window
    rows: AxisSupport
    columns: AxisSupport
    values: Values
    """(band, y, x): the patch, and beyond it a border that holes are filled from."""
    valid: Valid

    @classmethod
    def of(cls, recipe: CellRecipe, reader: Reader, cell: Window) -> HaloWindow:
        """Read them."""
        rows, columns = _patches(recipe, cell)
        read = _with_border(rows, columns)
        values, valid = reader.read_mirrored(read)
        return cls(cell, rows, columns, values, valid)


def source_window(recipe: CellRecipe, cell: Window) -> Window:
    """What of the source a cell asks its reader for; it may stand out of the scene."""
    return _with_border(*_patches(recipe, cell))


def _patches(recipe: CellRecipe, cell: Window) -> tuple[AxisSupport, AxisSupport]:
    """What a cell and its margin ask of the source: rows, and columns."""
    zoom, inference = recipe.zoom, recipe.inference
    rows = axis_support(
        zoom.rows, cell.row, cell.height, margin=inference.margin, halo=inference.halo
    )
    columns = axis_support(
        zoom.columns, cell.column, cell.width, margin=inference.margin, halo=inference.halo
    )
    return rows, columns


def _with_border(rows: AxisSupport, columns: AxisSupport) -> Window:
    """What patches cover, and the border around it that holes are filled from."""
    r = FILL_RADIUS
    return Window(rows.start - r, columns.start - r, rows.count + 2 * r, columns.count + 2 * r)
