"""How low resolution is made from high: pure functions on 8-bit images."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def low_resolution_side(side: int, scale: float) -> int:
    """The side h of the low-resolution image: round-half-up(side / scale), at most that.

    One less where round-half-up(h x scale) would exceed ``side``: then the truth that the
    result is compared with, its first round-half-up(h x scale) pixels, always exists.
    """
    h = math.floor(side / scale + 0.5)
    return h - 1 if math.floor(h * scale + 0.5) > side else h


def truth_side(side: int, scale: float) -> int:
    """How many pixels of a side the result is compared with."""
    return math.floor(low_resolution_side(side, scale) * scale + 0.5)


def bicubic(image: Pixels, shape: tuple[int, int]) -> Pixels:
    """Pillow's bicubic resampling, antialiased where it shrinks: (3, y, x) to (3, *shape)."""
    picture = Image.fromarray(image.transpose(1, 2, 0))
    resized = picture.resize(shape[::-1], Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(resized).transpose(2, 0, 1))
