"""The preview: source and result side by side, with the same contrast."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from rs_superres.engine.planning import Plan
from rs_superres.grid import Window, Zoom
from rs_superres.image.pictures import limits_of, save, side_by_side, stretched
from rs_superres.raster import Paths, Selection, open_source, visible

SIDE = 640
"""Upper limit of a preview's height, and of the width of each half: pixels of the result."""


def preview_of(
    sources: Paths,
    selection: Selection | None,
    out: Path,
    zoom: Zoom,
    window: Window,
    colours: tuple[int, ...] = (),
) -> Image.Image:
    """Show the middle of a result at its own resolution, next to the source; see :func:`halves`."""
    return side_by_side(*halves(sources, selection, out, zoom, window, colours))


def halves(  # noqa: PLR0913 (what lies where)
    sources: Paths,
    selection: Selection | None,
    out: Path,
    zoom: Zoom,
    window: Window,
    colours: tuple[int, ...] = (),
    *,
    side: int = SIDE,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Draw the middle of a result at its own resolution, and the same part of the source.

    Args:
        sources: the raster that was upscaled.
        selection: which of its bands were read; all bands if None.
        out: the result.
        zoom: the grids of source and output, and the mapping between them.
        window: the part of the output grid that the result holds, output pixels.
        colours: indices of red, green and blue; the first three bands if empty.
        side: upper limit of the sides, pixels of the result.

    Returns:
        The source enlarged by nearest neighbour, and the result: (y, x, 3) each.

    Raises:
        RasterError: source or result cannot be read.
    """
    height, width = min(window.height, side), min(window.width, side)
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
        valid = visible(opened.description.bands, before, valid)
    shown = bands if len(bands) == 3 else bands[:1]
    limits = limits_of(before[shown], valid[shown])
    # Nearest neighbour shows each source pixel exactly where it lies.
    enlarged = before[shown][:, rows - rows[0]][:, :, columns - columns[0]]
    return stretched(enlarged, limits), stretched(after[shown], limits)


def halves_of(
    plan: Plan, result: Path, side: int = SIDE
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Draw the middle of a plan's source and result; see :func:`halves`."""
    roles, zoom = plan.pixels.roles, plan.pixels.zoom
    return halves(
        plan.sources, roles.selection, result, zoom, plan.window, roles.triplet, side=side
    )


def save_preview(plan: Plan, result: Path, path: Path) -> None:
    """Write the preview of a run.

    Args:
        plan: the plan of the run.
        result: the file of the result, which may not have its final name yet.
        path: the name of the picture.

    Raises:
        RasterError: the source or the result cannot be read.
        WriteError: the picture cannot be written.
    """
    save(side_by_side(*halves_of(plan, result)), path)
