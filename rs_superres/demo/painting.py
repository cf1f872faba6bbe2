"""Paint ground from formulas: random numbers, smooth noise, and colours under a mask."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rs_superres.types import Doubles

_FACTORS = (12.9898, 78.233, 37.719, 53.117)
"""Factors of the hashed numbers, which make neighbouring ones unlike each other."""


def hashed(*numbers: Doubles | float) -> Doubles:
    """Hash each tuple of integers to a number in [0, 1)."""
    x = sum(np.asarray(n, dtype=np.float64) * f for n, f in zip(numbers, _FACTORS, strict=False))
    out: Doubles = np.mod(np.sin(x) * 43758.5453, 1.0)
    return out


def smooth_noise(x: Doubles, y: Doubles, wavelength: float) -> Doubles:
    """Value noise in [0, 1): random numbers on a grid of ``wavelength`` metres, interpolated."""
    u, v = x / wavelength, y / wavelength
    i, j = np.floor(u), np.floor(v)
    s, t = u - i, v - j
    s, t = s * s * (3 - 2 * s), t * t * (3 - 2 * t)
    top = hashed(i, j, 7.0) * (1 - s) + hashed(i + 1, j, 7.0) * s
    bottom = hashed(i, j + 1, 7.0) * (1 - s) + hashed(i + 1, j + 1, 7.0) * s
    return top * (1 - t) + bottom * t


def paint(image: Doubles, where: npt.NDArray[np.bool_], colour: Doubles) -> None:
    """Set the colour, (3, ...) or (3,), of the points at which ``where`` is True."""
    if colour.ndim == 1:
        colour = np.broadcast_to(colour[:, None, None], image.shape)
    image[:, where] = colour[:, where]
