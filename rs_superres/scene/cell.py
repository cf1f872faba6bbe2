"""A scene, cell by cell: what a recipe makes of the source around each.

A pixel's way: read with its surroundings, mapped to network values, holes filled, through the
network, back to digital numbers, rounded. :func:`compute_cell` is that way from end to end.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rs_superres.grid import Window, Zoom
from rs_superres.image.radiometry import FILL_RADIUS, quantise
from rs_superres.image.resampling import linear
from rs_superres.scene.halo import HaloWindow
from rs_superres.scene.reader import Reader
from rs_superres.scene.recipe import CellRecipe
from rs_superres.scene.samples import draw_samples
from rs_superres.types import Doubles, Floats, Indices, Valid, Values


class CellResult(NamedTuple):
    """A computed cell."""

    values: Values
    """(band, y, x) in the result's dtype."""
    mask: Valid | None
    """(y, x), if the result has one."""
    std: Floats | None = None
    """(band, y, x): standard deviation of the samples, digital numbers; NaN where not valid."""


def compute_cell(recipe: CellRecipe, reader: Reader, cell: Window) -> CellResult:
    """Compute one cell of the lattice."""
    wanted = _wanted(recipe, cell)
    if not wanted.any():
        return blank_cell(recipe, cell)
    around = HaloWindow.of(recipe, reader, cell)
    under = _under(
        recipe.zoom, cell, around.rows.start - FILL_RADIUS, around.columns.start - FILL_RADIUS
    )
    there = wanted & _at(around.valid, under)
    if not there.any():
        return blank_cell(recipe, cell)
    out, mask, std = blank_cell(recipe, cell)
    for number, group in enumerate(recipe.groups):
        found = draw_samples(recipe, around, number)
        for at, i in enumerate(group.bands):
            out[i] = quantise(found.mean[at], recipe.dtype, recipe.nodata, recipe.bands[i].bits)
        if std is not None and recipe.uncertainty_factor is not None:
            std[list(group.bands)] = found.deviation() * recipe.uncertainty_factor
    for i in recipe.linear_bands:
        out[i] = quantise(_interpolated(recipe, around, i), recipe.dtype, None)
    for i in recipe.nearest_bands:
        out[i] = _at(around.values[i], under)
    out[~there] = _absent(recipe)
    if std is not None:
        std[[*recipe.linear_bands, *recipe.nearest_bands]] = 0.0
        std[~there] = np.nan
    if mask is not None:
        # What nodata alone marks is marked in its own band: the mask is for what no band has.
        told = [i for i in range(len(out)) if i not in recipe.linear_bands] or list(
            recipe.linear_bands
        )
        mask = np.asarray(there[told].any(axis=0))
    return CellResult(out, mask, std)


def compute_window(recipe: CellRecipe, reader: Reader, window: Window) -> CellResult:
    """Compute any window of the output, cell by cell.

    Args:
        recipe: everything that decides the pixels.
        reader: reads the source.
        window: output pixels.

    Returns:
        The window's values, mask and standard deviation, as those of a cell.
    """
    result = blank_cell(recipe, window)
    for cell, in_cell, in_window in recipe.lattice.parts(window):
        for target, computed in zip(result, compute_cell(recipe, reader, cell), strict=True):
            if target is not None and computed is not None:
                target[..., *in_window.slices] = computed[..., *in_cell.slices]
    return result


def holds_valid(recipe: CellRecipe, reader: Reader, cell: Window) -> bool:
    """Whether a cell has a valid pixel: only such cells are computed, others cost a reading."""
    wanted = _wanted(recipe, cell)
    if not wanted.any():
        return False
    rows = recipe.zoom.rows.under(cell.row, cell.height)
    columns = recipe.zoom.columns.under(cell.column, cell.width)
    top, left = int(rows[0]), int(columns[0])
    under_cell = Window(top, left, int(rows[-1]) - top + 1, int(columns[-1]) - left + 1)
    _, valid = reader.read_mirrored(under_cell)
    under = _under(recipe.zoom, cell, top, left)
    return bool((wanted & _at(valid, under)).any())


def is_blank(recipe: CellRecipe, values: Values, mask: Valid | None) -> bool:
    """Whether a finished cell, as :func:`compute_cell` gave it, holds nothing valid."""
    if mask is not None:
        return not mask.any()
    absent = _absent(recipe)
    if np.isnan(absent):
        return values.dtype.kind == "f" and bool(np.isnan(values).all())
    return recipe.nodata is not None and bool((values == absent).all())


def blank_cell(recipe: CellRecipe, cell: Window) -> CellResult:
    """A cell in which nothing is valid, as :func:`compute_cell` gives it."""
    shape = len(recipe.bands), cell.height, cell.width
    return CellResult(
        np.full(shape, _absent(recipe), dtype=recipe.dtype),
        np.zeros(shape[1:], dtype=np.bool_) if recipe.masked else None,
        None if recipe.uncertainty_factor is None else np.full(shape, np.nan, dtype=np.float32),
    )


def _absent(recipe: CellRecipe) -> float:
    """What stands in an invalid pixel."""
    if recipe.nodata is not None:
        return recipe.nodata
    return float("nan") if np.dtype(recipe.dtype).kind == "f" else 0


def _interpolated(recipe: CellRecipe, around: HaloWindow, i: int) -> Doubles:
    """One band of a cell, interpolated linearly: (y, x)."""
    r, margin, cell = FILL_RADIUS, recipe.inference.margin, around.cell
    whole = linear(around.values[[i], r:-r, r:-r], around.rows, around.columns)
    band: Doubles = whole[0, margin : margin + cell.height, margin : margin + cell.width]
    return band


def _wanted(recipe: CellRecipe, cell: Window) -> Valid:
    """Whether each pixel's centre is in the output, the source and the area: (y, x)."""
    zoom = recipe.zoom
    under_rows = zoom.rows.under(cell.row, cell.height)
    under_columns = zoom.columns.under(cell.column, cell.width)
    inside: Valid = np.logical_and.outer(
        (under_rows >= 0) & (under_rows < zoom.rows.source),
        (under_columns >= 0) & (under_columns < zoom.columns.source),
    )
    # A lattice cell may stand out of the output; what lies there is the mirror image.
    inside &= np.logical_and.outer(
        np.arange(cell.row, cell.row + cell.height) < zoom.rows.size,
        np.arange(cell.column, cell.column + cell.width) < zoom.columns.size,
    )
    return inside if recipe.area is None else inside & recipe.area.inside(cell)


def _under(zoom: Zoom, cell: Window, top: int, left: int) -> tuple[Indices, Indices]:
    """Rows and columns of the source under each output pixel's centre, in what begins there."""
    rows = zoom.rows.under(cell.row, cell.height) - top
    columns = zoom.columns.under(cell.column, cell.width) - left
    return rows, columns


def _at(values: npt.NDArray[Any], under: tuple[Indices, Indices]) -> npt.NDArray[Any]:
    """What stands in these rows and columns: (..., y, x)."""
    rows, columns = under
    # Columns first: whole rows are copied then, many of them several times.
    return values.take(columns, axis=-1).take(rows, axis=-2)
