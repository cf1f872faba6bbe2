"""Means and deviations of values that come in pieces."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rs_superres.types import Doubles, Values


@dataclass
class Moments:
    """Count, sum and sum of squares."""

    count: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def add(self, values: npt.NDArray[np.floating]) -> None:
        """More values, of any shape."""
        self.count += values.size
        self.total += float(values.sum())
        self.squares += float((values**2).sum())

    @property
    def mean(self) -> float:
        """0 of none."""
        return self.total / self.count if self.count else 0.0

    @property
    def rms(self) -> float:
        """0 of none."""
        return float(np.sqrt(self.squares / self.count)) if self.count else 0.0

    @property
    def deviation(self) -> float:
        """About the mean."""
        return float(np.sqrt(max(self.rms**2 - self.mean**2, 0.0)))

    @property
    def error(self) -> float:
        """Standard error of the mean, of independent values."""
        return self.deviation / float(np.sqrt(self.count - 1)) if self.count > 1 else 0.0


class RunningStatistics:
    """Mean and deviation of arrays, element by element, as they come (Welford 1962)."""

    mean: Doubles
    """Of those so far."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, sample: Doubles) -> None:
        """One more."""
        self.count += 1
        if self.count == 1:
            self.mean, self._squares = sample.copy(), np.zeros_like(sample)
            return
        apart = sample - self.mean
        self.mean += apart / self.count
        self._squares += apart * (sample - self.mean)

    def deviation(self) -> Doubles:
        """The standard deviation, unbiased in its square; 0 of a single sample."""
        out: Doubles = np.sqrt(self._squares / max(self.count - 1, 1))
        return out


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
