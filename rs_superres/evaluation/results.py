"""What an evaluation found: figures of every result, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rs_superres.evaluation.pictures import Example
from rs_superres.evaluation.reliability import Reliability
from rs_superres.evaluation.tiles import SkippedFile
from rs_superres.types import Doubles

BICUBIC = "bicubic"
"""What the interpolation is called among the methods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The figures of one result."""

    image: str
    """The file's name."""
    tile: str
    """The file's name, and the place in it where there are several tiles."""
    scale: float
    method: str
    seed: int
    scores: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Everything that was found."""

    settings: dict[str, Any]
    rows: list[Row]
    reliability: dict[tuple[str, float], Reliability]
    """By method and scale."""
    examples: list[Example]
    skipped: list[SkippedFile]
    images: int

    @property
    def methods(self) -> list[str]:
        """Bicubic, then the models."""
        return list(dict.fromkeys(row.method for row in self.rows))

    @property
    def scales(self) -> list[float]:
        """Those that have figures, rising."""
        return sorted({row.scale for row in self.rows})

    def figures(
        self, method: str, scale: float, metric: str, *, tiles: bool = False
    ) -> dict[str, list[float]]:
        """By image, a figure a seed: the mean of the tiles that have one; or by tile."""
        found: dict[str, dict[int, list[float]]] = {}
        for row in self.rows:
            if row.method == method and row.scale == scale:
                seeds = found.setdefault(row.tile if tiles else row.image, {})
                seeds.setdefault(row.seed, []).append(row.scores.get(metric, np.nan))
        return {name: [_mean(f) for f in seeds.values()] for name, seeds in found.items()}

    def summary(self, method: str, scale: float, metric: str) -> Summary | None:
        """Over the images."""
        figures = list(self.figures(method, scale, metric).values())
        return summarised(np.array(figures)) if figures else None

    def gains(
        self, method: str, scale: float, metric: str, *, tiles: bool = False
    ) -> dict[str, list[float]]:
        """What a method has over bicubic, image by image; or tile by tile."""
        plain = self.figures(BICUBIC, scale, metric, tiles=tiles)
        return {
            name: [figure - plain[name][0] for figure in figures]
            for name, figures in self.figures(method, scale, metric, tiles=tiles).items()
        }

    def gain(self, method: str, scale: float, metric: str) -> Summary | None:
        """The same over the images, whose differences are taken one by one."""
        gains = list(self.gains(method, scale, metric).values())
        return summarised(np.array(gains)) if gains else None


def _mean(figures: list[float]) -> float:
    """Of those that are numbers; none where none is."""
    there = [figure for figure in figures if np.isfinite(figure)]
    return float(np.mean(there)) if there else float("nan")


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
