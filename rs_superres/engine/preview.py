"""The preview: source, cubic interpolation and result side by side, with the same contrast."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from rs_superres.engine.planning import Plan
from rs_superres.grid import AxisMapping, AxisSupport, Window, Zoom
from rs_superres.image.pictures import limits_of, save, side_by_side, stretched
from rs_superres.image.resampling import cubic_over_holes
from rs_superres.raster import Paths, Selection, open_source, visible

SIDE = 640
"""Upper limit of a preview's height, and of the width of each of its pictures: result pixels."""

_HALO = 3
"""Source pixels read around the part that is shown, for cubic interpolation."""

_INNER = np.s_[..., _HALO:-_HALO, _HALO:-_HALO]


class Views(NamedTuple):
    """The same part of the ground three times, (y, x, 3) each on the pixels of the result."""

    source: npt.NDArray[np.uint8]
    """The source by nearest neighbour, which shows each of its pixels exactly where it lies."""
    cubic: npt.NDArray[np.uint8]
    """The source by cubic interpolation."""
    result: npt.NDArray[np.uint8]


def preview_of(
    sources: Paths,
    selection: Selection | None,
    out: Path,
    zoom: Zoom,
    window: Window,
    colours: tuple[int, ...] = (),
) -> Image.Image:
    """Show the middle of a result at its own resolution, next to the source; see :func:`views`."""
    return side_by_side(*views(sources, selection, out, zoom, window, colours))


def views(  # noqa: PLR0913 (what lies where)
    sources: Paths,
    selection: Selection | None,
    out: Path,
    zoom: Zoom,
    window: Window,
    colours: tuple[int, ...] = (),
    *,
    side: int = SIDE,
) -> Views:
    """Draw the middle of a result at its own resolution, and the same part of the source.

    Args:
        sources: the raster that was upscaled.
        selection: which of its bands were read; all bands if None.
        out: the result.
        zoom: the grids of source and output, and the mapping between them.
        window: the part of the output grid that the result holds, output pixels.
        colours: indices of red, green and blue; the first three bands if empty.
        side: upper limit of the sides, pixels of the result.

    Raises:
        RasterError: source or result cannot be read.
    """
    height, width = min(window.height, side), min(window.width, side)
    row, column = (window.height - height) // 2, (window.width - width) // 2
    with open_source(out) as opened:
        after, _ = opened.read(Window(row, column, height, width))
    rows, row_support = _along(zoom.rows, window.row + row, height)
    columns, column_support = _along(zoom.columns, window.column + column, width)
    around = Window(
        row_support.start, column_support.start, row_support.count, column_support.count
    )
    with open_source(sources, selection) as opened:
        plain = [i for i, b in enumerate(opened.description.bands) if not b.is_alpha]
        bands = list(colours) or plain[:3]
        before, valid = opened.read_mirrored(around)
        valid = visible(opened.description.bands, before, valid)
    shown = bands if len(bands) == 3 else bands[:1]
    before, valid = before[shown], valid[shown]
    limits = limits_of(before[_INNER], valid[_INNER])
    smooth = [
        cubic_over_holes(image, known, row_support, column_support, _HALO)
        for image, known in zip(before, valid, strict=True)
    ]
    return Views(
        source=stretched(before[:, rows][:, :, columns], limits),
        cubic=stretched(np.stack(smooth), limits),
        result=stretched(after[shown], limits),
    )


def _along(axis: AxisMapping, first: int, count: int) -> tuple[npt.NDArray[np.int64], AxisSupport]:
    """Locate output pixels along one axis among the source pixels that are read for them.

    Args:
        axis: the mapping between the two grids.
        first: the first output pixel.
        count: the number of output pixels.

    Returns:
        The index of the source pixel under each of them, and what cubic interpolation needs. Output
        pixels beyond the source get its outermost pixels.
    """
    under = axis.under(first, count).clip(0, axis.source - 1)
    start, stop = int(under[0]), int(under[-1]) + 1
    positions = axis.positions(first, count).clip(start - 1, stop)
    support = AxisSupport(start - _HALO, stop - start + 2 * _HALO, positions)
    return under - support.start, support


def views_of(plan: Plan, result: Path, side: int = SIDE) -> Views:
    """Draw the middle of a plan's source and result; see :func:`views`."""
    roles, zoom = plan.pixels.roles, plan.pixels.zoom
    return views(plan.sources, roles.selection, result, zoom, plan.window, roles.triplet, side=side)


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
    save(side_by_side(*views_of(plan, result)), path)
