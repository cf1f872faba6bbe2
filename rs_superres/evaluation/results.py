"""What an evaluation found: figures of every result, and what they say together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rs_superres.evaluation.pictures import Example
from rs_superres.evaluation.reliability import Reliability
from rs_superres.evaluation.summary import Summary, summarised
from rs_superres.evaluation.tiles import Skipped

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
    skipped: list[Skipped]
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
