"""Distances between images, as pure functions on arrays."""

from __future__ import annotations

import math

import numpy as np

from rs_superres.dtypes import Values


def psnr(image: Values, truth: Values, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio over all bands together, dB; infinite for equal images.

    Args:
        image: any shape.
        truth: the same shape.
        peak: the width of the value range.

    Raises:
        ValueError: the shapes differ.
    """
    if image.shape != truth.shape:
        raise ValueError(f"shapes {image.shape} and {truth.shape} differ")
    error = float(np.mean((image.astype(np.float64) - truth.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)
