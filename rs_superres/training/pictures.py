"""Pictures of a run: the loss curve and a sheet of restored windows."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from rs_superres.image import pictures
from rs_superres.system.files import write_file
from rs_superres.training.validation import Trial
from rs_superres.types import Values

TILE = 192
"""Largest side of a picture on the sheet, in pixels."""

_HEAD, _GAP = 20, 6


def loss_curve(lines: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Draw the losses of a log as PNG, with a panel for each phase.

    Nothing is written if no line has a loss.

    Args:
        lines: lines of the log; those with ``phase``, ``step`` and ``loss`` are drawn.
        path: the file to write.

    Raises:
        WriteError: the file cannot be written.
    """
    # Imported here because it takes a second.
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
    file = io.BytesIO()
    figure.savefig(file, dpi=120, format="png")
    write_file(path, file.getvalue())


def sheet(trials: Sequence[Trial], *, tile: int = TILE) -> Image.Image:
    """Draw a sheet of restored windows: low resolution, bicubic, prior, default and truth.

    Args:
        trials: the windows; each becomes a row.
        tile: largest side of a picture in pixels; of larger ones the middle is shown.
    """
    names = ["source", "bicubic", "prior", "default", "truth"]
    width, height = len(names) * (tile + _GAP) - _GAP, _HEAD + len(trials) * (tile + _GAP)
    page = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(page)
    for column, name in enumerate(names):
        pen.text((column * (tile + _GAP) + 4, 4), name, fill="black")
    for row, trial in enumerate(trials):
        limits = (trial.value_range.low, trial.value_range.high)
        images = [_enlarge_nearest(trial), trial.bicubic, trial.prior, trial.default, trial.truth]
        for column, values in enumerate(images):
            if values is not None:
                picture = Image.fromarray(pictures.stretched(_middle(values, tile), limits))
                corner = column * (tile + _GAP), _HEAD + row * (tile + _GAP)
                page.paste(picture, corner)
    return page


def _enlarge_nearest(trial: Trial) -> Values:
    """Enlarge the low resolution to the truth's shape by repeating pixels."""
    rows, columns = (
        np.arange(side) * low_side // side
        for side, low_side in zip(trial.truth.shape[1:], trial.low.shape[1:], strict=True)
    )
    return trial.low[:, rows][:, :, columns]


def _middle(values: Values, tile: int) -> Values:
    """Crop an image to the middle, at most ``tile`` pixels on a side."""
    top, left = (max(0, (side - tile) // 2) for side in values.shape[1:])
    return values[:, top : top + tile, left : left + tile]
