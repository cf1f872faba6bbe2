"""The region of a result: its output grid, and the part of that grid that is written."""

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
        return Zoom.by_resolution(grid, *options.resolution)
    like = read_grid(str(options.like))
    if not same_crs(grid, like):
        raise InputError(f"{options.like} has another CRS than the source; reproject it first")
    return Zoom.by_grid(grid, like)


def _window(zoom: Zoom, bounds: tuple[float, float, float, float] | None) -> Window:
    """Return the output pixels within bounds in map units, or in source pixels without a map."""
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
