"""Where pixels lie: grids, windows, the lattice of cells, and the box on the Earth's surface."""

from rs_superres.grid.grid import SNAP, AxisMapping, Grid, Shape, Window, Zoom, exact_scale
from rs_superres.grid.lattice import AxisSupport, CellPart, Cells, Lattice, axis_support
from rs_superres.grid.location import Place, pixel_size, place_of

__all__ = [
    "SNAP",
    "AxisMapping",
    "AxisSupport",
    "CellPart",
    "Cells",
    "Grid",
    "Lattice",
    "Place",
    "Shape",
    "Window",
    "Zoom",
    "axis_support",
    "exact_scale",
    "pixel_size",
    "place_of",
]
