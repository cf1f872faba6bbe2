"""How good a model is while it is being made: windows of scenes it never trains on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from rs_superres.errors import RasterError
from rs_superres.grid import Window
from rs_superres.image.degradation import compared, resampled
from rs_superres.image.radiometry import ValueRange
from rs_superres.image.statistics import psnr
from rs_superres.scene.image import upscale_image
from rs_superres.training.scenes import TrainingScene
from rs_superres.types import Values
from rs_superres.zoo import Model

SIDE = 256
"""Pixels of a validation window's side, at most."""

LEAST = 32
"""Pixels of its side at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """A window that results are compared with."""

    path: Path
    values: Values
    """(1 or 3, y, x) digital numbers, all valid."""
    value_range: ValueRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Mean PSNR over the windows at one scale, dB."""

    scale: float
    bicubic: float
    prior: float
    default: float | None = None
    """With the model's own number of steps; None where not measured."""

    def as_dict(self) -> dict[str, float | None]:
        """For a line of the log."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One window shrunk and restored."""

    truth: Values
    low: Values
    bicubic: Values
    prior: Values
    default: Values | None
    value_range: ValueRange


def truths(scenes: Sequence[TrainingScene], count: int) -> list[Truth]:
    """Windows without nodata, spread over the scenes; the same ones each time."""
    chance = np.random.default_rng(0)
    found: list[Truth] = []
    # Every scene once before any twice, spread over the list.
    stride = max(1, len(scenes) // count)
    spread = [scene for first in range(stride) for scene in scenes[first::stride]]
    for number in range(20 * count if spread else 0):
        if len(found) == count:
            break
        scene = spread[number % len(spread)]
        area = scene.area
        height, width = min(area.height, SIDE), min(area.width, SIDE)
        if min(height, width) < LEAST:
            continue
        row = area.row + int(chance.integers(area.height - height + 1))
        column = area.column + int(chance.integers(area.width - width + 1))
        group = scene.groups[int(chance.integers(len(scene.groups)))]
        try:
            values, valid = scene.read(Window(row, column, height, width), group.bands)
        except RasterError:
            continue
        if valid.all():
            found.append(Truth(path=scene.path, values=values, value_range=group.value_range))
    return found


def restored(truth: Truth, model: Model, scale: float, *, default: bool) -> Trial:
    """Shrink a window by antialiased bicubic and enlarge it again.

    Args:
        truth: the window.
        model: what enlarges it.
        scale: the magnification.
        default: whether the result with the model's own steps is wanted.
    """
    whole, small = compared(truth.values, scale)
    low = resampled(whole, small)
    shape = whole.shape[1], whole.shape[2]

    def made(steps: int) -> Values:
        return upscale_image(low, shape, model, steps=steps, value_range=truth.value_range)

    return Trial(
        truth=whole,
        low=low,
        bicubic=resampled(low, shape),
        prior=made(0),
        default=made(model.config.steps) if default else None,
        value_range=truth.value_range,
    )


def scored(
    windows: Sequence[Truth], model: Model, scales: Sequence[float], *, default: bool
) -> list[Score]:
    """Mean PSNR of bicubic and prior over windows at each scale, of the default at x4.

    The peak is the width of a window's value range.
    """
    scores = []
    for scale in scales:
        trials = [
            restored(w, model, scale, default=default and scale == 4)
            for w in windows
            if min(w.values.shape[1:]) >= LEAST * scale / 2
        ]
        if not trials:
            continue
        drawn = [_psnr(t, t.default) for t in trials if t.default is not None]
        scores.append(
            Score(
                scale=scale,
                bicubic=float(np.mean([_psnr(t, t.bicubic) for t in trials])),
                prior=float(np.mean([_psnr(t, t.prior) for t in trials])),
                default=float(np.mean(drawn)) if drawn else None,
            )
        )
    return scores


def _psnr(trial: Trial, image: Values) -> float:
    """PSNR against the truth; equal images count as 100 dB, lest they rule the mean."""
    peak = trial.value_range.high - trial.value_range.low
    return min(100.0, psnr(image, trial.truth, peak))


def table(scores: Sequence[Score]) -> list[str]:
    """The scores as lines of a table."""
    lines = ["scale  bicubic    prior     gain  default"]
    for s in scores:
        default = "        -" if s.default is None else f"{s.default:9.2f}"
        gain = s.prior - s.bicubic
        lines.append(f"{s.scale:5g} {s.bicubic:8.2f} {s.prior:8.2f} {gain:+8.2f}{default}")
    return lines
