"""Where pixels lie: grids, windows, the lattice of cells, and places on the ground."""

from rs_superres.grid.grid import SNAP, Axis, Grid, Shape, Window, Zoom, exact_scale
from rs_superres.grid.lattice import Cells, Lattice, Patch, patch
from rs_superres.grid.location import Place, pixel_size, place_of

__all__ = [
    "SNAP",
    "Axis",
    "Cells",
    "Grid",
    "Lattice",
    "Patch",
    "Place",
    "Shape",
    "Window",
    "Zoom",
    "exact_scale",
    "patch",
    "pixel_size",
    "place_of",
]
