"""Try the tool without data: a synthetic scene whose truth is known, upscaled and compared."""

from rs_superres.demo.showcase import SCALE, SIDE, DemoReport, run_demo
from rs_superres.demo.synthetic_scene import render_scene, scene_grid

__all__ = ["SCALE", "SIDE", "DemoReport", "render_scene", "run_demo", "scene_grid"]
