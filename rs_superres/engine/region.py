"""The region of a result: its output grid, and the part of that grid that is written."""

from __future__ import annotations

from dataclasses import dataclass, replace

from affine import Affine

from rs_superres.errors import InputError
from rs_superres.grid import AxisMapping, Cells, Grid, Lattice, Window, Zoom
from rs_superres.options import PixelOptions
from rs_superres.raster import (
    extent_text,
    longitude_turns,
    read_grid,
    same_crs,
    unit_note,
    window_within,
)
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
        return OutputRegion(zoom, None, window_within(zoom, options.bounds))
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
