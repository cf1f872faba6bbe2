"""Try the tool without data: synthetic scenes whose truth is known, upscaled and compared."""

from rs_superres.demo.showcase import SCALE, DemoReport, run_demo
from rs_superres.demo.synthetic_scene import SCENES, SyntheticScene, render_scene, scene_grid

__all__ = [
    "SCALE",
    "SCENES",
    "DemoReport",
    "SyntheticScene",
    "render_scene",
    "run_demo",
    "scene_grid",
]
