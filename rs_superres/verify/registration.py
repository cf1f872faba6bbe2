"""Measure the shift of a result against its source (Lucas and Kanade, 1981).

The result is downsampled from shifted positions until the difference from the source has no
component along the source's gradients. Gain and offset are fitted at the same time, so that
differences of contrast do not count as a shift.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from rs_superres.grid import Window
from rs_superres.grid.lattice import evenly_spaced
from rs_superres.types import Doubles, Valid
from rs_superres.verify.comparison import ComparedBlock, SourceResultPair
from rs_superres.verify.findings import Finding
from rs_superres.verify.rules import NOISE, RULES

WINDOW_SIDE = 96
"""Source pixels on a side of a window that is compared; fewer if blocks are smaller."""

WINDOWS_PER_AXIS = 4
"""Windows along each axis, at most."""

MOST_BANDS = 8
"""Bands that are compared, at most, evenly spaced."""

ITERATIONS = 5
"""Gauss-Newton steps that refine a shift."""

FEWEST_PIXELS = 200
"""Usable source pixels that a window must have."""

LARGEST_SHIFT = 2.0
"""The largest shift that is searched for, source pixels; larger ones are reported as this."""

SHARP_ERROR = 0.1
"""Standard error, source pixels: if any window is better than this, only such windows count."""

LEAST_ERROR = 0.02
"""Standard error, source pixels, that a single window's shift has at least."""

CONVERGED = 0.02
"""The search failed if its last step is larger than this, source pixels."""

LEAST_GAIN = 0.05
"""The images have nothing in common if the fitted gain is not above this."""


@dataclass(frozen=True, slots=True)
class Shift:
    """The shift of one window."""

    offset: Doubles
    """(rows, columns), source pixels; positive values are down and to the right."""
    precision: Doubles
    """(2, 2) inverse of the offset's covariance."""

    @property
    def error(self) -> float:
        """The larger standard error of the two components, source pixels."""
        return _standard_error(self.precision)


def _standard_error(precision: Doubles) -> float:
    """Return the largest standard error that a precision matrix allows, in any direction."""
    least = float(np.linalg.eigvalsh(precision)[0])
    return least**-0.5 if least > 0 else np.inf


def registration(pair: SourceResultPair) -> Finding:
    """Check that no band is shifted, on windows that are spaced evenly over the scene."""
    bands = [pair.bands[i] for i in _evenly_spaced_indices(len(pair.bands), MOST_BANDS)]
    shifts: dict[int, list[Shift]] = {band: [] for band in bands}
    for window in _windows(pair):
        block = pair.read(window)
        for band in bands:
            shift = measure_shift(block, band)
            if shift is not None:
                shifts[band].append(shift)
    rule = RULES["registration"]
    estimates = {band: _combine(windows) for band, windows in shifts.items() if windows}
    estimates = {
        band: estimate
        for band, estimate in estimates.items()
        if np.isfinite(estimate.error) and estimate.error < rule.allowed
    }
    if not estimates:
        return Finding(
            name="registration",
            measured=None,
            allowed=rule.allowed,
            detail="too little texture to measure a shift",
        )
    worst = max(estimates, key=lambda band: estimates[band].size - NOISE * estimates[band].error)
    down, right = estimates[worst].offset
    return Finding(
        name="registration",
        measured=estimates[worst].size,
        allowed=rule.allowed + NOISE * estimates[worst].error,
        detail=f"band {worst + 1}: {right:+.3f} to the right, {down:+.3f} down",
        bands={
            "band": [band + 1.0 for band in estimates],
            "right": [float(e.offset[1]) for e in estimates.values()],
            "down": [float(e.offset[0]) for e in estimates.values()],
        },
    )


@dataclass(frozen=True, slots=True)
class _Estimate:
    """The shift of one band."""

    offset: Doubles
    """(rows, columns), source pixels."""
    error: float
    """Standard error, source pixels."""

    @property
    def size(self) -> float:
        """The larger of the two components, source pixels."""
        return float(np.abs(self.offset).max())


def _combine(shifts: list[Shift]) -> _Estimate:
    """Take the median over windows: a window with little texture can be precise and wrong."""
    sharp = [s for s in shifts if s.error < SHARP_ERROR] or shifts
    median: Doubles = np.median([s.offset for s in sharp], axis=0)
    error = _standard_error(np.sum([s.precision for s in sharp], axis=0))
    return _Estimate(median, max(error, LEAST_ERROR / len(sharp) ** 0.5))


def measure_shift(block: ComparedBlock, band: int) -> Shift | None:
    """Measure the shift of one band in a block; None if it has too little texture."""
    source, image = block.source(band), block.result(band)
    usable = _without_outermost(block.usable(band))
    if usable.sum() < FEWEST_PIXELS:
        return None
    offset, step = np.zeros(2), np.zeros(2)
    precision = np.zeros((2, 2))
    for _ in range(ITERATIONS):
        downsampled = block.downsampling(block.kernel(band), offset[0], offset[1])(image)
        step, precision = _gauss_newton_step(downsampled, source, usable)
        offset = (offset + step).clip(-LARGEST_SHIFT, LARGEST_SHIFT)
        if not np.isfinite(precision).all() or not precision.any():
            return None
    if np.abs(step).max() > CONVERGED and np.abs(offset).max() < LARGEST_SHIFT:
        return None
    return Shift(offset, precision)


def _gauss_newton_step(
    downsampled: Doubles, source: Doubles, usable: Valid
) -> tuple[Doubles, Doubles]:
    """Fit the source by the downsampled result's gradients, gain and offset.

    Args:
        downsampled: the result on the source's pixels, (y, x).
        source: the source, (y, x).
        usable: which pixels enter the fit, (y, x).

    Returns:
        The step of the shift, (rows, columns) in source pixels, and the (2, 2) precision of the
        shift; zeros if the images have nothing in common.
    """
    nothing = np.zeros(2), np.zeros((2, 2))
    row_gradient: Doubles = np.gradient(downsampled, axis=0)
    column_gradient: Doubles = np.gradient(downsampled, axis=1)
    values, target = downsampled[usable], source[usable]
    if np.ptp(values) == 0:
        return nothing
    deviation = values.std()
    terms = np.stack(
        [
            row_gradient[usable],
            column_gradient[usable],
            (values - values.mean()) / deviation,
            np.ones(len(values)),
        ]
    )
    coefficients, *_ = np.linalg.lstsq(terms.T, target, rcond=None)
    gain = coefficients[2] / deviation
    if gain <= LEAST_GAIN:
        return nothing
    variance = float(np.mean((target - coefficients @ terms) ** 2))
    floor = 1e-6 * float(np.var(target))
    normal = terms[:2] @ terms[:2].T
    # The 4 doubles the standard error, which assumes that pixels are independent.
    precision = normal * gain**2 / (4 * (variance + floor))
    return (coefficients[:2] / gain).clip(-1, 1), precision


def _without_outermost(mask: Valid) -> Valid:
    """Return a mask without the outermost pixels, where gradients are one-sided."""
    inner = np.zeros_like(mask)
    inner[1:-1, 1:-1] = mask[1:-1, 1:-1]
    return inner


def _windows(pair: SourceResultPair) -> list[Window]:
    """Return windows of the source, evenly spaced over what the result covers."""
    side = min(WINDOW_SIDE, pair.block_side)
    rows, columns = (
        [
            (covered.start + start, min(side, len(covered)))
            for start in evenly_spaced(len(covered), side, WINDOWS_PER_AXIS)
        ]
        for covered in (pair.zoom.rows.covered(), pair.zoom.columns.covered())
    )
    return [
        Window(row, column, height, width)
        for (row, height), (column, width) in product(rows, columns)
        if height > 4 and width > 4
    ]


def _evenly_spaced_indices(count: int, most: int) -> list[int]:
    """Return at most ``most`` of the indices 0 .. count - 1."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))})
