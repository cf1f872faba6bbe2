"""The part of an output grid that lies within bounds on the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rs_superres.errors import InputError
from rs_superres.grid import Grid, Window, Zoom
from rs_superres.raster.location import extent_text, longitude_turns

Bounds = tuple[float, float, float, float]
"""Left, bottom, right, top."""


def window_within(zoom: Zoom, bounds: Bounds | None) -> Window:
    """Return the output pixels within bounds in map units, or in source pixels without a map.

    Args:
        zoom: the grids of source and output, and the mapping between them.
        bounds: the bounds; None for the entire output.

    Raises:
        InputError: the bounds are no bounds, or lie outside the output or in two parts of it.
    """
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
