"""Pictures for people: arrays stretched to 8 bits, images side by side, and PNG files."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from rs_superres.system.files import write_file
from rs_superres.types import Valid, Values

STRETCH = (1.0, 99.0)
"""Percentiles of the source's valid values that are shown as black and white."""

_GAP = 8


def stretched(values: Values, limits: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Stretch values linearly to 8 bits and clip them.

    Args:
        values: (band, y, x) digital numbers. Three bands become red, green and blue; of any other
            number of bands, the first becomes grey. NaN becomes black.
        limits: the digital numbers that become black and white.

    Returns:
        (y, x, 3) picture.
    """
    low, high = limits
    grey = (values.astype(np.float64) - low) * (255 / max(high - low, 1e-12))
    picture = np.nan_to_num(np.clip(grey, 0, 255)).round().astype(np.uint8)
    if len(picture) != 3:
        picture = np.repeat(picture[:1], 3, axis=0)
    return picture.transpose(1, 2, 0)


def limits_of(values: Values, valid: Valid) -> tuple[float, float]:
    """Return the digital numbers to show as black and white; see :data:`STRETCH`.

    Args:
        values: digital numbers of the source, of any shape.
        valid: which of them are valid, of the same shape.

    Returns:
        0 and 255 for uint8, 0 and 1 without valid values, else percentiles of the valid values.
    """
    if values.dtype == np.uint8:
        return 0.0, 255.0
    chosen = values[valid].astype(np.float64)
    if chosen.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(chosen, STRETCH)
    return float(low), float(high)


def side_by_side(*pictures: npt.NDArray[np.uint8]) -> Image.Image:
    """Put pictures of the same height, (y, x, 3) each, next to each other with white gaps."""
    total = sum(p.shape[1] for p in pictures) + _GAP * (len(pictures) - 1)
    sheet = Image.new("RGB", (total, pictures[0].shape[0]), "white")
    left = 0
    for picture in pictures:
        sheet.paste(Image.fromarray(picture), (left, 0))
        left += picture.shape[1] + _GAP
    return sheet


def encode_png(picture: npt.NDArray[np.uint8]) -> str:
    """Return a picture, (y, x, 3), as PNG in base64."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def save(image: Image.Image, path: Path) -> None:
    """Write a picture as PNG, atomically.

    Raises:
        WriteError: the file cannot be written.
    """
    file = io.BytesIO()
    image.save(file, format="PNG")
    write_file(path, file.getvalue())
