"""The scores of an evaluation, and their means with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rs_superres.evaluation.pictures import Example
from rs_superres.evaluation.reliability import Reliability
from rs_superres.evaluation.sources import CLEAN
from rs_superres.raster import SkippedFile
from rs_superres.types import Doubles

BICUBIC = "bicubic"
"""The name of bicubic interpolation among the methods."""

RESAMPLES = 2000
"""Number of resamples of the bootstrap over images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The scores of one result."""

    image: str
    """The file's name."""
    tile: str
    """The file's name, followed by the tile's position if there are several tiles."""
    scale: float
    """The scale of the result."""
    source: str = CLEAN
    """How the low resolution was spoiled."""
    method: str
    """The model's name, or ``bicubic``."""
    seed: int
    """The random seed; 0 for methods without random numbers."""
    scores: dict[str, float]
    """The metrics by name; NaN for metrics that do not apply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The mean of a metric over all images, with its standard deviation and interval."""

    mean: float
    """Mean over the images."""
    median: float
    """Median over the images."""
    deviation: float
    """Standard deviation between images."""
    low: float | None
    """Lower end of the mean's 95 % confidence interval; None for a single image."""
    high: float | None
    """Upper end of the mean's 95 % confidence interval; None for a single image."""
    count: int
    """Number of images that have the metric."""
    between_seeds: float | None = None
    """Standard deviation of the mean between seeds; None for a single seed."""

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends of the confidence interval; the mean twice if there is none."""
        if self.low is None or self.high is None:
            return self.mean, self.mean
        return self.low, self.high

    def interval(self, form: str) -> str:
        """Return the confidence interval as text; empty if there is none.

        Args:
            form: the format specification of each end, such as ``+.2f``.
        """
        if self.low is None or self.high is None:
            return ""
        return f"{self.low:{form}} to {self.high:{form}}"

    def as_dict(self) -> dict[str, float | None]:
        """Return the fields by name, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The outcome of an evaluation: all scores, and what the report shows."""

    settings: dict[str, Any]
    """The options and the values derived from them, as plain values for JSON."""
    rows: list[Row]
    """The scores of all results."""
    reliability: dict[tuple[str, float, str], Reliability]
    """The reliability of the uncertainty by method, scale and source; empty for models that
    predict no error, without samples."""
    examples: list[Example]
    """The tiles that the report shows."""
    skipped: list[SkippedFile]
    """The files that were left out."""
    images: int
    """Number of images."""

    @property
    def methods(self) -> list[str]:
        """The methods: bicubic, then the models."""
        return list(dict.fromkeys(row.method for row in self.rows))

    @property
    def scales(self) -> list[float]:
        """The scales that have scores, in rising order."""
        return sorted({row.scale for row in self.rows})

    @property
    def sources(self) -> list[str]:
        """The names of the sources: the clean one, then those that are spoiled."""
        return list(dict.fromkeys(row.source for row in self.rows))

    def values_by_image(
        self, method: str, scale: float, metric: str, source: str = CLEAN, *, tiles: bool = False
    ) -> dict[str, list[float]]:
        """Return a metric's values by image, one value for each seed.

        Args:
            method: the method.
            scale: the scale.
            metric: the metric's name.
            source: the source's name.
            tiles: return it by tile instead.

        Returns:
            Each value is the mean over the image's tiles that have the metric; NaN if none has.
        """
        by_name: dict[str, dict[int, list[float]]] = {}
        for row in self.rows:
            if (row.method, row.scale, row.source) == (method, scale, source):
                by_seed = by_name.setdefault(row.tile if tiles else row.image, {})
                by_seed.setdefault(row.seed, []).append(row.scores.get(metric, np.nan))
        return {
            name: [_finite_mean(values) for values in by_seed.values()]
            for name, by_seed in by_name.items()
        }

    def summary(
        self, method: str, scale: float, metric: str, source: str = CLEAN
    ) -> Summary | None:
        """Summarise a metric over the images; None if no image has it."""
        values = list(self.values_by_image(method, scale, metric, source).values())
        return summarise(np.array(values)) if values else None

    def gains(
        self, method: str, scale: float, metric: str, source: str = CLEAN, *, tiles: bool = False
    ) -> dict[str, list[float]]:
        """Return a method's differences from bicubic by image, one value for each seed.

        Args:
            method: the method.
            scale: the scale.
            metric: the metric's name.
            source: the source's name; bicubic has the same source.
            tiles: return it by tile instead.
        """
        bicubic = self.values_by_image(BICUBIC, scale, metric, source, tiles=tiles)
        return {
            name: [value - bicubic[name][0] for value in values]
            for name, values in self.values_by_image(
                method, scale, metric, source, tiles=tiles
            ).items()
        }

    def gain(self, method: str, scale: float, metric: str, source: str = CLEAN) -> Summary | None:
        """Summarise a method's differences from bicubic; None if no image has the metric."""
        gains = list(self.gains(method, scale, metric, source).values())
        return summarise(np.array(gains)) if gains else None


def _finite_mean(values: list[float]) -> float:
    """Return the mean of the finite values; NaN if there are none."""
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")


def summarise(values: Doubles) -> Summary | None:
    """Summarise a metric over images; each image counts with its mean over the seeds.

    The confidence interval is a percentile bootstrap over the images. Its random seed is fixed, so
    equal values always give equal intervals.

    Args:
        values: the metric, (image, seed); NaN where an image does not have it.

    Returns:
        None if no image has the metric.
    """
    per_image = values.mean(axis=1)
    finite = np.isfinite(per_image)
    if not finite.any():
        return None
    means = per_image[finite]
    resamples = np.random.default_rng(0).integers(len(means), size=(RESAMPLES, len(means)))
    low, high = np.percentile(means[resamples].mean(axis=1), [2.5, 97.5])
    per_seed = values[finite].mean(axis=0)
    return Summary(
        mean=float(means.mean()),
        median=float(np.median(means)),
        deviation=float(means.std(ddof=1)) if len(means) > 1 else 0.0,
        low=float(low) if len(means) > 1 else None,
        high=float(high) if len(means) > 1 else None,
        count=len(means),
        between_seeds=float(per_seed.std(ddof=1)) if len(per_seed) > 1 else None,
    )


def best_median_worst(values: Sequence[float]) -> dict[str, int]:
    """Return the indices of the best, the median and the worst value.

    NaN is ignored. No index appears twice, so fewer than three values give fewer names.
    """
    order = [int(i) for i in np.argsort(values, kind="stable") if np.isfinite(values[i])]
    if not order:
        return {}
    chosen: dict[str, int] = {}
    for name, rank in (("best", -1), ("median", len(order) // 2), ("worst", 0)):
        if order[rank] not in chosen.values():
            chosen[name] = order[rank]
    return chosen
