"""The preview: source and result side by side, with the same contrast."""

from __future__ import annotations

from pathlib import Path

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
    """Show the middle of a result at its own resolution, next to the source.

    Args:
        sources: the raster that was upscaled.
        selection: which of its bands were read; all bands if None.
        out: the result.
        zoom: the grids of source and output, and the mapping between them.
        window: the part of the output grid that the result holds, output pixels.
        colours: indices of red, green and blue; the first three bands if empty.

    Returns:
        Two halves: the source enlarged by nearest neighbour, and the result.

    Raises:
        RasterError: source or result cannot be read.
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
        valid = visible(opened.description.bands, before, valid)
    shown = bands if len(bands) == 3 else bands[:1]
    limits = limits_of(before[shown], valid[shown])
    # Nearest neighbour shows each source pixel exactly where it lies.
    enlarged = before[shown][:, rows - rows[0]][:, :, columns - columns[0]]
    return side_by_side(stretched(enlarged, limits), stretched(after[shown], limits))


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
    roles, zoom = plan.pixels.roles, plan.pixels.zoom
    picture = preview_of(plan.sources, roles.selection, result, zoom, plan.window, roles.triplet)
    save(picture, path)
