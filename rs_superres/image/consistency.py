"""Consistency: a result, brought back to the source's grid, is the source.

A is the linear kernel by which the model's low resolution was made (its card says which): one
matrix for the rows, one for the columns. The result y is moved to the nearest image whose A y lies
within the card's noise level of the source x,

    y + A^T (A A^T)^-1 r,   r = x - A y less what the noise level grants,

which never leads away from a truth whose A is x. The entries of (A A^T)^-1 fall by two thirds a
source cell, so each row is solved among its :data:`NEAR` neighbours alone: the projection is
local, and the same wherever a scene is cut. Of a difference one part in fifty is left,
of a constant one less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from rs_superres.config import ConsistencyConfig
from rs_superres.grid import AxisMapping, Zoom
from rs_superres.image.degradation import kernel_weights
from rs_superres.types import Doubles

SUPPORT = 2
"""Source cells on either side of a cell's centre that its kernel takes."""

NEAR = 3
"""Source cells on either side that the inverse is solved among."""

STRIP = 64
"""Rows of the result that are corrected at once: they stay in the processor's cache."""

REACH = SUPPORT + NEAR + SUPPORT
"""Source cells from an output pixel to the farthest that its correction depends on."""


def reach(zoom: Zoom) -> int:
    """Output pixels around a window whose values the corrections in it depend on."""
    return math.ceil(REACH / min(zoom.rows.step, zoom.columns.step)) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Along:
    """One axis of the projection."""

    back: csr_array
    """(cells, pixels): A; nothing for cells that the pixels do not cover."""
    forth: csr_array
    """(pixels, cells): A^T (A A^T)^-1; nothing from those cells either."""


class Projection:
    """The projection of one window of a result.

    Args:
        config: kernel and noise level.
        axes: the output among the source, rows and columns.
        pixels: the window's rows and columns; its correction is sound :func:`reach` away
            from its border.
        cells: rows and columns of the source that are given.
    """

    def __init__(
        self,
        config: ConsistencyConfig,
        axes: tuple[AxisMapping, AxisMapping],
        pixels: tuple[range, range],
        cells: tuple[range, range],
    ) -> None:
        self._noise = config.noise
        self._rows, self._columns = (
            _along(config, *one) for one in zip(axes, pixels, cells, strict=True)
        )

    def __call__(self, made: Doubles, source: Doubles, width: float) -> Doubles:
        """Correct a result.

        Args:
            made: (band, y, x) digital numbers of the pixels, which are overwritten.
            source: (band, y, x) of the cells.
            width: digital numbers of the value range, of which the noise level is a share.
        """
        rows, columns, granted = self._rows, self._columns, self._noise * width
        for y, x in zip(made, source, strict=True):
            far = x - (columns.back @ (rows.back @ y).T).T
            if granted:
                far -= far.clip(-granted, granted)
            lifted = rows.forth @ far
            for start in range(0, len(y), STRIP):
                strip = slice(start, start + STRIP)
                y[strip] += (columns.forth @ lifted[strip].T).T
        return made


@lru_cache(maxsize=64)  # cells of the lattice above and beside each other share theirs
def _along(config: ConsistencyConfig, axis: AxisMapping, pixels: range, cells: range) -> _Along:
    """A and its inverse along one axis."""
    back = csr_array(footprints(config, axis, pixels, cells))
    inverse = _near_inverse((back @ back.T).toarray())
    return _Along(back=back, forth=csr_array(back.T @ csr_array(inverse)))


def footprints(
    config: ConsistencyConfig, axis: AxisMapping, pixels: range, cells: range
) -> Doubles:
    """A along one axis, (cell, pixel); zeros for cells that the result does not cover.

    A kernel that stands out of the scene is made of what is inside, as where low resolution is
    made of an image.
    """
    centres = np.array([axis.edge(cell + 0.5) for cell in cells])
    places = np.arange(pixels.start, pixels.stop) + 0.5
    apart = np.abs(places - centres[:, None])
    reach = SUPPORT / axis.step
    before, *inside, after = _inside(axis, range(pixels.start - 1, pixels.stop + 1))
    covered, number = axis.covered(), np.arange(cells.start, cells.stop)
    whole = (number >= covered.start) & (number < covered.stop)
    whole &= (centres - reach >= places[0] - 1) | (not before)
    whole &= (centres + reach <= places[-1] + 1) | (not after)
    out = np.zeros((len(cells), len(pixels)))
    if whole.any():
        out[whole] = kernel_weights(
            config.kernel, centres[whole], 1 / axis.step, places, mtf=config.mtf
        )
        out[(apart >= reach) | ~np.array(inside)] = 0.0
        out[whole] /= out[whole].sum(axis=1, keepdims=True)
    return out


def _inside(axis: AxisMapping, pixels: range) -> npt.NDArray[np.bool_]:
    """Which pixels the output has, and have their centre in the source."""
    number = np.arange(pixels.start, pixels.stop)
    under = axis.under(pixels.start, len(pixels))
    inside: npt.NDArray[np.bool_] = (
        (number >= 0) & (number < axis.size) & (under >= 0) & (under < axis.source)
    )
    return inside


def _near_inverse(gram: Doubles) -> Doubles:
    """The inverse of a banded matrix, row by row solved among :data:`NEAR` neighbours."""
    count, offsets = len(gram), np.arange(-NEAR, NEAR + 1)
    index = np.arange(count)[:, None] + offsets
    there = (index >= 0) & (index < count)
    index = index.clip(0, count - 1)
    there &= gram[index, index] > 0
    near = np.where(
        there[:, :, None] & there[:, None, :],
        gram[index[:, :, None], index[:, None, :]],
        np.eye(len(offsets)),
    )
    middle = np.zeros((count, len(offsets), 1))
    middle[:, NEAR] = 1.0
    solved = np.linalg.solve(near, middle)[..., 0] * (there & there[:, [NEAR]])
    # What the dropped entries leave of a constant is made good, evenly, lest it stay as a bias.
    inner = there.all(axis=1)
    missing = 1 / gram[inner].sum(axis=1) - solved[inner].sum(axis=1)
    smooth = np.hanning(len(offsets) + 2)[1:-1]
    solved[inner] += missing[:, None] * smooth / smooth.sum()
    out = np.zeros_like(gram)
    np.add.at(out, (np.arange(count)[:, None], index), solved)
    return out
