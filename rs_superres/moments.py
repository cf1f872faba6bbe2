"""Means and deviations of values that come in pieces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rs_superres.dtypes import Doubles


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


class Running:
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
