"""Pictures of arrays for people: 8-bit stretches, and images side by side."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from rs_superres.system.files import write_file
from rs_superres.types import Valid, Values

STRETCH = (1.0, 99.0)
"""Percentiles of the source's values that become black and white."""

_GAP = 8


def stretched(values: Values, limits: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Values as 8-bit greys: (band, y, x) to (y, x, 3); one band becomes grey."""
    low, high = limits
    grey = (values.astype(np.float64) - low) * (255 / max(high - low, 1e-12))
    picture = np.nan_to_num(np.clip(grey, 0, 255)).round().astype(np.uint8)
    if len(picture) != 3:
        picture = np.repeat(picture[:1], 3, axis=0)
    return picture.transpose(1, 2, 0)


def limits_of(values: Values, valid: Valid) -> tuple[float, float]:
    """The stretch of a source: black and white from its valid values."""
    if values.dtype == np.uint8:
        return 0.0, 255.0
    chosen = values[valid].astype(np.float64)
    if chosen.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(chosen, STRETCH)
    return float(low), float(high)


def side_by_side(*pictures: npt.NDArray[np.uint8]) -> Image.Image:
    """Pictures (y, x, 3) of one height in a row."""
    total = sum(p.shape[1] for p in pictures) + _GAP * (len(pictures) - 1)
    sheet = Image.new("RGB", (total, pictures[0].shape[0]), "white")
    left = 0
    for picture in pictures:
        sheet.paste(Image.fromarray(picture), (left, 0))
        left += picture.shape[1] + _GAP
    return sheet


def save(image: Image.Image, path: Path) -> None:
    """Write a picture, whole or not at all.

    Raises:
        RasterError: it cannot be written.
    """
    file = io.BytesIO()
    image.save(file, format="PNG")
    write_file(path, file.getvalue())
