"""Pictures of before and after, stretched alike."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from rs_superres.dtypes import Valid, Values
from rs_superres.grid import Window, Zoom
from rs_superres.planning import Plan
from rs_superres.raster import Paths, Selection, open_source
from rs_superres.whole import write_whole

STRETCH = (1.0, 99.0)
"""Percentiles of the source's values that become black and white."""

SIDE = 640
"""Pixels of the result that a preview shows."""

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
    write_whole(path, file.getvalue())


def preview_of(
    sources: Paths,
    selection: Selection | None,
    out: Path,
    zoom: Zoom,
    window: Window,
    colours: tuple[int, ...] = (),
) -> Image.Image:
    """Before and after, side by side: the middle of the result at its own resolution.

    Args:
        sources: the raster that was upscaled.
        selection: how it was read; all bands as they are where None.
        out: the result.
        zoom: how their grids lie.
        window: the part of the zoom's output that the result holds.
        colours: indices of red, green and blue; without them the first three bands stand for these.
    """
    height, width = min(window.height, SIDE), min(window.width, SIDE)
    row, column = (window.height - height) // 2, (window.width - width) // 2
    with open_source(out) as opened:
        after, _ = opened.read(Window(row, column, height, width))
    rows = zoom.rows.under(window.row + row, height).clip(0, zoom.rows.source - 1)
    columns = zoom.columns.under(window.column + column, width).clip(0, zoom.columns.source - 1)
    part = Window(
        int(rows[0]),
        int(columns[0]),
        int(rows[-1] - rows[0]) + 1,
        int(columns[-1] - columns[0]) + 1,
    )
    with open_source(sources, selection) as opened:
        plain = [i for i, b in enumerate(opened.description.bands) if not b.is_alpha]
        bands = list(colours) or plain[:3]
        before, valid = opened.read(part)
    shown = bands if len(bands) == 3 else bands[:1]
    limits = limits_of(before[shown], valid[shown])
    # Nearest neighbour: each source pixel where it lies, to the pixel.
    enlarged = before[shown][:, rows - rows[0]][:, :, columns - columns[0]]
    return side_by_side(stretched(enlarged, limits), stretched(after[shown], limits))


def save_preview(decided: Plan, result: Path, path: Path) -> None:
    """Write before and after of a run.

    Args:
        decided: its plan.
        result: what came of it, under whatever name.
        path: the picture's name.

    Raises:
        RasterError: the source or the result cannot be read, or the picture not written.
    """
    roles = decided.roles
    picture = preview_of(
        decided.sources, roles.selection, result, decided.zoom, decided.window, roles.triplet
    )
    save(picture, path)
