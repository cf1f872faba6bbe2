"""Pictures of a run: the loss over its iterations, and a sheet of restored windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from rs_superres.image import pictures
from rs_superres.training.validation import Trial
from rs_superres.types import Values

TILE = 192
"""Pixels of a picture's side on the sheet."""

_HEAD, _GAP = 20, 6


def loss_curve(lines: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Draw the losses of a log, a panel a phase.

    Args:
        lines: of the log: ``phase``, ``step`` and ``loss``.
        path: the picture, PNG.
    """
    # Not at the top: it takes a second, and only a run that draws needs it.
    from matplotlib.figure import Figure  # noqa: PLC0415

    phases: dict[str, list[tuple[int, float]]] = {}
    for line in lines:
        if "loss" in line:
            phases.setdefault(line["phase"], []).append((line["step"], line["loss"]))
    if not phases:
        return
    figure = Figure(figsize=(5 * len(phases), 3.2), layout="constrained")
    panels = figure.subplots(1, len(phases), squeeze=False)[0]
    for panel, (name, points) in zip(panels, phases.items(), strict=True):
        steps, losses = zip(*points, strict=True)
        panel.plot(steps, losses, linewidth=0.5, alpha=0.5)
        width = max(1, len(losses) // 20)
        if len(losses) > 2 * width:
            smooth = np.convolve(losses, np.full(width, 1 / width), "valid")
            panel.plot(steps[width - 1 :], smooth, linewidth=1.5)
        panel.set(title=name, xlabel="iteration", ylabel="loss")
    figure.savefig(path, dpi=120)


def sheet(trials: Sequence[Trial], *, tile: int = TILE) -> Image.Image:
    """Restored windows below each other: low resolution, bicubic, prior, default, truth.

    Args:
        trials: a row each.
        tile: pixels of a picture's side at most; the middle is shown.
    """
    names = ["source", "bicubic", "prior", "default", "truth"]
    width, height = len(names) * (tile + _GAP) - _GAP, _HEAD + len(trials) * (tile + _GAP)
    whole = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(whole)
    for column, name in enumerate(names):
        pen.text((column * (tile + _GAP) + 4, 4), name, fill="black")
    for row, trial in enumerate(trials):
        limits = (trial.value_range.low, trial.value_range.high)
        shown = [_nearest(trial), trial.bicubic, trial.prior, trial.default, trial.truth]
        for column, values in enumerate(shown):
            if values is not None:
                picture = Image.fromarray(pictures.stretched(_middle(values, tile), limits))
                place = column * (tile + _GAP), _HEAD + row * (tile + _GAP)
                whole.paste(picture, place)
    return whole


def _nearest(trial: Trial) -> Values:
    """The low resolution on the truth's pixels."""
    rows, columns = (
        np.arange(side) * cells // side
        for side, cells in zip(trial.truth.shape[1:], trial.low.shape[1:], strict=True)
    )
    return trial.low[:, rows][:, :, columns]


def _middle(values: Values, tile: int) -> Values:
    """The middle of an image, at most a tile of it."""
    top, left = (max(0, (side - tile) // 2) for side in values.shape[1:])
    return values[:, top : top + tile, left : left + tile]
