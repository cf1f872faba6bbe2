"""Compare the standard deviation of samples with the error of their mean."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from rs_superres.evaluation.protocol import Case
from rs_superres.types import Doubles, Indices, Values

PIXELS_PER_CASE = 20_000
"""Pixels of a case that enter the statistics, at most."""

BINS = 20
"""Points of the plot, with the same number of pixels each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Standard deviation against error over all images at one scale, in shares of the range."""

    spearman: float
    """Rank correlation of standard deviation and absolute error, pixel by pixel."""
    spearman_gradient: float
    """Rank correlation of the prior's gradient and absolute error.

    This edge map costs nothing, so a useful uncertainty must beat it.
    """
    factor: float
    """Multiplier that makes the mean square of the standard deviation that of the error.

    ``sampler.uncertainty_factor`` in a model's configuration holds it. NaN if all standard
    deviations are 0.
    """
    pixels: int
    """Number of values that entered."""
    spread: tuple[float, ...]
    """RMS of the standard deviation in each bin, without the factor."""
    error: tuple[float, ...]
    """RMS of the error in each bin."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name, for JSON."""
        return asdict(self)


class PixelPool:
    """Pixels of many cases: standard deviation, error and gradient of the prior."""

    def __init__(self) -> None:
        self._columns: list[Doubles] = []

    def add(self, case: Case, image: Values, std: Doubles, prior: Values) -> None:
        """Add the valid pixels of one case, or a random selection of them.

        Args:
            case: the truth.
            image: the mean of the samples, (band, y, x) digital numbers.
            std: the standard deviation of the samples, (band, y, x) digital numbers.
            prior: the prior's result, (band, y, x) digital numbers.
        """
        widths = case.widths[:, None, None]
        error = np.abs(image.astype(np.float64) - case.truth.astype(np.float64)) / widths
        # A pixel's gradient depends on its neighbours: fill holes, so that they have no edges.
        filled = np.where(case.valid, prior.astype(np.float64), case.truth) / widths
        gradient = np.hypot(np.gradient(filled, axis=1), np.gradient(filled, axis=2))
        columns = np.stack([x[:, case.valid].ravel() for x in (std / widths, error, gradient)])
        columns = columns[:, np.isfinite(columns).all(axis=0)]
        if columns.shape[1] > PIXELS_PER_CASE:
            rng = np.random.default_rng(0)
            columns = columns[:, rng.choice(columns.shape[1], PIXELS_PER_CASE, replace=False)]
        self._columns.append(columns)

    def reliability(self) -> Reliability:
        """Return the statistics of all pixels."""
        std, error, gradient = np.concatenate(self._columns, axis=1)
        bins = np.array_split(np.argsort(std, kind="stable"), BINS)
        mean_square = float((std**2).mean())
        return Reliability(
            spearman=_spearman(std, error),
            spearman_gradient=_spearman(gradient, error),
            factor=float(np.sqrt((error**2).mean() / mean_square)) if mean_square else float("nan"),
            pixels=len(std),
            spread=_rms_by_bin(std, bins),
            error=_rms_by_bin(error, bins),
        )


def _rms_by_bin(values: Doubles, bins: list[Indices]) -> tuple[float, ...]:
    """Return the RMS of the values in each bin that is not empty."""
    return tuple(float(np.sqrt((values[index] ** 2).mean())) for index in bins if len(index))


def _spearman(a: Doubles, b: Doubles) -> float:
    """Return Spearman's rank correlation; NaN if either is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)
