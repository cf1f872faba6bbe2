"""Consistency: the correction that makes a result downsample to its source.

Let A be the linear kernel that made the low-resolution images in training, as the model's card
states: one matrix for the rows and one for the columns. The result y is moved to the nearest image
whose A y lies within the noise level of the source x,

    y + A^T (A A^T)^-1 r,    r = x - A y, reduced in magnitude by up to the noise level.

If the source is A of some truth, this never leads away from the truth.

The blur of a sensor leaves little of the finest detail. To divide by that little would turn
rounding, and a blur that is not quite the true one, into a lattice of dots. So a Gaussian kernel is
undone by

    A^T (A A^T + d I)^-1 r,    d = :data:`DAMPING` times the length of an output pixel,

which corrects in part what it leaves little of. Only what is constant is corrected in full.

Along an axis, the entries of (A A^T)^-1 fall by two thirds per source pixel, so each of its rows is
computed from :data:`NEAR` neighbours on either side. That makes the correction local, and the same
wherever a scene is cut into cells. About a fiftieth of a difference remains, and less of a constant
one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from rs_superres.config import ConsistencyConfig
from rs_superres.grid import AxisMapping, WindowAxis, Zoom
from rs_superres.image.degradation import kernel_weights
from rs_superres.types import Doubles, Valid

SUPPORT = 2
"""Radius of the kernel in source pixels, from the centre of a source pixel."""

NEAR = 3
"""Source pixels on either side that a row of the inverse is computed from."""

DAMPING = 0.05
"""Squared modulation transfer that a Gaussian kernel is undone by half at."""

STRIP = 64
"""Rows of the result that are corrected at once, so that they stay in the processor's cache."""

REACH = SUPPORT + NEAR + SUPPORT
"""Distance in source pixels from an output pixel to the farthest one that its correction reads."""


def reach(zoom: Zoom) -> int:
    """Return the margin, in output pixels, that the corrections within a window depend on."""
    return math.ceil(REACH / min(zoom.rows.step, zoom.columns.step)) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _AxisOperators:
    """Downsampling and its right inverse along one axis."""

    down: csr_array
    """A, (source pixels, output pixels); zero for source pixels that the output does not cover."""
    up: csr_array
    """What undoes A, (output pixels, source pixels); zero for the same source pixels."""
    up_strips: tuple[csr_array, ...]
    """``up`` in strips of :data:`STRIP` rows."""


class Projection:
    """The consistency correction of one window of a result.

    Corrections are valid from :func:`reach` output pixels inside the window's border on. Nearer to
    it they lack source pixels, unless the border is the scene's.

    Args:
        config: the kernel.
        rows: the window's rows, and those of the source that :meth:`__call__` receives.
        columns: the window's columns, and those of the source.
    """

    def __init__(self, config: ConsistencyConfig, rows: WindowAxis, columns: WindowAxis) -> None:
        self._rows, self._columns = _operators(config, rows), _operators(config, columns)

    def __call__(self, result: Doubles, source: Doubles, tolerance: float) -> Doubles:
        """Correct one band of a window of a result in place.

        Args:
            result: (y, x) digital numbers of the window; overwritten.
            source: (y, x) digital numbers of the source pixels.
            tolerance: the difference that may remain, in digital numbers.

        Returns:
            ``result``, corrected.
        """
        rows, columns = self._rows, self._columns
        difference = source - (columns.down @ (rows.down @ result).T).T
        if tolerance:
            difference -= difference.clip(-tolerance, tolerance)
        lifted = np.ascontiguousarray((columns.up @ difference.T).T)
        for start, up in zip(range(0, len(result), STRIP), rows.up_strips, strict=True):
            result[start : start + STRIP] += up @ lifted
        return result


@lru_cache(maxsize=64)  # the cells in a row or column of the lattice share an axis
def _operators(config: ConsistencyConfig, axis: WindowAxis) -> _AxisOperators:
    """Return A and its right inverse along one axis."""
    down = csr_array(footprints(config, *axis))
    gram = (down @ down.T).toarray()
    damping = DAMPING * axis.mapping.step if config.kernel == "gaussian" else 0.0
    up = csr_array(down.T @ csr_array(_near_inverse(gram, damping)))
    strips = tuple(up[start : start + STRIP] for start in range(0, up.shape[0], STRIP))
    return _AxisOperators(down=down, up=up, up_strips=strips)


def footprints(
    config: ConsistencyConfig, axis: AxisMapping, pixels: range, source_pixels: range
) -> Doubles:
    """Return the downsampling matrix A along one axis.

    A row holds the weights of the output pixels that make up a source pixel. At the scene's edge,
    the kernel is truncated and renormalised, as when an image is downsampled. A row is zero if the
    output does not cover the source pixel, or if its kernel extends beyond ``pixels`` although the
    scene continues there.

    Args:
        config: the kernel.
        axis: the map from output pixels to source positions.
        pixels: output pixels, the matrix's columns.
        source_pixels: source pixels, the matrix's rows.

    Returns:
        (source pixels, output pixels) weights; each row sums to 1 or is zero.
    """
    centres = np.array([axis.edge(pixel + 0.5) for pixel in source_pixels])
    positions = np.arange(pixels.start, pixels.stop) + 0.5
    distances = np.abs(positions - centres[:, None])
    radius = SUPPORT / axis.step
    before, *inside, after = _inside(axis, range(pixels.start - 1, pixels.stop + 1))
    covered, index = axis.covered(), np.arange(source_pixels.start, source_pixels.stop)
    complete = (index >= covered.start) & (index < covered.stop)
    complete &= (centres - radius >= positions[0] - 1) | (not before)
    complete &= (centres + radius <= positions[-1] + 1) | (not after)
    out = np.zeros((len(source_pixels), len(pixels)))
    if complete.any():
        out[complete] = kernel_weights(
            config.kernel, centres[complete], 1 / axis.step, positions, mtf=config.mtf
        )
        out[(distances >= radius) | ~np.array(inside)] = 0.0
        out[complete] /= out[complete].sum(axis=1, keepdims=True)
    return out


def _inside(axis: AxisMapping, pixels: range) -> Valid:
    """Return which output pixels exist and have their centre in the source."""
    index = np.arange(pixels.start, pixels.stop)
    under = axis.under(pixels.start, len(pixels))
    inside: npt.NDArray[np.bool_] = (
        (index >= 0) & (index < axis.size) & (under >= 0) & (under < axis.source)
    )
    return inside


def _near_inverse(gram: Doubles, damping: float) -> Doubles:
    """Return the approximate inverse of a banded matrix A A^T, plus a multiple of the unit matrix.

    What is constant is treated as by the inverse of A A^T alone. Each row is solved for among its
    :data:`NEAR` neighbours on either side; the other entries are zero. Rows and columns of ``gram``
    that are zero stay zero.

    Args:
        gram: A A^T.
        damping: the multiple.
    """
    count, offsets = len(gram), np.arange(-NEAR, NEAR + 1)
    index = np.arange(count)[:, None] + offsets
    present = (index >= 0) & (index < count)
    index = index.clip(0, count - 1)
    present &= gram[index, index] > 0
    near = np.where(
        present[:, :, None] & present[:, None, :],
        gram[index[:, :, None], index[:, None, :]],
        np.eye(len(offsets)),
    )
    near += damping * np.eye(len(offsets))
    middle = np.zeros((count, len(offsets), 1))
    middle[:, NEAR] = 1.0
    solved = np.linalg.solve(near, middle)[..., 0] * (present & present[:, [NEAR]])
    # Without the dropped entries, and with damping, part of a constant difference would remain as a
    # bias. Spread what is missing from the row's sum smoothly over its entries.
    inner = present.all(axis=1)
    missing = 1 / gram[inner].sum(axis=1) - solved[inner].sum(axis=1)
    smooth = np.hanning(len(offsets) + 2)[1:-1]
    solved[inner] += missing[:, None] * smooth / smooth.sum()
    out = np.zeros_like(gram)
    np.add.at(out, (np.arange(count)[:, None], index), solved)
    return out
