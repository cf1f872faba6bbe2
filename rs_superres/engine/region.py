"""The region of a result: its output grid, and the part of that grid that is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine

from rs_superres.errors import InputError
from rs_superres.grid import AxisMapping, Cells, Grid, Lattice, Window, Zoom
from rs_superres.options import PixelOptions
from rs_superres.raster import extent_text, longitude_turns, read_grid, same_crs, unit_note
from rs_superres.vector import Area, read_area

Bounds = tuple[float, float, float, float]
"""Left, bottom, right, top."""


@dataclass(frozen=True, slots=True)
class OutputRegion:
    """The output grid of a result, and the part of it that is written."""

    zoom: Zoom
    """The source grid, the output grid, and the mapping between them."""
    area: Area | None
    """The polygons of interest; None writes the entire window."""
    window: Window
    """The part of the output grid that is written, output pixels."""

    def cells(self, lattice: Lattice) -> Cells | tuple[Window, ...]:
        """Return the cells of a lattice that must be computed.

        Raises:
            InputError: no pixel's centre lies in the area.
        """
        cells = lattice.cells(self.window)
        if self.area is None:
            return cells
        touched = self.area.meeting(cells)
        if not any(self.area.inside(cell).any() for cell in touched):
            raise InputError(
                "the polygons of aoi= lie between the centres of the result's pixels; draw them "
                "larger, or choose a larger scale"
            )
        return touched


def output_region(grid: Grid, options: PixelOptions) -> OutputRegion:
    """Work out where the result of a source lies.

    Args:
        grid: the grid of the source.
        options: the options of the run; scale, resolution, like, bounds and aoi count here.

    Raises:
        InputError: the options set no output grid or more than one, or the part to write lies
            outside the source.
        RasterError: the raster of ``like=`` cannot be read.
    """
    options.check()
    zoom = _zoom(grid, options)
    if options.aoi is None:
        return OutputRegion(zoom, None, _window(zoom, options.bounds))
    area = read_area(options.aoi, zoom.output)
    return OutputRegion(zoom, area, area.window)


def _zoom(grid: Grid, options: PixelOptions) -> Zoom:
    """Return the output grid that the options ask for, over the source grid."""
    if options.scale is not None:
        return Zoom.by_scale(grid, options.scale)
    if options.resolution is not None:
        note = unit_note(grid, options.resolution[0])
        return Zoom.by_resolution(grid, *options.resolution, note=note)
    like = read_grid(str(options.like))
    if not same_crs(grid, like):
        raise InputError(f"{options.like} has another CRS than the source; reproject it first")
    return _like(grid, like)


def _like(grid: Grid, like: Grid) -> Zoom:
    """Map another raster's grid onto the source, a turn around the Earth further if need be.

    Raises:
        InputError: the grids do not fit, or the grid covers the source in two parts.
    """
    zooms, refusals = [], []
    for turn in longitude_turns(like.crs):
        moved = None if like.transform is None else Affine.translation(turn, 0) @ like.transform
        try:
            zooms.append(Zoom.by_grid(grid, replace(like, transform=moved)))
        except InputError as refusal:
            refusals.append(refusal)
    if not zooms:
        raise refusals[0]
    parts = [_covered(zoom.columns) for zoom in zooms]
    best = max(parts, key=len)
    lost = [len(p) - len(range(max(p.start, best.start), min(p.stop, best.stop))) for p in parts]
    if max(lost) > 1:
        raise InputError(
            f"the like= grid, {extent_text(like)}, covers the source in two parts, and the source "
            f"spans {extent_text(grid)}; give a like= grid with longitudes that do not jump there"
        )
    return replace(zooms[parts.index(best)], output=like)


def _covered(columns: AxisMapping) -> range:
    """Return the source columns that the columns of an output touch."""
    first, last = columns.under(0, columns.size)[[0, -1]]
    return range(max(int(first), 0), min(int(last) + 1, columns.source))


def _window(zoom: Zoom, bounds: Bounds | None) -> Window:
    """Return the output pixels within bounds in map units, or in source pixels without a map."""
    if bounds is None:
        return zoom.output.window
    mapped = zoom.output.transform is not None and zoom.output.crs is not None
    if mapped:
        bounds = _unbroken(bounds, longitude_turns(zoom.output.crs))
    left, bottom, right, top = bounds
    low, high = (bottom, top) if mapped else (top, bottom)  # rows count downwards
    if not (np.isfinite(bounds).all() and left < right and low < high):
        raise InputError(
            f"bounds={_text(bounds)}, expected left, bottom, right, top"
            + ("" if mapped else " in source pixels, rows counted downwards")
        )
    if mapped:
        return _window_on_map(zoom.output, bounds)
    rows = [zoom.rows.edge(v) for v in (top, bottom)]
    columns = [zoom.columns.edge(v) for v in (left, right)]
    window = zoom.output.snapped((rows[0], columns[0], rows[1], columns[1]))
    if window is None:
        source = zoom.source.shape
        raise InputError(
            f"bounds={_text(bounds)} lie outside the raster, which has source pixels 0 to "
            f"{source.width} from left to right and 0 to {source.height} from top to bottom"
        )
    return window


def _unbroken(bounds: Bounds, turns: Sequence[float]) -> Bounds:
    """Return bounds from 170 to -170 degrees, as RFC 7946 writes them, as from 170 to 190.

    Bounds that would then be wider than half a turn stay: left and right were swapped.
    """
    left, bottom, right, top = bounds
    if len(turns) > 1 and right < left and right + turns[1] - left < turns[1] / 2:
        right += turns[1]
    return left, bottom, right, top


def _window_on_map(grid: Grid, bounds: Bounds) -> Window:
    """Return the pixels within bounds in map units, a turn around the Earth further if need be.

    Raises:
        InputError: there are none, or bounds across 180 degrees lie in two parts of the raster.
    """
    left, bottom, right, top = bounds
    west, _, east, _ = grid.bounds
    pixel = (east - west) / grid.shape.width
    windows = []
    for turn in longitude_turns(grid.crs):
        window = grid.window_of((left + turn, bottom, right + turn, top))
        if window is not None:
            if west - pixel < left + turn and right + turn < east + pixel:
                return window
            windows.append(window)
    if not windows:
        raise InputError(
            f"bounds={_text(bounds)} lie outside the raster, which spans {extent_text(grid)}"
        )
    first, last = min(w.column for w in windows), max(w.column + w.width for w in windows)
    if last - first > sum(w.width for w in windows) or len({w.row for w in windows}) > 1:
        parts = [extent_text(grid.crop(window)) for window in windows]
        raise InputError(
            f"bounds={_text(bounds)} lie in two parts of the raster: {' and '.join(parts)}; give "
            "bounds= for one of them"
        )
    return replace(windows[0], column=first, width=last - first)


def _text(bounds: Bounds) -> str:
    """Return bounds as a keyword's value."""
    return "({:.9g}, {:.9g}, {:.9g}, {:.9g})".format(*bounds)
