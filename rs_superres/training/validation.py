"""Validation: score a model on windows of scenes that it is not trained on."""

from __future__ import annotations

import logging
import math
import time
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

logger = logging.getLogger(__name__)

LARGEST = 256
"""Largest side of a validation window in pixels."""

SMALLEST = 32
"""Smallest side of a validation window in pixels."""

DEFAULT_SCALE = 4.0
"""The scale at which the model's default number of steps is scored, and at which windows are
shown."""


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
    """PSNR with the model's default number of steps; None if not measured."""

    def as_dict(self) -> dict[str, float | None]:
        """Return the fields as a dictionary, for a line of the log."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A window that was downsampled and restored, as (band, y, x) arrays of digital numbers."""

    truth: Values
    low: Values
    """The truth, downsampled by antialiased bicubic."""
    bicubic: Values
    """``low`` enlarged by bicubic interpolation."""
    prior: Values
    """``low`` enlarged by the prior."""
    default: Values | None
    """``low`` enlarged with the model's default number of steps; None if not computed."""
    value_range: ValueRange


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """The scores of a model."""

    scores: Sequence[Score] = ()
    """A score for each scale at which a window is large enough."""
    windows: int = 0
    """Number of windows that were scored."""
    trials: Sequence[Trial] = ()
    """Trials of the first windows at :data:`DEFAULT_SCALE`, to show."""


def validation_windows(scenes: Sequence[TrainingScene], count: int) -> list[Truth]:
    """Choose windows without nodata, spread over the scenes; the same ones each time.

    Args:
        scenes: the validation scenes.
        count: number of windows; fewer are returned if the scenes do not have that many.
    """
    chance = np.random.default_rng(0)
    windows: list[Truth] = []
    # Every scene once before any scene twice, in strides over the list.
    stride = max(1, len(scenes) // count)
    order = [scene for first in range(stride) for scene in scenes[first::stride]]
    for number in range(20 * count if order else 0):
        if len(windows) == count:
            break
        scene = order[number % len(order)]
        area = scene.area
        height, width = min(area.height, LARGEST), min(area.width, LARGEST)
        if min(height, width) < SMALLEST:
            continue
        row = area.row + int(chance.integers(area.height - height + 1))
        column = area.column + int(chance.integers(area.width - width + 1))
        group = scene.groups[int(chance.integers(len(scene.groups)))]
        try:
            values, valid = scene.read(Window(row, column, height, width), group.bands)
        except RasterError:
            continue
        if valid.all():
            windows.append(Truth(path=scene.path, values=values, value_range=group.value_range))
    return windows


def restore(truth: Truth, model: Model, scale: float, *, default: bool) -> Trial:
    """Downsample a window by antialiased bicubic and enlarge it again.

    Args:
        truth: the window.
        model: the model that enlarges it.
        scale: the scale.
        default: whether to also enlarge it with the model's default number of steps.
    """
    high, low_shape = compared(truth.values, scale)
    low = resampled(high, low_shape)
    shape = high.shape[1], high.shape[2]

    def enlarged(steps: int) -> Values:
        return upscale_image(low, shape, model, steps=steps, value_range=truth.value_range)

    return Trial(
        truth=high,
        low=low,
        bicubic=resampled(low, shape),
        prior=enlarged(0),
        default=enlarged(model.config.steps) if default else None,
        value_range=truth.value_range,
    )


def evaluate(
    windows: Sequence[Truth],
    model: Model,
    scales: Sequence[float],
    *,
    default: bool,
    seconds: float = math.inf,
    keep: int = 0,
) -> ValidationResult:
    """Score bicubic and prior at each scale, and the default number of steps at x4.

    The peak of the PSNR is the width of a window's value range. A window is not scored at scales
    for which it is too small.

    Args:
        windows: the windows, in the order in which they are scored.
        model: the model to score.
        scales: the scales.
        default: whether to also score the model's default number of steps.
        seconds: time limit. Windows that would probably exceed it are left out, except the first.
        keep: number of windows whose trials at x4 are returned; they are also restored at x4 if
            they are not scored at this scale.
    """
    started = time.monotonic()
    longest, count = 0.0, 0
    bicubic, prior, with_default = ({scale: list[float]() for scale in scales} for _ in range(3))
    trials = []
    for number, window in enumerate(windows):
        before = time.monotonic()
        if number and before - started + longest > seconds:
            break
        shown = None
        for scale in scales:
            if min(window.values.shape[1:]) < SMALLEST * scale / 2:
                continue
            at_default = scale == DEFAULT_SCALE
            trial = restore(window, model, scale, default=default and at_default)
            bicubic[scale].append(_psnr(trial, trial.bicubic))
            prior[scale].append(_psnr(trial, trial.prior))
            if trial.default is not None:
                with_default[scale].append(_psnr(trial, trial.default))
            if at_default:
                shown = trial
        if number < keep:
            trials.append(shown or restore(window, model, DEFAULT_SCALE, default=default))
        longest = max(longest, time.monotonic() - before)
        count += 1
    scores = [
        Score(
            scale=scale,
            bicubic=float(np.mean(bicubic[scale])),
            prior=float(np.mean(prior[scale])),
            default=float(np.mean(with_default[scale])) if with_default[scale] else None,
        )
        for scale in scales
        if bicubic[scale]
    ]
    logger.debug(
        "scored %d of %d windows in %.1f s", count, len(windows), time.monotonic() - started
    )
    return ValidationResult(scores=scores, windows=count, trials=trials)


def window_seconds(window: Truth, model: Model, scales: int, *, default: bool) -> float:
    """Estimate the seconds that scoring a window takes.

    It is measured at x2, where the prior takes longest, and with the default number of steps.

    Args:
        window: the window.
        model: the model to score.
        scales: number of scales.
        default: whether the default number of steps is also scored.
    """
    started = time.monotonic()
    restore(window, model, 2.0, default=False)
    prior = time.monotonic() - started
    if not default:
        return scales * prior
    restore(window, model, DEFAULT_SCALE, default=True)
    with_default = time.monotonic() - started - prior
    return (scales - 1) * prior + max(prior, with_default)


def _psnr(trial: Trial, image: Values) -> float:
    """Compute the PSNR of an image against the truth, dB.

    It is 100 at most, so that a window without error does not dominate the mean.
    """
    peak = trial.value_range.high - trial.value_range.low
    return min(100.0, psnr(image, trial.truth, peak))


def table(scores: Sequence[Score]) -> list[str]:
    """Format the scores as the lines of a table."""
    lines = ["scale  bicubic    prior     gain  default"]
    for s in scores:
        default = "        -" if s.default is None else f"{s.default:9.2f}"
        gain = s.prior - s.bicubic
        lines.append(f"{s.scale:5g} {s.bicubic:8.2f} {s.prior:8.2f} {gain:+8.2f}{default}")
    return lines
