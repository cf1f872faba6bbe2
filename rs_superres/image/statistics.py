"""Means, standard deviations and PSNR, some of them for values that come in parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from rs_superres.types import Doubles, Values


@dataclass
class Moments:
    """Mean and standard deviation of numbers that come in parts, from running sums."""

    count: float = 0.0
    """Number of values."""
    total: float = 0.0
    """Sum of the values."""
    squares: float = 0.0
    """Sum of the squared values."""

    def add(self, values: npt.NDArray[np.floating]) -> None:
        """Add an array of values of any shape."""
        self.count += values.size
        self.total += float(values.sum())
        self.squares += float((values**2).sum())

    @property
    def mean(self) -> float:
        """Mean of the values so far; 0 if there are none."""
        return self.total / self.count if self.count else 0.0

    @property
    def rms(self) -> float:
        """Root mean square of the values so far; 0 if there are none."""
        return float(np.sqrt(self.squares / self.count)) if self.count else 0.0

    @property
    def deviation(self) -> float:
        """Standard deviation of the values so far about their mean (divisor n); 0 if none."""
        return float(np.sqrt(max(self.rms**2 - self.mean**2, 0.0)))

    @property
    def error(self) -> float:
        """Standard error of the mean, for independent values; 0 for fewer than 2 values."""
        return self.deviation / float(np.sqrt(self.count - 1)) if self.count > 1 else 0.0


class RunningStatistics:
    """Mean and variance of arrays, element by element, as they come (Welford 1962)."""

    mean: Doubles
    """Mean of the arrays so far; undefined before the first :meth:`add`."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, sample: Doubles) -> None:
        """Add an array; all arrays have the same shape."""
        self.count += 1
        if self.count == 1:
            self.mean, self._squares = sample.copy(), np.zeros(sample.shape)
            return
        apart = sample - self.mean
        self.mean += apart / self.count
        self._squares += apart * (sample - self.mean)

    def variance(self) -> Doubles:
        """Return the variance of the arrays so far (divisor n - 1); 0 for one array."""
        out: Doubles = self._squares / max(self.count - 1, 1)
        return out


def smoothed(values: Doubles, widths: Sequence[float], reach: float) -> Doubles:
    """Average values over their neighbours by a Gaussian.

    Args:
        values: (band, y, x).
        widths: standard deviations of the Gaussian along y and x, in pixels.
        reach: where the Gaussian ends, in its standard deviations.
    """
    out: Doubles = gaussian_filter(values, (0, *widths), mode="nearest", truncate=reach)
    return out


def psnr(image: Values, truth: Values, peak: float = 255.0) -> float:
    """Return the peak signal-to-noise ratio in dB, 10 log10(peak^2 / MSE), over all bands together.

    Args:
        image: an array of any shape.
        truth: an array of the same shape.
        peak: width of the value range.

    Returns:
        The ratio; infinity for equal arrays.

    Raises:
        ValueError: the shapes differ.
    """
    if image.shape != truth.shape:
        raise ValueError(f"shapes {image.shape} and {truth.shape} differ")
    error = float(np.mean((image.astype(np.float64) - truth.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)
