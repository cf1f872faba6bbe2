"""A picture of before and after a run, stretched alike."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from rs_superres.engine.planning import Plan
from rs_superres.grid import Window, Zoom
from rs_superres.image.pictures import limits_of, save, side_by_side, stretched
from rs_superres.raster import Paths, Selection, open_source

SIDE = 640
"""Pixels of the result that a preview shows."""


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
    roles = decided.pixels.roles
    picture = preview_of(
        decided.sources, roles.selection, result, decided.pixels.zoom, decided.window, roles.triplet
    )
    save(picture, path)
