"""A town of 120 m x 120 m as an aircraft sees it: houses, trees, roads with cars, and a river."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rs_superres.demo.painting import hashed, paint, smooth_noise
from rs_superres.types import Doubles

EXTENT = 120.0
"""Length of each side, in metres."""

_BLOCK, _ROAD = 40.0, 7.0
"""Distance between two roads, and width of a road, in metres."""


def radiance(x: Doubles, y: Doubles) -> Doubles:
    """Compute the scene's colour at points on the ground.

    Args:
        x: metres to the right of the scene's upper left corner, in two dimensions.
        y: metres below it, in the same shape.

    Returns:
        (3, *x.shape) red, green and blue from 0 to 255.
    """
    texture = 0.6 * smooth_noise(x, y, 6.0) + 0.4 * smooth_noise(x, y, 1.5)
    grass = np.array([92.0, 108.0, 72.0])
    image: Doubles = grass[:, None, None] * (0.75 + 0.5 * texture)
    block_x, block_y = np.floor(x / _BLOCK), np.floor(y / _BLOCK)
    inner_x, inner_y = x - block_x * _BLOCK, y - block_y * _BLOCK
    _draw_field(image, x, y, (block_x + block_y) % 3 == 2)
    _draw_houses(image, inner_x, inner_y, block_x, block_y, (block_x + block_y) % 3 != 2)
    _draw_trees(image, x, y)
    _draw_roads(image, inner_x, inner_y)
    _draw_river(image, x, y)
    return image


def _draw_field(image: Doubles, x: Doubles, y: Doubles, where: npt.NDArray[np.bool_]) -> None:
    """Draw a ploughed field with furrows every 2.4 m, slightly rotated."""
    furrow = np.sin(2 * np.pi * (x * np.cos(0.3) + y * np.sin(0.3)) / 2.4)
    earth = np.array([142.0, 118.0, 88.0])[:, None, None]
    paint(image, where, earth * (0.9 + 0.14 * furrow + 0.15 * smooth_noise(x, y, 4.0)))


def _draw_houses(
    image: Doubles,
    u: Doubles,
    v: Doubles,
    block_x: Doubles,
    block_y: Doubles,
    where: npt.NDArray[np.bool_],
) -> None:
    """Draw four houses in each block: two roof planes, a ridge, a chimney and a shadow."""
    lot = (_BLOCK - _ROAD) / 2
    lot_x, lot_y = np.floor((u - _ROAD) / lot), np.floor((v - _ROAD) / lot)
    where = where & (lot_x >= 0) & (lot_y >= 0)
    number = block_x * 2 + lot_x, block_y * 2 + lot_y
    angle = (hashed(*number, 1.0) - 0.5) * 0.9
    a = u - _ROAD - (lot_x + 0.5) * lot
    b = v - _ROAD - (lot_y + 0.5) * lot
    p = a * np.cos(angle) + b * np.sin(angle)
    q = -a * np.sin(angle) + b * np.cos(angle)
    half_p, half_q = 3.5 + 2.0 * hashed(*number, 2.0), 2.6 + 1.2 * hashed(*number, 3.0)
    shadow = where & (np.abs(p - 1.2) < half_p) & (np.abs(q - 1.2) < half_q)
    paint(image, shadow, np.array([38.0, 42.0, 44.0]))
    roof = where & (np.abs(p) < half_p) & (np.abs(q) < half_q)
    tone = hashed(*number, 4.0)
    colour = np.stack((150 + 60 * tone, 92 + 90 * tone, 78 + 100 * tone))
    tiles = 1 + 0.06 * np.sin(2 * np.pi * p / 0.9)
    paint(image, roof, colour * np.where(q < 0, 1.12, 0.78) * tiles)
    paint(image, roof & (np.abs(q) < 0.15), np.array([205.0, 196.0, 186.0]))
    chimney = roof & (np.abs(p - half_p / 2) < 0.5) & (np.abs(q + half_q / 2) < 0.5)
    paint(image, chimney, np.array([62.0, 54.0, 52.0]))


def _draw_trees(image: Doubles, x: Doubles, y: Doubles) -> None:
    """Draw round trees on a jittered grid, lit from the upper left."""
    spacing = 9.0
    i, j = np.floor(x / spacing), np.floor(y / spacing)
    centre_x = (i + 0.3 + 0.4 * hashed(i, j, 11.0)) * spacing
    centre_y = (j + 0.3 + 0.4 * hashed(i, j, 12.0)) * spacing
    radius = 1.0 + 1.6 * hashed(i, j, 13.0)
    exists = hashed(i, j, 14.0) < 0.4
    distance = np.hypot(x - centre_x, y - centre_y) / radius
    paint(
        image,
        exists & (np.hypot(x - centre_x - 0.8, y - centre_y - 0.8) < radius),
        np.array([46.0, 54.0, 42.0]),
    )
    light = 1.05 - 0.25 * (x - centre_x + y - centre_y) / radius
    leaves = 0.8 + 0.4 * smooth_noise(x, y, 0.8)
    crown = np.array([58.0, 88.0, 48.0])[:, None, None] * light * leaves
    paint(image, exists & (distance < 1), crown)


def _draw_roads(image: Doubles, u: Doubles, v: Doubles) -> None:
    """Draw a grid of roads with asphalt, pavements, a dashed centre line and cars."""
    for along, across in ((u, v), (v, u)):
        paint(image, across < _ROAD, np.array([168.0, 164.0, 158.0]))
        paint(image, (across > 1.0) & (across < _ROAD - 1.0), np.array([96.0, 96.0, 100.0]))
        dash = (np.abs(across - _ROAD / 2) < 0.12) & (np.mod(along, 5.0) < 2.5)
        paint(image, dash, np.array([232.0, 230.0, 222.0]))
        car = (np.abs(across - 2.2) < 0.9) & (np.abs(np.mod(along, 17.0) - 12.0) < 2.1)
        paint(image, car & (along > _ROAD), np.array([206.0, 60.0, 52.0]))
    crossing = (u < _ROAD) & (v < _ROAD)
    paint(image, crossing, np.array([96.0, 96.0, 100.0]))


def _draw_river(image: Doubles, x: Doubles, y: Doubles) -> None:
    """Draw a dark river with light banks that winds through the lower right."""
    bed = 100.0 + 5.0 * np.sin(x / 14.0) - 0.18 * (x - 60.0)
    paint(image, np.abs(y - bed) < 6.5, np.array([176.0, 164.0, 132.0]))
    paint(image, np.abs(y - bed) < 5.5, np.array([44.0, 62.0, 72.0]))
