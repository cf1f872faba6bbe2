"""Which windows of a result a page shows, so that it stays within its size limit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rs_superres.errors import InputError
from rs_superres.grid import Shape, Window
from rs_superres.grid.lattice import evenly_spaced
from rs_superres.raster import Bounds, visible, window_within
from rs_superres.types import Valid, Values
from rs_superres.view.encoding import page_bytes, page_dtype
from rs_superres.view.layers import source_under
from rs_superres.view.pair import ViewedPair

RESERVED = 2_000_000
"""Bytes of a page that are not pixels, at most: texts, tags, styles and the script."""

LONGEST_SIDE = 8192
"""Pixels on a side of a layer, at most: browsers draw no much larger pictures."""

OVERVIEW_SIDE, OVERVIEW_SHARE = 1024, 0.35
"""Pixels on the longer side of an overview, and the share of the page's bytes, at most."""

SHRINKING = 1.6
"""How many times smaller than their limit the pixels of most scenes become, at least."""

PARTS = 4
"""Parts that are chosen if the user names none."""

PART_SIDE = 1024
"""Pixels on a side of such a part, at most."""

SAMPLE, SAMPLES = 64, 12
"""Side of the source's windows that are searched for detail, and how many along a side."""


@dataclass(frozen=True, slots=True)
class Part:
    """A window of the result."""

    name: str
    """The name on the page."""
    window: Window
    """Output pixels."""
    overview: Shape | None = None
    """Height and width of the picture if it is reduced; None if all pixels are shown."""


def choose_parts(
    pair: ViewedPair, bounds: Sequence[Bounds] = (), *, max_size: int, sure: bool = False
) -> tuple[Part, ...]:
    """Choose the windows of a page.

    A small result is shown entirely. Of a larger one the page shows an overview, and parts at full
    resolution: those within bounds, or those with the most detail.

    Args:
        pair: the rasters.
        bounds: bounds on the map, or in source pixels; empty to choose parts.
        max_size: the limit of the page, bytes.
        sure: whether the page must stay within its limit even if its pixels cannot be compressed.
            If not, an entire result may exceed it.

    Raises:
        InputError: bounds lie outside the result, or their pixels exceed the limit.
        RasterError: the source cannot be read.
    """
    whole, room = pair.zoom.output.window, max_size - RESERVED
    windows = [window_within(pair.zoom, box) for box in bounds]
    if not windows and _fits(pair, whole, room if sure else int(SHRINKING * room)):
        return (Part("Entire result", whole),)
    shape = _overview_shape(pair, room)
    room -= page_bytes(math.ceil(shape.height * shape.width * _overview_pixel(pair)))
    if windows:
        _check_room(pair, bounds, windows, room)
    else:
        windows = detailed_windows(pair, _part_side(pair, room), PARTS)
    parts = [Part(f"Part {number}", window) for number, window in enumerate(windows, start=1)]
    return (Part("Overview", whole, shape), *parts)


def full_pixel(pair: ViewedPair) -> float:
    """Return the bytes that one output pixel takes in a part: values and masks of all layers."""
    bands = len(pair.numbers)
    size = np.dtype(page_dtype(pair.result.description.dtype)).itemsize
    source = np.dtype(page_dtype(pair.source.description.dtype)).itemsize / pair.zoom.scale**2
    # A bit a band for the masks of result, cubic and source.
    return bands * (2 * size + source + 3 / 8) + _uncertainty_pixel(pair)


def _overview_pixel(pair: ViewedPair) -> float:
    """Return the bytes that one pixel of an overview takes."""
    described = (pair.source.description, pair.result.description)
    sizes = sum(np.dtype(page_dtype(one.dtype)).itemsize for one in described)
    return len(pair.numbers) * (sizes + 2 / 8) + _uncertainty_pixel(pair)


def _uncertainty_pixel(pair: ViewedPair) -> float:
    """Return the bytes that the uncertainty of one pixel takes."""
    if pair.uncertainty is None:
        return 0.0
    described = pair.uncertainty.description
    size = np.dtype(page_dtype(described.dtype)).itemsize
    return len(described.bands) * (size + 1 / 8)


def _bytes(pair: ViewedPair, window: Window) -> int:
    """Return the most bytes that a window takes in a page.

    The source has up to two rows and columns more than the window's share.
    """
    under = source_under(pair.zoom, window)
    rim = 2 * (under.height + under.width + 2) * len(pair.numbers) * 8
    return page_bytes(math.ceil(window.height * window.width * full_pixel(pair)) + rim)


def _fits(pair: ViewedPair, window: Window, room: int) -> bool:
    """Return whether a window can be shown at full resolution."""
    return max(window.height, window.width) <= LONGEST_SIDE and _bytes(pair, window) <= room


def _overview_shape(pair: ViewedPair, room: int) -> Shape:
    """Return the height and width of the overview."""
    whole = pair.zoom.output.shape
    most = OVERVIEW_SHARE * room / page_bytes(1000) * 1000 / _overview_pixel(pair)
    shrink = max(
        1.0,
        max(whole.height, whole.width) / OVERVIEW_SIDE,
        math.sqrt(whole.height * whole.width / most),
    )
    height, width = (max(1, math.floor(side / shrink)) for side in (whole.height, whole.width))
    return Shape(height, width)


def _part_side(pair: ViewedPair, room: int) -> int:
    """Return the side of square parts that share the room."""
    side = math.sqrt(room / PARTS / page_bytes(1000) * 1000 / full_pixel(pair))
    return max(16, min(PART_SIDE, math.floor(0.95 * side)))


def _check_room(
    pair: ViewedPair, bounds: Sequence[Bounds], windows: Sequence[Window], room: int
) -> None:
    """Refuse parts that exceed the limit of a page, or that are too long for browsers.

    Raises:
        InputError: they do.
    """
    for box, window in zip(bounds, windows, strict=True):
        if max(window.height, window.width) > LONGEST_SIDE:
            raise InputError(
                f"bounds={_text(box)} hold {window.width} x {window.height} pixels, expected at "
                f"most {LONGEST_SIDE} on a side; choose smaller bounds="
            )
    needed = sum(_bytes(pair, window) for window in windows)
    if needed > room:
        pixels = sum(window.height * window.width for window in windows) / 1e6
        raise InputError(
            f"bounds= hold {pixels:.3g} megapixels of the result, for which the page would need up "
            f"to {needed / 1e6:.3g} MB, and its limit leaves {max(0, room) / 1e6:.3g} MB; choose "
            "smaller bounds=, or a larger max_size="
        )


def _text(bounds: Bounds) -> str:
    """Return bounds as a keyword's value."""
    return "({:.9g}, {:.9g}, {:.9g}, {:.9g})".format(*bounds)


def detailed_windows(pair: ViewedPair, side: int, count: int) -> list[Window]:
    """Return windows of the result around the places with the most detail in the source.

    Args:
        pair: the rasters.
        side: output pixels on a side of a window.
        count: the number of windows, at most; they do not overlap.

    Raises:
        RasterError: the source cannot be read.
    """
    whole = pair.zoom.output.window
    found: list[Window] = []
    places = sorted(_scored(pair), key=lambda place: -place[0])
    for _, row, column in places:
        height, width = min(side, whole.height), min(side, whole.width)
        window = Window(
            min(max(0, row - height // 2), whole.height - height),
            min(max(0, column - width // 2), whole.width - width),
            height,
            width,
        )
        if all(window.intersection(other) is None for other in found):
            found.append(window)
        if len(found) == count:
            break
    return found


def _scored(pair: ViewedPair) -> Iterator[tuple[float, int, int]]:
    """Yield the detail of some of the source's windows, and their middle in the result."""
    under = source_under(pair.zoom, pair.zoom.output.window)
    source = pair.source.narrowed(pair.rgb or (0,))
    for row in evenly_spaced(under.height, SAMPLE, SAMPLES):
        for column in evenly_spaced(under.width, SAMPLE, SAMPLES):
            square = Window(under.row + row, under.column + column, SAMPLE, SAMPLE)
            window = square.intersection(under)
            if window is None:
                continue
            values, valid = source.read(window)
            score = _detail(values, visible(source.description.bands, values, valid))
            middle = (window.row + window.height / 2, window.column + window.width / 2)
            yield (
                score,
                round(pair.zoom.rows.edge(middle[0])),
                round(pair.zoom.columns.edge(middle[1])),
            )


def _detail(values: Values, valid: Valid) -> float:
    """Return the mean step between neighbouring pixels, less where pixels are invalid."""
    if not valid.any():
        return -1.0
    with np.errstate(over="ignore", invalid="ignore"):
        steps = [
            np.abs(np.diff(np.where(valid, values, np.nan).astype(np.float64), axis=axis))
            for axis in (1, 2)
        ]
        known = [step[np.isfinite(step)] for step in steps]
        means = [float(np.minimum(step, 1e300).mean()) if step.size else 0.0 for step in known]
    return sum(means) * float(valid.mean()) ** 2
