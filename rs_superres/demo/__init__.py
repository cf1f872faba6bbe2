"""A synthetic scene with a known truth, and a run that shows the tool on it."""

from rs_superres.demo.showcase import SCALE, SIDE, DemoReport, run
from rs_superres.demo.town import grid, render

__all__ = ["SCALE", "SIDE", "DemoReport", "grid", "render", "run"]
