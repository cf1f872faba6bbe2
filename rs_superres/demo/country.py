"""Countryside of 1,600 m x 1,600 m as a satellite sees it: fields, a river, a forest and a town."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rs_superres.demo.painting import hashed, paint, smooth_noise
from rs_superres.types import Doubles

EXTENT = 1600.0
"""Length of each side, in metres."""

_CROPS = np.array(
    [
        [98, 122, 62],
        [128, 138, 74],
        [176, 158, 104],
        [150, 122, 92],
        [116, 96, 76],
        [74, 104, 56],
        [196, 178, 126],
    ],
    dtype=np.float64,
)
"""Colours of green, ripe and bare fields."""

_STRIP, _FIELD = 260.0, 150.0
"""Width of the strips between two lanes, and mean length of a field in them, in metres."""

_TURN = 0.35
"""Angle of the strips, in radians."""


def radiance(x: Doubles, y: Doubles) -> Doubles:
    """Compute the colour at points on the ground.

    Args:
        x: metres to the right of the scene's upper left corner, in two dimensions.
        y: metres below it, in the same shape.

    Returns:
        (3, *x.shape) red, green and blue from 0 to 255.
    """
    image: Doubles = np.zeros((3, *x.shape))
    u = x * np.cos(_TURN) + y * np.sin(_TURN)
    v = y * np.cos(_TURN) - x * np.sin(_TURN)
    _draw_fields(image, u, v)
    _draw_pivot(image, x, y)
    _draw_forest(image, x, y)
    _draw_town(image, x, y)
    _draw_river(image, x, y)
    _draw_motorway(image, x, y)
    return image


def _draw_fields(image: Doubles, u: Doubles, v: Doubles) -> None:
    """Draw strips of fields with lanes between them, drill lines and soil of uneven moisture."""
    strip = np.floor(u / _STRIP)
    across = u - strip * _STRIP
    along = v + 400.0 * hashed(strip, 1.0)
    field = np.floor(along / _FIELD)
    # The borders of the fields lie at uneven distances.
    early = along - field * _FIELD < 90.0 * hashed(strip, field, 2.0)
    field = np.where(early, field - 1, field)
    crop = np.floor(hashed(strip, field, 3.0) * len(_CROPS)).astype(int)
    tone = 0.86 + 0.28 * hashed(strip, field, 4.0)
    moisture = 0.92 + 0.16 * smooth_noise(u, v, 70.0)
    lines = 1 + 0.05 * np.sin(2 * np.pi * v / 11.0) * (hashed(strip, field, 5.0) < 0.6)
    image[:] = np.moveaxis(_CROPS[crop], -1, 0) * (tone * moisture * lines)
    tracks = (np.mod(across, 24.0) < 1.6) & (hashed(strip, field, 6.0) < 0.5)
    paint(image, tracks, image * 0.88)
    paint(image, across < 6.0, np.array([182.0, 170.0, 140.0]))
    hedge = (across > 6.0) & (across < 13.0) & (hashed(strip, np.floor(along / 60), 7.0) < 0.5)
    paint(image, hedge, np.array([52.0, 72.0, 44.0]))


def _draw_pivot(image: Doubles, x: Doubles, y: Doubles) -> None:
    """Draw a field that a turning sprinkler waters: a circle of four sectors."""
    east, south = x - 1330.0, y - 370.0
    distance, angle = np.hypot(east, south), np.arctan2(south, east)
    sector = np.floor((angle + np.pi) / (np.pi / 2))
    rings = 1 + 0.05 * np.sin(2 * np.pi * distance / 14.0)
    green = 0.7 + 0.5 * hashed(sector, 21.0)
    paint(image, distance < 235, np.array([150.0, 142.0, 100.0])[:, None, None] * rings)
    paint(image, distance < 222, np.array([88.0, 126.0, 62.0])[:, None, None] * green * rings)
    paint(image, (np.abs(south) < 2.5) & (distance < 222), np.array([190.0, 176.0, 140.0]))


def _draw_forest(image: Doubles, x: Doubles, y: Doubles) -> None:
    """Draw a forest of round crowns with an uneven border and a clearing."""
    border = 330.0 + 150.0 * smooth_noise(x, y, 160.0) + 40.0 * smooth_noise(x, y, 35.0)
    distance = np.hypot(x - 150.0, (y - 1330.0) * 1.1)
    clearing = np.hypot(x - 190.0, y - 1420.0) < 55 + 25 * smooth_noise(x, y, 40.0)
    spacing = 8.0
    j = np.floor(y / spacing)
    shifted = x / spacing + hashed(j, 34.0)
    i = np.floor(shifted)
    east = (shifted - i - 0.25 - 0.5 * hashed(i, j, 31.0)) / 0.6
    south = (y / spacing - j - 0.25 - 0.5 * hashed(i, j, 32.0)) / 0.6
    light = (1.0 - 0.45 * (east + south)).clip(0.55, 1.6) * (0.75 + 0.5 * hashed(i, j, 33.0))
    crowns = np.array([50.0, 76.0, 42.0])[:, None, None] * light
    paint(image, (distance < border) & ~clearing, crowns)


def _draw_town(image: Doubles, x: Doubles, y: Doubles) -> None:
    """Draw a town: streets, houses with shadows, halls and gardens."""
    east, south = x - 620.0, y - 640.0
    inside = np.hypot(east, south * 1.25) < 250.0 + 60.0 * smooth_noise(x, y, 90.0)
    turn = -0.25
    p = east * np.cos(turn) + south * np.sin(turn) + 1000.0
    q = south * np.cos(turn) - east * np.sin(turn) + 1000.0
    width, depth, street = 92.0, 58.0, 9.0
    i, j = np.floor(p / width), np.floor(q / depth)
    a, b = p - i * width, q - j * depth
    garden = np.array([96.0, 112.0, 74.0])[:, None, None] * (0.8 + 0.4 * smooth_noise(x, y, 9.0))
    paint(image, inside, garden)
    paint(image, inside & ((a < street) | (b < street)), np.array([126.0, 124.0, 122.0]))
    halls = hashed(i, j, 41.0) < 0.18
    lot_a, lot_b = (width - street) / 5, (depth - street) / 2
    k, m = np.floor((a - street) / lot_a), np.floor((b - street) / lot_b)
    number = i * 5 + k, j * 2 + m
    c, d = a - street - (k + 0.5) * lot_a, b - street - (m + 0.5) * lot_b
    half_c, half_d = 4.5 + 2.6 * hashed(*number, 42.0), 4.0 + 3.5 * hashed(*number, 43.0)
    built = inside & (a > street) & (b > street) & ~halls & (hashed(*number, 44.0) < 0.85)
    roof = np.stack(
        (
            150 + 70 * hashed(*number, 45.0),
            104 + 80 * hashed(*number, 45.0),
            92 + 90 * hashed(*number, 45.0),
        )
    )
    _draw_building(image, built, (c, d), (half_c, half_d), roof * np.where(d < 0, 1.1, 0.82))
    hall_a, hall_b = a - (width + street) / 2, b - (depth + street) / 2
    pale = np.stack([205 + 40 * hashed(i, j, 46.0)] * 3)
    _draw_building(image, inside & halls, (hall_a, hall_b), (30.0, 15.0), pale)


def _draw_building(
    image: Doubles,
    where: npt.NDArray[np.bool_],
    position: tuple[Doubles, Doubles],
    half: tuple[Doubles | float, Doubles | float],
    colour: Doubles,
) -> None:
    """Draw a rectangular building and its shadow.

    Args:
        image: the picture.
        where: the points that may be painted.
        position: metres from the building's centre, along its two sides.
        half: half of the lengths of its two sides, in metres.
        colour: of the roof, (3, ...).
    """
    along, across = position
    shadow = (np.abs(along - 3.0) < half[0]) & (np.abs(across + 4.0) < half[1])
    paint(image, where & shadow, np.array([48.0, 52.0, 54.0]))
    paint(image, where & (np.abs(along) < half[0]) & (np.abs(across) < half[1]), colour)


def _draw_river(image: Doubles, x: Doubles, y: Doubles) -> None:
    """Draw a river that winds from the left to the lower right, with trees and sand along it."""
    middle = 900.0 + 90.0 * np.sin(x / 150.0) + 35.0 * np.sin(x / 61.0 + 1.0) + 0.22 * (x - 800.0)
    distance = np.abs(y - middle) / np.hypot(1.0, 0.6 * np.cos(x / 150.0) + 0.22)
    trees = distance < 34.0 + 16.0 * smooth_noise(x, y, 28.0)
    leaves = np.array([58.0, 84.0, 48.0])[:, None, None] * (0.7 + 0.6 * smooth_noise(x, y, 7.0))
    paint(image, trees, leaves)
    paint(image, distance < 24.0, np.array([186.0, 176.0, 146.0]))
    water = np.array([46.0, 66.0, 78.0])[:, None, None] * (0.95 + 0.1 * smooth_noise(x, y, 90.0))
    paint(image, distance < 18.0, water)


def _draw_motorway(image: Doubles, x: Doubles, y: Doubles) -> None:
    """Draw a road of two carriageways that crosses the scene, the river too."""
    distance = (x - 900.0 + 0.3 * (y - 800.0)) / np.hypot(1.0, 0.3)
    paint(image, np.abs(distance) < 14.0, np.array([128.0, 134.0, 96.0]))
    lanes = (np.abs(distance) < 12.0) & (np.abs(distance) > 2.0)
    paint(image, lanes, np.array([104.0, 104.0, 106.0]))
    lorry = np.mod(y + 61.0 * np.sign(distance), 173.0) < 14.0
    paint(image, lorry & (np.abs(np.abs(distance) - 5.0) < 1.4), np.array([232.0, 232.0, 228.0]))
