"""Pictures of a training run: the loss curve and a sheet of upscaled windows."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from rs_superres.image import pictures
from rs_superres.system.extras import needed_for
from rs_superres.system.files import write_file
from rs_superres.training.validation import Trial
from rs_superres.types import Values

LARGEST_SIDE = 192
"""Largest side of a picture on the sheet, in pixels."""

_HEAD, _GAP = 20, 6
"""Height of the row of titles and space between pictures on the sheet, in pixels."""


def loss_curve(lines: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Draw the losses of a log as a PNG file, with a panel for each phase.

    If no line has a loss, no file is written.

    Args:
        lines: lines of the log; those with ``loss``, ``phase`` and ``step`` are drawn.
        path: the file to write.

    Raises:
        MissingPackageError: matplotlib is not installed.
        WriteError: the file cannot be written.
    """
    # Not at the top: importing matplotlib takes a second, and it is optional.
    with needed_for("the picture of the losses"):
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
        span = max(1, len(losses) // 20)
        if len(losses) > 2 * span:
            running_mean = np.convolve(losses, np.full(span, 1 / span), "valid")
            panel.plot(steps[span - 1 :], running_mean, linewidth=1.5)
        panel.set(title=name, xlabel="iteration", ylabel="loss")
    file = io.BytesIO()
    figure.savefig(file, dpi=120, format="png")
    write_file(path, file.getvalue())


def sheet(trials: Sequence[Trial], *, largest_side: int = LARGEST_SIDE) -> Image.Image:
    """Draw a sheet of validation windows: source, bicubic, prior, default and truth.

    Args:
        trials: the windows, one for each row of the sheet.
        largest_side: largest side of a picture in pixels; larger pictures are cropped to their
            middle.
    """
    names = ["source", "bicubic", "prior", "default", "truth"]
    pitch = largest_side + _GAP
    width, height = len(names) * pitch - _GAP, _HEAD + len(trials) * pitch
    page = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(page)
    for column, name in enumerate(names):
        pen.text((column * pitch + 4, 4), name, fill="black")
    for row, trial in enumerate(trials):
        limits = (trial.value_range.low, trial.value_range.high)
        images = [_enlarge_nearest(trial), trial.bicubic, trial.prior, trial.default, trial.truth]
        for column, values in enumerate(images):
            if values is not None:
                picture = Image.fromarray(pictures.stretched(_middle(values, largest_side), limits))
                corner = column * pitch, _HEAD + row * pitch
                page.paste(picture, corner)
    return page


def _enlarge_nearest(trial: Trial) -> Values:
    """Enlarge the low-resolution window to the truth's shape by repeating pixels."""
    rows, columns = (
        np.arange(side) * low_side // side
        for side, low_side in zip(trial.truth.shape[1:], trial.low.shape[1:], strict=True)
    )
    return trial.low[:, rows][:, :, columns]


def _middle(values: Values, largest_side: int) -> Values:
    """Crop an image to its middle, at most ``largest_side`` pixels on a side."""
    top, left = (max(0, (side - largest_side) // 2) for side in values.shape[1:])
    return values[:, top : top + largest_side, left : left + largest_side]
