"""Whether the spread of samples foretells their error."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from rs_superres.evaluation.protocol import Case
from rs_superres.types import Doubles, Values

PIXELS = 20_000
"""Of a case, at most, that enter the correlation."""

BINS = 20
"""Points of the plot, each of as many pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Predicted spread against error, over all images at one scale, shares of the value range."""

    spearman: float
    """Rank correlation of spread and absolute error, pixel by pixel."""
    spearman_gradient: float
    """The same of a rival that costs nothing: the gradient of the prior."""
    factor: float
    """On the spread, so that its mean square is that of the error (``SamplerConfig.spread``)."""
    pixels: int
    spread: tuple[float, ...]
    """Root mean square of each bin, not yet multiplied."""
    error: tuple[float, ...]
    """Root mean square of each bin."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Pool:
    """Pixels of many cases."""

    def __init__(self) -> None:
        self._parts: list[Doubles] = []

    def add(self, case: Case, image: Values, spread: Doubles, prior: Values) -> None:
        """Those of one case: (band, y, x) each; ``spread`` in digital numbers."""
        widths = case.widths[:, None, None]
        error = np.abs(image.astype(np.float64) - case.truth.astype(np.float64)) / widths
        # The gradient of a pixel looks at its neighbours: holes shall make no edges.
        soft = np.where(case.valid, prior.astype(np.float64), case.truth) / widths
        steep = np.hypot(np.gradient(soft, axis=1), np.gradient(soft, axis=2))
        columns = np.stack([x[:, case.valid].ravel() for x in (spread / widths, error, steep)])
        columns = columns[:, np.isfinite(columns).all(axis=0)]
        if columns.shape[1] > PIXELS:
            chance = np.random.default_rng(0)
            columns = columns[:, chance.choice(columns.shape[1], PIXELS, replace=False)]
        self._parts.append(columns)

    def judged(self) -> Reliability:
        """What they say together."""
        spread, error, steep = np.concatenate(self._parts, axis=1)
        order = np.array_split(np.argsort(spread, kind="stable"), BINS)
        rms = [tuple(float(np.sqrt((x[i] ** 2).mean())) for i in order if len(i))
               for x in (spread, error)]  # fmt: skip
        square = float((spread**2).mean())
        return Reliability(
            spearman=_ranked(spread, error),
            spearman_gradient=_ranked(steep, error),
            factor=float(np.sqrt((error**2).mean() / square)) if square else float("nan"),
            pixels=len(spread),
            spread=rms[0],
            error=rms[1],
        )


def _ranked(a: Doubles, b: Doubles) -> float:
    """Spearman's rank correlation; no number where one is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)
