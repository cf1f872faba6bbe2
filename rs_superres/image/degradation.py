"""Downsampling: how low-resolution images are made from high-resolution ones, and spoiled.

All kernels are separable and linear. Along each axis, a matrix holds the weight of every
high-resolution pixel in every low-resolution pixel.
"""

from __future__ import annotations

import io
import math
from fractions import Fraction
from typing import TypeVar, assert_never

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter

from rs_superres.config import ConsistencyConfig, Kernel
from rs_superres.image.radiometry import quantise
from rs_superres.image.resampling import cubic_kernel
from rs_superres.types import Doubles, Values

ByteImage = npt.NDArray[np.uint8]
"""A (band, y, x) image of dtype uint8."""

Positions = npt.NDArray[np.floating]
Number = TypeVar("Number", bound=np.generic)
Real = TypeVar("Real", np.float32, np.float64)


def low_resolution_side(side: int, scale: float) -> int:
    """Return the side of the low-resolution image: round-half-up(side / scale), or 1 less.

    It is 1 less if the super-resolved side, round-half-up(result x scale), would exceed ``side``.
    So the image always has enough pixels to compare a result with; see :func:`truth_side`.

    Args:
        side: side of the high-resolution image in pixels.
        scale: the factor between the two, above 1.
    """
    low = _half_up(side / _exact(scale))
    return low - 1 if _half_up(low * _exact(scale)) > side else low


def truth_side(side: int, scale: float) -> int:
    """Return how many of a side's pixels a super-resolved result has, and is compared with.

    Args:
        side: side of the high-resolution image in pixels.
        scale: the factor between high and low resolution, above 1.
    """
    return _half_up(low_resolution_side(side, scale) * _exact(scale))


def _exact(scale: float) -> Fraction:
    """Return a scale as the decimal that was written: the double 9.7 is slightly less."""
    return Fraction(str(scale))


def _half_up(value: Fraction) -> int:
    """Round to the nearest integer, and halves up."""
    return math.floor(value + Fraction(1, 2))


def compared(
    image: npt.NDArray[Number], scale: float
) -> tuple[npt.NDArray[Number], tuple[int, int]]:
    """Crop an image to the truth of a scale, and return the shape of its low resolution.

    Args:
        image: (band, y, x) high-resolution image.
        scale: the factor between high and low resolution, above 1.

    Returns:
        The cropped image, (band, y, x), with which a result is compared; and the (y, x) shape of
        the low-resolution image to make from it.
    """
    height, width = image.shape[1:]
    truth = image[:, : truth_side(height, scale), : truth_side(width, scale)]
    return truth, (low_resolution_side(height, scale), low_resolution_side(width, scale))


def gaussian_deviation(mtf: float) -> float:
    """Return the standard deviation of the Gaussian blur with an MTF at the Nyquist frequency.

    A Gaussian of standard deviation d passes a wave of f cycles per low-resolution pixel with the
    factor exp(-2 pi^2 d^2 f^2). At Nyquist, f = 1/2, so d = sqrt(-2 ln(mtf)) / pi.

    Args:
        mtf: the factor at Nyquist, above 0 and below 1; about 0.1 to 0.4 for satellites.

    Returns:
        The standard deviation in low-resolution pixels.
    """
    return math.sqrt(-2 * math.log(mtf)) / math.pi


def kernel_matrix(
    kernel: Kernel, outputs: int, inputs: int, *, phase: float = 0.0, mtf: float = 0.25
) -> Doubles:
    """Return the matrix that resamples ``inputs`` pixels to ``outputs`` pixels of the same extent.

    Args:
        kernel: the kernel; see :func:`kernel_weights`.
        outputs: number of pixels to make, such as the low-resolution side.
        inputs: number of pixels that they are made from.
        phase: shift of the output pixels along the axis, -0.5 to 0.5 of an output pixel.
        mtf: modulation transfer of a Gaussian kernel at the outputs' Nyquist frequency.

    Returns:
        (outputs, inputs) weights; each row sums to 1.
    """
    step = inputs / outputs
    centres = (np.arange(outputs) + 0.5 + phase) * step
    return kernel_weights(kernel, centres, step, np.arange(inputs) + 0.5, mtf=mtf)


def effective_mtf(matrix: Doubles) -> float:
    """Return the modulation transfer at Nyquist of the Gaussian that blurs like a kernel.

    It passes as much as the kernel at half of the outputs' Nyquist frequency, so that kernels with
    negative weights, which fall faster beyond, can be compared with it: about 0.63 for ``area`` and
    0.78 for ``bicubic``.

    Args:
        matrix: (outputs, inputs) weights of the kernel, two or more outputs.
    """
    outputs, inputs = matrix.shape
    wave = np.exp(-0.5j * np.pi * np.arange(inputs) * outputs / inputs)
    return float(np.abs(matrix[outputs // 2] @ wave) ** 4)


def kernel_mtf(kernel: ConsistencyConfig, scale: float) -> float:
    """Return the modulation transfer of a kernel as networks take it; see :func:`effective_mtf`.

    Args:
        kernel: the kernel.
        scale: the factor by which it downsamples, above 1.
    """
    if kernel.kernel == "gaussian":
        return kernel.mtf
    outputs = 16
    return effective_mtf(kernel_matrix(kernel.kernel, outputs, round(outputs * scale)))


def sharpened_mtf(mtf: float, amount: float, radius: float) -> float:
    """Return the modulation transfer of a blur and an unsharp mask; see :func:`effective_mtf`.

    Args:
        mtf: that of the blur alone.
        amount: how much the mask adds; 0.8 is 80 %.
        radius: standard deviation of its Gaussian in pixels.
    """
    # At half of the Nyquist frequency, the Gaussian passes exp(-(pi radius)^2 / 8).
    gain = 1 + amount * (1 - math.exp(-((math.pi * radius) ** 2) / 8))
    return float(mtf * gain**4)


def kernel_weights(
    kernel: Kernel, centres: Positions, step: float, inputs: Positions, *, mtf: float = 0.25
) -> Doubles:
    """Return the weight of each input pixel in each output pixel along one axis.

    All coordinates count in input pixels, from a common origin.

    Args:
        kernel: ``bicubic`` is Keys' cubic (a = -1/2), as wide as an output pixel when shrinking and
            as an input pixel when enlarging, as in Pillow; ``area`` is the mean over the extent of
            an output pixel; ``gaussian`` is the blur of a sensor.
        centres: (outputs,) centres of the output pixels.
        step: size of an output pixel.
        inputs: (inputs,) centres of the input pixels.
        mtf: modulation transfer of a Gaussian kernel at the outputs' Nyquist frequency.

    Returns:
        (outputs, inputs) weights; each row sums to 1.
    """
    weights = kernel_values(kernel, np.abs(inputs - centres[:, None]), step, mtf=mtf)
    normalised: Doubles = weights / weights.sum(axis=1, keepdims=True)
    return normalised


def kernel_values(kernel: Kernel, apart: Doubles, step: float, *, mtf: float) -> Doubles:
    """Return a kernel at distances from its centre, in any unit of weight.

    Args:
        kernel: the kernel; see :func:`kernel_weights`.
        apart: distances in input pixels, of any shape.
        step: size of an output pixel in input pixels.
        mtf: modulation transfer of a Gaussian kernel at the outputs' Nyquist frequency.
    """
    distance = apart / max(step, 1.0)
    match kernel:
        case "bicubic":
            return cubic_kernel(distance)
        case "area":
            # The length that the output pixel and the input pixel share.
            shared: Doubles = np.minimum((step + 1) / 2 - apart, min(step, 1.0)).clip(0)
            return shared
        case "gaussian":
            blur: Doubles = np.exp(-0.5 * (distance / gaussian_deviation(mtf)) ** 2)
            return blur
        case _:
            assert_never(kernel)


def resampled(image: Values, shape: tuple[int, int]) -> Values:
    """Resample an image of any dtype by antialiased bicubic to another grid over its extent.

    Args:
        image: (band, y, x) digital numbers.
        shape: (y, x) shape of the result, finer or coarser.

    Returns:
        (band, *shape), rounded and clipped to the dtype of ``image``.
    """
    rows, columns = (
        kernel_matrix("bicubic", outputs, inputs)
        for outputs, inputs in zip(shape, image.shape[1:], strict=True)
    )
    return quantise(rows @ image.astype(np.float64) @ columns.T, image.dtype.name, None)


def bicubic(image: ByteImage, shape: tuple[int, int]) -> ByteImage:
    """Resample an 8-bit image with Pillow's bicubic, which is antialiased when shrinking.

    Args:
        image: (band, y, x).
        shape: (y, x) shape of the result.

    Returns:
        (band, *shape).
    """
    return np.stack(
        [
            np.asarray(Image.fromarray(band).resize(shape[::-1], Image.Resampling.BICUBIC))
            for band in image
        ]
    )


def sharpened(image: npt.NDArray[Real], amount: float, radius: float) -> npt.NDArray[Real]:
    """Sharpen an image by an unsharp mask: add ``amount`` times what a Gaussian blur removes.

    Args:
        image: (band, y, x).
        amount: how much is added; 0.8 is 80 %.
        radius: standard deviation of the Gaussian in pixels.
    """
    blurred = gaussian_filter(image, (0, radius, radius), mode="nearest")
    result: npt.NDArray[Real] = image + amount * (image - blurred)
    return result


def jpeg(numbers: Doubles, quality: float) -> Doubles:
    """Compress an 8-bit image as JPEG by Pillow's defaults, and decompress it.

    Args:
        numbers: (3, y, x) RGB or (1, y, x) grey whole numbers, 0 to 255.
        quality: Pillow's quality, 1 to 100; it is rounded.
    """
    image = numbers.astype(np.uint8)
    picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
    file = io.BytesIO()
    picture.save(file, format="JPEG", quality=round(quality))
    with Image.open(file) as opened:
        return np.atleast_3d(np.asarray(opened)).transpose(2, 0, 1).astype(np.float64)
