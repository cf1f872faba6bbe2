"""Many figures as a few: means, spreads and confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from rs_superres.dtypes import Doubles

RESAMPLES = 2000
"""Times that the images are drawn anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A metric over images."""

    mean: float
    deviation: float
    """Between images."""
    low: float | None
    """Of the 95 % confidence interval of the mean, by the bootstrap over images; None of one."""
    high: float | None
    count: int
    """Images that have the metric."""
    between_seeds: float | None = None
    """Deviation of the mean between seeds; None of a single one."""

    @property
    def ends(self) -> tuple[float, float]:
        """Of the interval, or the mean twice."""
        if self.low is None or self.high is None:
            return self.mean, self.mean
        return self.low, self.high

    def interval(self, form: str) -> str:
        """In words, each end formatted; empty where there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"{self.low:{form}} to {self.high:{form}}"

    def as_dict(self) -> dict[str, float | None]:
        """For JSON."""
        return asdict(self)


def summarised(figures: Doubles) -> Summary | None:
    """Summarise (image, seed); None where no image has a figure.

    An image counts by its mean over the seeds. The draws are the same each time.
    """
    per_image = figures.mean(axis=1)
    there = np.isfinite(per_image)
    if not there.any():
        return None
    values = per_image[there]
    draws = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    seeds = figures[there].mean(axis=0)
    return Summary(
        mean=float(values.mean()),
        deviation=float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        low=float(low) if len(values) > 1 else None,
        high=float(high) if len(values) > 1 else None,
        count=len(values),
        between_seeds=float(seeds.std(ddof=1)) if len(seeds) > 1 else None,
    )


def middle_and_ends(figures: Sequence[float]) -> dict[str, int]:
    """Where the best, the median and the worst of some figures stand; the same one only once."""
    order = [int(i) for i in np.argsort(figures, kind="stable") if np.isfinite(figures[i])]
    if not order:
        return {}
    places = {"best": order[-1], "median": order[len(order) // 2], "worst": order[0]}
    first = {i: name for name, i in reversed(places.items())}
    return {name: i for name, i in places.items() if first[i] == name}
