"""Compute a cell of the output lattice, or any window of the output, from source pixels.

:func:`compute_cell` is the path of a pixel from end to end: read the source around the cell, draw
the samples of each band group, round to the result's dtype, and mark what is invalid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy

from rs_superres.grid import Window, Zoom
from rs_superres.image.radiometry import FILL_RADIUS, quantise
from rs_superres.image.resampling import linear
from rs_superres.raster import visible
from rs_superres.scene.halo import HaloWindow
from rs_superres.scene.reader import CoarserReader, Reader
from rs_superres.scene.recipe import CellRecipe
from rs_superres.scene.samples import draw_samples
from rs_superres.types import Doubles, Floats, Indices, Valid, Values

CONTINUED = FILL_RADIUS // 2
"""Source pixels that the colours of visible pixels continue into transparent ones.

Holes are filled twice as far, so that the end of the fill changes none of these colours.
"""


class CellResult(NamedTuple):
    """The computed pixels of a cell or of a window of the output."""

    values: Values
    """(band, y, x) digital numbers in the result's dtype; nodata, NaN or 0 where invalid."""
    mask: Valid | None
    """(y, x), True where the pixel is valid; None if the result has no mask."""
    std: Floats | None = None
    """(band, y, x) expected error, digital numbers; NaN where invalid."""


def compute_cell(recipe: CellRecipe, reader: Reader, cell: Window) -> CellResult:
    """Compute the pixels of one cell of the lattice.

    A pixel is valid in a band if its centre lies in the output, in the source and in the area of
    interest, and if the source pixel under its centre is valid in that band. A cell without a
    valid pixel does not go through the network. Where an alpha band is 0, the colours of visible
    pixels continue for :data:`CONTINUED` source pixels, so that no edge shows a foreign colour;
    beyond, colours are nodata, NaN or 0.

    Args:
        recipe: everything that decides the pixels, except the source's values.
        reader: reads the source.
        cell: the cell in output pixels, of the lattice's full cell size. It may extend beyond the
            output grid; what lies there is invalid.

    Returns:
        Values, mask and standard deviation of all pixels of the cell.

    Raises:
        RasterError: the source cannot be read.
    """
    inside = _inside(recipe, cell)
    if not inside.any():
        return blank_cell(recipe, cell)
    halo = HaloWindow.read(recipe, reader, cell)
    rows, columns = _nearest_indices(recipe.zoom, cell, halo.window)
    valid = inside & _take(halo.valid, rows, columns)
    if not valid.any():
        return blank_cell(recipe, cell)
    values, mask, std = blank_cell(recipe, cell)
    filled = shown = valid
    if recipe.has_alpha:
        shown = valid & _take(halo.visible, rows, columns)
        filled = valid & _take(_filled(recipe, halo.visible), rows, columns)
    wanted = [i for i, group in enumerate(recipe.groups) if filled[list(group.bands)].any()]
    for number, own, own_halo in _on_own_grids(recipe, reader, halo, wanted):
        _draw_group(own, own_halo, number, values, std)
    for i in recipe.linear_bands:
        values[i] = quantise(_interpolate(recipe, halo, i), recipe.dtype, None)
    for i in recipe.nearest_bands:
        values[i] = _take(halo.values[i], rows, columns)
    if not filled.all():
        values[~filled] = _invalid_value(recipe)
    if std is not None:
        std[[*recipe.linear_bands, *recipe.nearest_bands]] = 0.0
        std[~shown] = np.nan
    if mask is not None:
        # A pixel that only some bands lack has the nodata value in those bands. The mask marks
        # pixels that no band has. Alpha bands count only if there are no others.
        others = [i for i in range(len(values)) if i not in recipe.linear_bands]
        mask = np.asarray(valid[others or list(recipe.linear_bands)].any(axis=0))
    return CellResult(values, mask, std)


def compute_window(
    recipe: CellRecipe,
    reader: Reader,
    window: Window,
    out: CellResult | None = None,
    finished: Callable[[], None] | None = None,
) -> CellResult:
    """Compute any window of the output, cell by cell.

    Args:
        recipe: everything that decides the pixels, except the source's values.
        reader: reads the source.
        window: output pixels.
        out: arrays of the window's size to fill, so that the result needs no memory of its own;
            what is None there is not kept. New arrays by default.
        finished: called after each cell.

    Returns:
        Values, mask and standard deviation of the window's pixels.

    Raises:
        RasterError: the source cannot be read.
    """
    result = out or blank_cell(recipe, window)
    for cell, in_cell, in_window in recipe.lattice.parts(window):
        for target, computed in zip(result, compute_cell(recipe, reader, cell), strict=True):
            if target is not None and computed is not None:
                target[..., *in_window.slices] = computed[..., *in_cell.slices]
        if finished is not None:
            finished()
    return result


def holds_valid(recipe: CellRecipe, reader: Reader, cell: Window) -> bool:
    """Find out whether a cell has a pixel to compute, without computing it.

    Only such cells go through the network. This reads the source pixels under the cell.

    Args:
        recipe: everything that decides the pixels, except the source's values.
        reader: reads the source.
        cell: the cell, in output pixels.

    Raises:
        RasterError: the source cannot be read.
    """
    inside = _inside(recipe, cell)
    if not inside.any():
        return False
    rows = recipe.zoom.rows.under(cell.row, cell.height)
    columns = recipe.zoom.columns.under(cell.column, cell.width)
    border = CONTINUED if recipe.has_alpha else 0
    top, left = int(rows[0]) - border, int(columns[0]) - border
    bottom, right = int(rows[-1]) + 1 + border, int(columns[-1]) + 1 + border
    window = Window(top, left, bottom - top, right - left)
    values, valid = reader.read_mirrored(window)
    if recipe.has_alpha:
        valid = valid & _filled(recipe, visible(recipe.bands, values, valid))
        valid = valid[[i for i, band in enumerate(recipe.bands) if not band.is_alpha]]
    return bool((inside & _take(valid, *_nearest_indices(recipe.zoom, cell, window))).any())


def is_blank(recipe: CellRecipe, values: Values, mask: Valid | None) -> bool:
    """Find out whether a finished cell has no valid pixel, or is fully transparent.

    Args:
        recipe: the recipe that the cell was computed by.
        values: (band, y, x) of the cell's :class:`CellResult`.
        mask: (y, x) of the same result.
    """
    alphas = {band.alpha for band in recipe.bands if not band.is_alpha}
    if alphas and all(i is not None and not values[i].any() for i in alphas):
        return True
    if mask is not None:
        return not mask.any()
    invalid = _invalid_value(recipe)
    if np.isnan(invalid):
        return values.dtype.kind == "f" and bool(np.isnan(values).all())
    return recipe.nodata is not None and bool((values == invalid).all())


def blank_cell(recipe: CellRecipe, cell: Window) -> CellResult:
    """Create the result of a cell, or of any window of the output, without a valid pixel.

    Args:
        recipe: says which bands, dtype, nodata value and mask the result has.
        cell: the cell, in output pixels.
    """
    shape = len(recipe.bands), cell.height, cell.width
    return CellResult(
        np.full(shape, _invalid_value(recipe), dtype=recipe.dtype),
        np.zeros(shape[1:], dtype=np.bool_) if recipe.masked else None,
        None if recipe.uncertainty_factor is None else np.full(shape, np.nan, dtype=np.float32),
    )


def _filled(recipe: CellRecipe, shown: Valid) -> Valid:
    """Find the pixels that have a colour in the result, (band, y, x).

    Transparent pixels of the bands that go through the network have one near visible pixels.

    Args:
        recipe: says which bands go through the network, and which have an alpha band.
        shown: (band, y, x), True where source pixels are valid and not fully transparent.
    """
    out = np.ones_like(shown)
    for i in (i for group in recipe.groups for i in group.bands):
        if recipe.bands[i].alpha is not None and not shown[i].all():
            out[i] = scipy.ndimage.maximum_filter(shown[i], size=2 * CONTINUED + 1)
    return out


def _invalid_value(recipe: CellRecipe) -> float:
    """The digital number of invalid pixels: nodata if there is one, else NaN or 0."""
    if recipe.nodata is not None:
        return recipe.nodata
    return float("nan") if np.dtype(recipe.dtype).kind == "f" else 0


def _on_own_grids(
    recipe: CellRecipe, reader: Reader, halo: HaloWindow, groups: list[int]
) -> Iterator[tuple[int, CellRecipe, HaloWindow]]:
    """Yield groups of bands by their index, with recipe and halo on the grid of their own pixels.

    Args:
        recipe: the recipe on the source's grid.
        reader: reads the source.
        halo: the halo on the source's grid.
        groups: the indices.
    """
    halos = {1: halo}
    for number in groups:
        factor = recipe.factor(recipe.groups[number])
        own = recipe.on_grid(factor)
        if factor not in halos:
            halos[factor] = HaloWindow.read(own, CoarserReader(reader, factor), halo.cell)
        yield number, own, halos[factor]


def _draw_group(
    recipe: CellRecipe, halo: HaloWindow, number: int, values: Values, std: Floats | None
) -> None:
    """Compute the bands of one group into ``values`` and, unless it is None, ``std``."""
    group = recipe.groups[number]
    samples = draw_samples(recipe, halo, number)
    for mean, i in zip(samples.mean, group.bands, strict=True):
        values[i] = quantise(mean, recipe.dtype, recipe.nodata, recipe.bands[i].bits)
    if std is not None and samples.error is not None:
        std[list(group.bands)] = samples.error


def _interpolate(recipe: CellRecipe, halo: HaloWindow, band: int) -> Doubles:
    """Interpolate one band linearly: (y, x) digital numbers of the cell, not rounded."""
    r, margin, cell = FILL_RADIUS, recipe.inference.margin, halo.cell
    values = linear(halo.values[[band], r:-r, r:-r], halo.rows, halo.columns)
    without_margin: Doubles = values[0, margin : margin + cell.height, margin : margin + cell.width]
    return without_margin


def _inside(recipe: CellRecipe, cell: Window) -> Valid:
    """Find the pixels whose centre lies in the output, the source and the area: (y, x)."""
    zoom = recipe.zoom
    source_rows = zoom.rows.under(cell.row, cell.height)
    source_columns = zoom.columns.under(cell.column, cell.width)
    inside: Valid = np.logical_and.outer(
        (source_rows >= 0) & (source_rows < zoom.rows.source),
        (source_columns >= 0) & (source_columns < zoom.columns.source),
    )
    # A cell at the border may extend beyond the output, where the mirrored source is computed.
    inside &= np.logical_and.outer(
        np.arange(cell.row, cell.row + cell.height) < zoom.rows.size,
        np.arange(cell.column, cell.column + cell.width) < zoom.columns.size,
    )
    return inside if recipe.area is None else inside & recipe.area.inside(cell)


def _nearest_indices(zoom: Zoom, cell: Window, window: Window) -> tuple[Indices, Indices]:
    """Find the source pixel under the centre of each output pixel.

    Args:
        zoom: the grids of source and output.
        cell: output pixels.
        window: the source pixels that indices count from.

    Returns:
        Row indices of the cell's rows, and column indices of its columns.
    """
    rows = zoom.rows.under(cell.row, cell.height) - window.row
    columns = zoom.columns.under(cell.column, cell.width) - window.column
    return rows, columns


def _take(values: npt.NDArray[Any], rows: Indices, columns: Indices) -> npt.NDArray[Any]:
    """Take the pixels at all pairs of these rows and columns: (..., row, column)."""
    # Columns first: the second take then copies entire rows, many of them several times.
    return values.take(columns, axis=-1).take(rows, axis=-2)
