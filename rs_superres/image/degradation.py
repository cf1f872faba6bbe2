"""How low resolution is made from high, as pure functions on arrays.

Every way of shrinking is separable and linear: a matrix for the rows and one for the columns,
whose entries say how much each pixel counts in each cell.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TypeVar, assert_never

import numpy as np
import numpy.typing as npt
from PIL import Image

from rs_superres.config import Kernel
from rs_superres.image.radiometry import quantise
from rs_superres.image.resampling import keys
from rs_superres.types import Values

Pixels = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]
Positions = npt.NDArray[np.floating]
Number = TypeVar("Number", bound=np.generic)


def low_resolution_side(side: int, scale: float) -> int:
    """The side h of the low-resolution image: round-half-up(side / scale), at most that.

    One less where round-half-up(h x scale) would exceed ``side``: then the truth that the
    result is compared with, its first round-half-up(h x scale) pixels, always exists.
    """
    h = _half_up(side / _exact(scale))
    return h - 1 if _half_up(h * _exact(scale)) > side else h


def truth_side(side: int, scale: float) -> int:
    """How many pixels of a side the result is compared with."""
    return _half_up(low_resolution_side(side, scale) * _exact(scale))


def _exact(scale: float) -> Fraction:
    """The decimal as it is written: 9.7 is not the binary number just below it."""
    return Fraction(str(scale))


def _half_up(value: Fraction) -> int:
    """The nearest whole number, halves upwards."""
    return math.floor(value + Fraction(1, 2))


def compared(
    image: npt.NDArray[Number], scale: float
) -> tuple[npt.NDArray[Number], tuple[int, int]]:
    """What the restored image is compared with, and the shape of its low resolution.

    Args:
        image: (band, y, x).
        scale: the magnification.
    """
    height, width = image.shape[1:]
    truth = image[:, : truth_side(height, scale), : truth_side(width, scale)]
    return truth, (low_resolution_side(height, scale), low_resolution_side(width, scale))


def gaussian_deviation(mtf: float) -> float:
    """The deviation, in cells, of a Gaussian blur by its modulation transfer at Nyquist.

    A Gaussian of deviation d passes a wave of f cycles a cell by exp(-2 pi^2 d^2 f^2); Nyquist is
    f = 1/2.

    Args:
        mtf: above 0 and below 1; satellites' are about 0.1 to 0.4.
    """
    return math.sqrt(-2 * math.log(mtf)) / math.pi


def kernel_matrix(
    kernel: Kernel, cells: int, pixels: int, *, phase: float = 0.0, mtf: float = 0.25
) -> Matrix:
    """Weights that make ``cells`` values of ``pixels`` along one axis, over the same extent.

    Args:
        kernel: how pixels are weighed; see :func:`kernel_weights`.
        cells: entries of the result.
        pixels: entries of what is weighed.
        phase: by how much of a cell the cells stand shifted along the axis, -0.5 to 0.5.
        mtf: of the Gaussian, its modulation transfer at the cells' Nyquist frequency.

    Returns:
        (cells, pixels), each row with the sum 1.
    """
    step = pixels / cells
    centres = (np.arange(cells) + 0.5 + phase) * step
    return kernel_weights(kernel, centres, step, np.arange(pixels) + 0.5, mtf=mtf)


def kernel_weights(
    kernel: Kernel, centres: Positions, step: float, pixels: Positions, *, mtf: float = 0.25
) -> Matrix:
    """How much each pixel counts in each cell.

    Args:
        kernel: ``bicubic`` is Keys' cubic (a = -1/2), as wide as a cell where it shrinks and as a
            pixel where it enlarges, which is what Pillow does; ``area`` the mean of what a cell
            covers; ``gaussian`` a sensor's blur.
        centres: (cells,) of the cells.
        step: a cell's size.
        pixels: (pixels,) centres of the pixels, whose size is 1.
        mtf: of the Gaussian, its modulation transfer at the cells' Nyquist frequency.

    Returns:
        (cells, pixels), each row with the sum 1.
    """
    apart = np.abs(pixels - centres[:, None])
    distance = apart / max(step, 1.0)
    match kernel:
        case "bicubic":
            weights = keys(distance)
        case "area":
            # What cell and pixel share.
            weights = np.minimum((step + 1) / 2 - apart, min(step, 1.0)).clip(0)
        case "gaussian":
            weights = np.exp(-0.5 * (distance / gaussian_deviation(mtf)) ** 2)
        case _:
            assert_never(kernel)
    normalised: Matrix = weights / weights.sum(axis=1, keepdims=True)
    return normalised


def resampled(image: Values, shape: tuple[int, int]) -> Values:
    """An image of any dtype by bicubic on another grid over its extent, rounded to its dtype.

    Args:
        image: (band, y, x).
        shape: (Y, X) of the result.
    """
    rows, columns = (
        kernel_matrix("bicubic", out, given)
        for out, given in zip(shape, image.shape[1:], strict=True)
    )
    return quantise(rows @ image.astype(np.float64) @ columns.T, image.dtype.name, None)


def bicubic(image: Pixels, shape: tuple[int, int]) -> Pixels:
    """Pillow's bicubic resampling, antialiased where it shrinks: (band, y, x) to (band, *shape)."""
    return np.stack(
        [
            np.asarray(Image.fromarray(band).resize(shape[::-1], Image.Resampling.BICUBIC))
            for band in image
        ]
    )
