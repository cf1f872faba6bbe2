"""Where a result lies: its grid, and the part of it that is wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rs_superres.errors import InputError
from rs_superres.grid import Cells, Grid, Lattice, Window, Zoom
from rs_superres.options import PixelOptions
from rs_superres.raster import read_grid, same_crs
from rs_superres.vector import Area, read_area


@dataclass(frozen=True, slots=True)
class OutputRegion:
    """Where a result lies."""

    zoom: Zoom
    area: Area | None
    window: Window
    """The part of the output grid that is written."""

    def cells(self, lattice: Lattice) -> Cells | tuple[Window, ...]:
        """The cells of a lattice that are needed.

        Raises:
            InputError: none, since no pixel's centre is in the area.
        """
        cells = lattice.cells(self.window)
        if self.area is None:
            return cells
        met = self.area.meeting(cells)
        if not any(self.area.inside(cell).any() for cell in met):
            raise InputError("the polygons of aoi= lie between the centres of the result's pixels")
        return met


def output_region(grid: Grid, options: PixelOptions) -> OutputRegion:
    """Where the result of a source on a grid shall lie.

    Raises:
        InputError: the options ask for no grid, or for a part that is not there.
        RasterError: a file that they name cannot be read.
    """
    zoom = _zoom(grid, options)
    area = _area(zoom, options)
    return OutputRegion(zoom, area, _window(zoom, options.bounds) if area is None else area.window)


def _zoom(grid: Grid, options: PixelOptions) -> Zoom:
    """The output grid that the options ask for."""
    asked = [options.scale, options.resolution, options.like]
    if sum(a is not None for a in asked) != 1:
        raise InputError("one of scale=, resolution= and like= is needed, and no more than one")
    if options.scale is not None:
        return Zoom.by_scale(grid, options.scale)
    if options.resolution is not None:
        return Zoom.by_resolution(grid, *options.resolution)
    like = read_grid(str(options.like))
    if not same_crs(grid, like):
        raise InputError(f"{options.like} has another CRS than the source; reproject it first")
    return Zoom.by_grid(grid, like)


def _window(zoom: Zoom, bounds: tuple[float, float, float, float] | None) -> Window:
    """The part of the output that bounds ask for: map units, or source pixels without a map."""
    if bounds is None:
        return zoom.output.window
    left, bottom, right, top = bounds
    mapped = zoom.output.transform is not None and zoom.output.crs is not None
    low, high = (bottom, top) if mapped else (top, bottom)  # rows count downwards
    if not (np.isfinite(bounds).all() and left < right and low < high):
        raise InputError(
            f"bounds {left:g} {bottom:g} {right:g} {top:g}, expected left, bottom, right, top"
            + ("" if mapped else " in source pixels, rows counted downwards")
        )
    if mapped:
        return zoom.output.window_of(bounds)
    rows = [zoom.rows.edge(v) for v in (top, bottom)]
    columns = [zoom.columns.edge(v) for v in (left, right)]
    return zoom.output.snapped((rows[0], columns[0], rows[1], columns[1]))


def _area(zoom: Zoom, options: PixelOptions) -> Area | None:
    """The polygons that the options ask for."""
    if options.aoi is None:
        return None
    if options.bounds is not None:
        raise InputError("bounds= and aoi= were both given, expected one of them")
    return read_area(options.aoi, zoom.output)
