"""Synthetic scenes, drawn from formulas, so that the truth is known at every pixel size.

A formula gives the colour at any point of the ground. A pixel is its mean over the pixel's area. So
one scene can be rendered with large pixels, to upscale it, and with small ones, to judge it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from affine import Affine

from rs_superres.demo import country, town
from rs_superres.grid import Grid, Shape
from rs_superres.types import Doubles

ORIGIN = (500_000.0, 5_400_000.0)
"""Easting and northing of a scene's upper left corner, UTM zone 33 north (EPSG:32633)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticScene:
    """Ground that is drawn from a formula."""

    radiance: Callable[[Doubles, Doubles], Doubles]
    """The colour, (3, *shape) from 0 to 255, at points so many metres to the right of the upper
    left corner and below it, of the same shape each."""
    extent: float
    """Length of each side in metres."""
    side: int
    """Rows and columns of the low resolution in a demonstration."""


SCENES = {
    "town": SyntheticScene(radiance=town.radiance, extent=town.EXTENT, side=160),
    "country": SyntheticScene(radiance=country.radiance, extent=country.EXTENT, side=160),
}
"""The scenes by name: an aerial image with pixels of 0.75 m, and a satellite's with 10 m."""

TOWN = SCENES["town"]


def render_scene(side: int, *, samples: int, scene: SyntheticScene = TOWN) -> npt.NDArray[np.uint8]:
    """Render a scene.

    Args:
        side: rows and columns of the image.
        samples: points in each direction whose mean is a pixel.
        scene: what is drawn.

    Returns:
        (3, side, side) red, green and blue.
    """
    points = (np.arange(side * samples) + 0.5) * (scene.extent / (side * samples))
    rows = []
    for start in range(0, side, 64):
        stop = min(side, start + 64)
        y, x = np.meshgrid(points[start * samples : stop * samples], points, indexing="ij")
        colours = scene.radiance(x, y)
        by_pixel = colours.reshape(3, stop - start, samples, side, samples)
        rows.append(by_pixel.mean(axis=(2, 4)))
    pixels: npt.NDArray[np.uint8] = (
        np.rint(np.concatenate(rows, axis=1)).clip(0, 255).astype(np.uint8)
    )
    return pixels


def scene_grid(side: int, scene: SyntheticScene = TOWN) -> Grid:
    """Return the grid of a scene in UTM zone 33 north.

    Args:
        side: rows and columns of the image.
        scene: what is drawn.
    """
    size = scene.extent / side
    return Grid(Shape(side, side), Affine(size, 0, ORIGIN[0], 0, -size, ORIGIN[1]), "EPSG:32633")
