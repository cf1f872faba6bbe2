"""Where pixels lie: grids, windows, and the lattice of cells."""

from rs_superres.grid.grid import SNAP, AxisMapping, Grid, Shape, Window, Zoom, exact_scale
from rs_superres.grid.lattice import AxisSupport, CellPart, Cells, Lattice, WindowAxis, axis_support

__all__ = [
    "SNAP",
    "AxisMapping",
    "AxisSupport",
    "CellPart",
    "Cells",
    "Grid",
    "Lattice",
    "Shape",
    "Window",
    "WindowAxis",
    "Zoom",
    "axis_support",
    "exact_scale",
]
