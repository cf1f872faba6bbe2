"""Limits: the correction that keeps results in the range of the source, and keeps its totals.

A network overshoots next to edges and around bright points. For a picture that is harmless; for a
quantity it is not: counts become negative and shares exceed 100 %. :class:`Limiter` moves each
output pixel into the range that the source pixels around it allow, see :func:`local_range`.

Clipping alone would change totals: where all negative values become 0, the mean rises. So the
correction conserves them, in two steps:

1. Between source pixels. The sum of the output pixels under a source pixel differs from what the
   source pixel itself accounts for, because the result is sharper than its source. Along each axis,
   the difference is written as flows between neighbouring source pixels: what one loses, its
   neighbour gets. A flow is reduced where the output pixels of the receiver cannot hold it, as in
   flux-corrected transport (Zalesak 1979, equations 10 to 13).
2. Under each source pixel. Its output pixels are clipped. What that removes is given back to those
   of them that have room left, in proportion to their room.

Both steps look at a few source pixels around an output pixel, so the result does not depend on how
a scene is cut into cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from rs_superres.config import ConsistencyConfig
from rs_superres.grid import AxisMapping, WindowAxis, Zoom
from rs_superres.grid.lattice import reflected
from rs_superres.image.consistency import SUPPORT
from rs_superres.image.degradation import kernel_values
from rs_superres.image.radiometry import neighbour_range
from rs_superres.types import Doubles, Indices, Valid

Flow = TypeVar("Flow", np.float64, np.bool_)

SHARE = 0.75
"""Share of the local range by which a result may leave it."""

RADIUS = 1
"""Source pixels on either side of a pixel whose least and greatest value are the local range."""

REACH = 4.5
"""Distance in source pixels from an output pixel to the farthest one that its limit depends on."""

EXTENT = 5
"""Source pixels beyond a window that its sums and flows extend over."""

STRIP = 16
"""Rows of blocks that are looked at together, so that they stay in the processor's cache."""

NEGLIGIBLE = 1e-12
"""Weights of this magnitude are rounding errors of sums that should be 0."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a result: the local range everywhere, and bounds that the user gives."""

    bounds: tuple[float, float] | None = None
    """Least and greatest digital number of the result; None for no bounds."""

    def __str__(self) -> str:
        """Describe the limits in words, for tags."""
        side = 2 * RADIUS + 1
        local = f"within the range of {side} x {side} source pixels plus {SHARE:.0%} of it"
        if self.bounds is None:
            return local
        low, high = self.bounds
        return f"{local}, and from {low:.10g} to {high:.10g}"

    def within(self, lowest: float, highest: float) -> tuple[float, float]:
        """Return the bounds of a raster that holds the given least and greatest number."""
        if self.bounds is None:
            return lowest, highest
        return max(lowest, self.bounds[0]), min(highest, self.bounds[1])


LOCAL = Limits()
"""The default: the local range, without bounds."""


def reach(zoom: Zoom) -> int:
    """Return the margin, in output pixels, that the limits within a window depend on."""
    return math.ceil(REACH / min(zoom.rows.step, zoom.columns.step)) + 1


def local_range(source: Doubles, valid: Valid) -> tuple[Doubles, Doubles]:
    """Return the least and greatest value that output pixels under each source pixel may have.

    They are the least and greatest of the valid ones among the 3 x 3 source pixels around it, less
    and plus :data:`SHARE` of their difference. If none of these source pixels is negative, the
    least is not negative either; if none is positive, the greatest is not positive. Without a
    valid one, there is no limit.

    Args:
        source: (y, x) digital numbers.
        valid: (y, x), True where ``source`` is valid.

    Returns:
        Two arrays of the same shape.
    """
    least, greatest = neighbour_range(source, valid, RADIUS)
    unknown = least > greatest
    with np.errstate(over="ignore", invalid="ignore"):  # differences of the largest numbers
        margin = SHARE * (greatest - least)
        low = np.where(least >= 0, (least - margin).clip(min=0), least - margin)
        high = np.where(greatest <= 0, (greatest + margin).clip(max=0), greatest + margin)
    return np.where(unknown, -np.inf, low), np.where(unknown, np.inf, high)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """Sums and flows along one axis. Blocks are the output pixels under one source pixel."""

    pixels: slice
    """The output pixels of the window that exist and lie in the source."""
    index: Indices
    """(occupied blocks, most): the output pixels of each block that has any, counted from
    ``pixels.start``. The last one is repeated in blocks that have fewer than others."""
    sizes: Indices
    """Number of output pixels of each of these blocks."""
    occupied: slice
    """The blocks that have output pixels."""
    source: Indices
    """(blocks,) index of each block's source pixel in the source that is passed."""
    count: Doubles
    """(blocks,) number of output pixels of each block."""
    total: csr_array
    """(blocks, pixels): sums the output pixels of each block."""
    smooth: csr_array
    """(blocks, pixels): sums of each block if the result were as blurred as its source."""
    flow: csr_array
    """(blocks, pixels): what flows into a block from the next one, ``total`` against ``smooth``."""
    spread: csr_array
    """(blocks, blocks): sums of each block if output pixels were the source pixels they cover."""


class Limiter:
    """The limits of one window of a result.

    Results are valid from :func:`reach` output pixels inside the window's border on, unless the
    border is the scene's.

    Args:
        kernel: the kernel that makes the source from the result.
        rows: the window's rows, and those of the source that :meth:`__call__` receives.
        columns: the window's columns, and those of the source.
    """

    def __init__(self, kernel: ConsistencyConfig, rows: WindowAxis, columns: WindowAxis) -> None:
        self._rows, self._columns = _axis(kernel, rows), _axis(kernel, columns)

    def __call__(
        self,
        result: Doubles,
        source: Doubles,
        valid: Valid,
        bounds: tuple[float, float],
        *,
        consistent: bool,
    ) -> None:
        """Limit one band of the window in place.

        Args:
            result: (y, x) digital numbers of the window; overwritten.
            source: (y, x) digital numbers of the source pixels.
            valid: (y, x), True where ``source`` is valid; elsewhere it is filled.
            bounds: the least and the greatest digital number that any output pixel may have.
            consistent: True if the result downsamples exactly to the source.
        """
        rows, columns = self._rows, self._columns
        y = result[rows.pixels, columns.pixels]
        blocks = np.ix_(rows.source, columns.source)
        low, high = (side[blocks].clip(*bounds) for side in local_range(source, valid))
        beyond = self._beyond(y, low, high)
        if not beyond.any():
            return
        count = np.multiply.outer(rows.count, columns.count)
        if consistent:
            base = _along(rows.spread, source[blocks].clip(*bounds), columns.spread)
        else:
            base = _along(rows.smooth, y, columns.smooth)
        with np.errstate(over="ignore", invalid="ignore"):  # sums of the largest float64 numbers
            least, greatest = low * count, high * count
            base = base.clip(least, greatest)
            down = _along(rows.flow, y, columns.total)
            across = _along(rows.smooth, y, columns.flow)
            kept_down, kept_across = _kept(base, down, across, least, greatest)
            sums = _settled(base, down * kept_down, across * kept_across)
        changed = beyond | _adjacent(kept_down < 1, kept_across < 1)
        self._settle(y, changed, low, high, sums)

    def _beyond(self, y: Doubles, low: Doubles, high: Doubles) -> Valid:
        """Return the blocks that have an output pixel beyond its range."""
        rows, columns = self._rows, self._columns
        out = np.zeros(low.shape, dtype=np.bool_)
        occupied = np.s_[rows.occupied, columns.occupied]
        fewest, most = self._extremes(y)
        out[occupied] = (most > high[occupied]) | (fewest < low[occupied])
        return out

    def _extremes(self, y: Doubles) -> list[Doubles]:
        """Return the least and the greatest output pixel of each occupied block."""
        ufuncs, rows, columns = (np.minimum, np.maximum), self._rows.index, self._columns.index
        out = [np.empty((len(rows), y.shape[1])) for _ in ufuncs]
        for start in range(0, len(rows), STRIP):
            strip = slice(start, start + STRIP)
            pixels = y[rows[strip]]
            for ufunc, reduced in zip(ufuncs, out, strict=True):
                ufunc.reduce(pixels, axis=1, out=reduced[strip])
        return [
            ufunc.reduce(reduced.T[columns], axis=1).T
            for ufunc, reduced in zip(ufuncs, out, strict=True)
        ]

    def _settle(
        self,
        y: Doubles,
        changed: Valid,
        low: Doubles,
        high: Doubles,
        sums: Doubles,
    ) -> None:
        """Clip the output pixels of blocks, and bring their sums to the given ones.

        Args:
            y: (y, x) output pixels; overwritten.
            changed: (row, column) the blocks to change.
            low: least value of each block's output pixels.
            high: greatest value of each block's output pixels.
            sums: the sum that each block's output pixels should have.
        """
        rows, columns = self._rows, self._columns
        occupied = np.s_[rows.occupied, columns.occupied]
        row, column = np.nonzero(changed[occupied])
        # Planes: the first pixel of each block, the second, and so on, row by row.
        (_, tallest), (_, widest) = rows.index.shape, columns.index.shape
        down, across = (plane[:, None] for plane in np.divmod(np.arange(tallest * widest), widest))
        pixels = rows.index[row, down], columns.index[column, across]
        exists = (down < rows.sizes[row]) & (across < columns.sizes[column])
        # A pixel that a block lacks is 0, and must be.
        least, greatest = (
            np.where(exists, side[occupied][row, column], 0.0) for side in (low, high)
        )
        values = y[pixels].clip(least, greatest)
        # The room may be infinite, or none.
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            missing = sums[occupied][row, column] - _total(values)
            for end, amount in ((greatest, missing.clip(min=0)), (least, missing.clip(max=0))):
                room = end - values
                used = np.where(amount == 0, 0.0, (amount / _total(room)).clip(max=1))
                values += np.nan_to_num(used) * room
        np.clip(values, least, greatest, out=values)
        y[pixels[0][exists], pixels[1][exists]] = values[exists]


def _total(planes: Doubles) -> Doubles:
    """Add planes in their order, however many blocks they have."""
    out: Doubles = planes[0].copy()
    for plane in planes[1:]:
        out += plane
    return out


def _along(rows: csr_array, y: Doubles, columns: csr_array) -> Doubles:
    """Apply one matrix to the rows and one to the columns of an array."""
    out: Doubles = (columns @ (rows @ y).T).T
    return out


def _kept(
    base: Doubles, down: Doubles, across: Doubles, least: Doubles, greatest: Doubles
) -> tuple[Doubles, Doubles]:
    """Return the share of each flow that its two blocks can hold (Zalesak 1979).

    Args:
        base: (row, column) sums of the blocks without flows.
        down: flows into each block from the one below; negative if they go down.
        across: flows into each block from the one to its right; negative if they go right.
        least: least sum that each block can hold.
        greatest: greatest sum that each block can hold.

    Returns:
        Shares of ``down`` and ``across``, 0 to 1.
    """
    above, before = _shifted(down, 0), _shifted(across, 1)
    gain = down.clip(min=0) - above.clip(max=0) + across.clip(min=0) - before.clip(max=0)
    loss = above.clip(min=0) - down.clip(max=0) + before.clip(min=0) - across.clip(max=0)
    gaining = np.divide(greatest - base, gain, out=np.ones_like(base), where=gain > 0).clip(max=1)
    losing = np.divide(base - least, loss, out=np.ones_like(base), where=loss > 0).clip(max=1)
    shares = []
    for axis, flow in ((0, down), (1, across)):
        kept = np.ones(flow.shape)
        here, there = (np.s_[:-1, :], np.s_[1:, :]) if axis == 0 else (np.s_[:, :-1], np.s_[:, 1:])
        kept[here] = np.where(
            flow[here] > 0,
            np.minimum(gaining[here], losing[there]),
            np.minimum(losing[here], gaining[there]),
        )
        shares.append(kept)
    return shares[0], shares[1]


def _settled(base: Doubles, down: Doubles, across: Doubles) -> Doubles:
    """Return the sums of blocks after the given flows."""
    return base + down - _shifted(down, 0) + across - _shifted(across, 1)


def _adjacent(down: Valid, across: Valid) -> Valid:
    """Return the blocks on either side of the marked flows."""
    return down | _shifted(down, 0) | across | _shifted(across, 1)


def _shifted(flows: npt.NDArray[Flow], axis: int) -> npt.NDArray[Flow]:
    """Return the flows of the previous block along an axis; none flow into the first."""
    out = np.zeros_like(flows)
    if axis == 0:
        out[1:] = flows[:-1]
    else:
        out[:, 1:] = flows[:, :-1]
    return out


@lru_cache(maxsize=64)  # the cells in a row or column of the lattice share an axis
def _axis(kernel: ConsistencyConfig, along: WindowAxis) -> _Axis:
    """Return the sums and flows along one axis."""
    axis, pixels, source_pixels = along
    # Sums of blocks at the window's border include the pixels beyond it.
    extra = math.ceil(EXTENT / axis.step)
    first_pixel, count = pixels.start - extra, len(pixels) + 2 * extra
    index, under = np.arange(first_pixel, first_pixel + count), axis.under(first_pixel, count)
    exists = (index >= 0) & (index < axis.size) & (under >= 0) & (under < axis.source)
    index, under = index[exists], under[exists]
    positions = axis.positions(first_pixel, count)[exists]
    first = max(0, int(under[0]) - EXTENT)
    blocks = np.arange(first, min(axis.source, int(under[-1]) + EXTENT + 1))
    total = csr_array((under == blocks[:, None]).astype(np.float64))
    cover = _shared_length(positions, axis.step, blocks)
    cover /= cover.sum(axis=0)
    # The output's extent, which may cover a source pixel at its border in part.
    start = axis.positions(0, 1)[0] - axis.step / 2
    covered = (
        np.minimum(blocks + 0.5, start + axis.size * axis.step) - np.maximum(blocks - 0.5, start)
    ).clip(0) / axis.step
    # Products of sparse matrices add in the order of the pixels, wherever a window begins.
    spread = total @ csr_array(cover.T)
    mean = spread.toarray() * np.divide(1, covered, out=np.zeros(len(blocks)), where=covered > 0)
    smooth = (csr_array(mean) @ csr_array(_blur(kernel, axis, positions, blocks))).toarray()
    smooth /= smooth.sum(axis=0)
    flow = np.cumsum(total.toarray() - smooth, axis=0)
    flow[np.abs(flow) < NEGLIGIBLE] = 0.0
    inside = slice(*np.searchsorted(index, (pixels.start, pixels.stop)))
    local = under[inside] - first
    starts = np.flatnonzero(np.diff(local, prepend=-1))
    sizes = np.diff(starts, append=len(local))
    return _Axis(
        pixels=slice(
            int(index[inside][0]) - pixels.start, int(index[inside][-1]) + 1 - pixels.start
        ),
        index=starts[:, None] + np.minimum(np.arange(sizes.max()), sizes[:, None] - 1),
        sizes=sizes,
        occupied=slice(int(local[0]), int(local[-1]) + 1),
        source=(blocks - source_pixels.start).clip(0, len(source_pixels) - 1),
        count=np.asarray(total.sum(axis=1), dtype=np.float64),
        total=csr_array(total[:, inside]),
        smooth=csr_array(smooth[:, inside]),
        flow=csr_array(flow[:, inside]),
        spread=spread,
    )


def _shared_length(positions: Doubles, step: float, blocks: npt.NDArray[np.int64]) -> Doubles:
    """Return the length that source pixels and output pixels share, in output pixels."""
    middle = blocks[:, None]
    ends = np.minimum(positions + step / 2, middle + 0.5)
    out: Doubles = (ends - np.maximum(positions - step / 2, middle - 0.5)).clip(0) / step
    return out


def _blur(
    kernel: ConsistencyConfig,
    axis: AxisMapping,
    positions: Doubles,
    blocks: npt.NDArray[np.int64],
) -> Doubles:
    """Return the share of each output pixel that each source pixel measures.

    Beyond the border of the scene, the kernel is folded back.

    Args:
        kernel: the kernel.
        axis: the axis mapping.
        positions: (pixels,) positions of output pixels.
        blocks: (blocks,) consecutive source pixels.

    Returns:
        (blocks, pixels) weights, whose columns sum to 1 if ``blocks`` hold the kernel's support.
    """
    start, count = int(blocks[0]) - SUPPORT, len(blocks) + 2 * SUPPORT
    measured = np.arange(start, start + count)
    apart = np.abs(positions - measured[:, None])
    weights = kernel_values(kernel.kernel, apart / axis.step, 1 / axis.step, mtf=kernel.mtf)
    weights[apart >= SUPPORT] = 0.0
    weights /= weights.sum(axis=0)
    out = np.zeros((len(blocks), len(positions)))
    row = reflected(start, count, axis.source) - blocks[0]
    here = (row >= 0) & (row < len(blocks))
    np.add.at(out, row[here], weights[here])
    return out
