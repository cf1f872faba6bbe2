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

    number: int
    """Of the image."""
    image: str
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

    def figures(self, method: str, scale: float, metric: str) -> dict[int, list[float]]:
        """By image, a figure a seed."""
        found: dict[int, list[float]] = {}
        for row in self.rows:
            if row.method == method and row.scale == scale:
                found.setdefault(row.number, []).append(row.scores.get(metric, np.nan))
        return found

    def summary(self, method: str, scale: float, metric: str) -> Summary | None:
        """Over the images."""
        figures = list(self.figures(method, scale, metric).values())
        return summarised(np.array(figures)) if figures else None

    def gains(self, method: str, scale: float, metric: str) -> dict[int, list[float]]:
        """What a method has over bicubic, image by image."""
        plain = self.figures(BICUBIC, scale, metric)
        return {
            number: [figure - plain[number][0] for figure in figures]
            for number, figures in self.figures(method, scale, metric).items()
        }

    def gain(self, method: str, scale: float, metric: str) -> Summary | None:
        """The same over the images, whose differences are taken one by one."""
        gains = list(self.gains(method, scale, metric).values())
        return summarised(np.array(gains)) if gains else None
