"""The shift of a result against its source, by least squares on gradients (Lucas and Kanade, 1981).

The result is brought back from shifted places until what is left of the difference has no part
along the source's gradients; gain and offset are fitted beside, so contrast does not count.
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

SIDE = 96
"""Source pixels: the side of the windows that are compared, fewer where blocks are smaller."""

ACROSS = 4
"""Windows along each side, at most."""

BANDS = 8
"""Bands that are compared, at most, evenly spread."""

ROUNDS = 5
"""Times that the shift is refined."""

FEWEST = 200
"""Source pixels that a window must have to be compared."""

FARTHEST = 2.0
"""Source pixels: a shift that was not found within this is told as this."""

SHARP = 0.1
"""Source pixels: the standard error of windows that count where there are such."""

SURE = 0.02
"""Source pixels: the standard error of one window's shift is taken as no less."""

SETTLED = 0.02
"""Source pixels: a last step larger than this found nothing."""


@dataclass(frozen=True, slots=True)
class Shift:
    """One window's shift, rows and columns, in source pixels."""

    place: Doubles
    precision: Doubles
    """Inverse of its covariance, (2, 2)."""

    @property
    def error(self) -> float:
        """The larger standard error."""
        return error_of(self.precision)


def error_of(precision: Doubles) -> float:
    """The larger standard error of a shift."""
    least = float(np.linalg.eigvalsh(precision)[0])
    return least**-0.5 if least > 0 else np.inf


def registration(pair: SourceResultPair) -> Finding:
    """Measure the shift of every band, on windows placed by the scene's size."""
    chosen = [pair.bands[i] for i in _spread(len(pair.bands), BANDS)]
    shifts: dict[int, list[Shift]] = {band: [] for band in chosen}
    for window in _windows(pair):
        block = pair.read(window)
        for band in chosen:
            found = shift_of(block, band)
            if found is not None:
                shifts[band].append(found)
    rule = RULES["registration"]
    figures = [(band, *_judged(s)) for band, s in shifts.items() if s]
    figures = [f for f in figures if np.isfinite(f[3]) and f[3] < rule.allowed]
    if not figures:
        return Finding(
            name="registration",
            measured=None,
            allowed=rule.allowed,
            detail="too little texture to tell a shift",
        )
    band, shift, size, error = max(figures, key=lambda f: f[2] - NOISE * f[3])
    return Finding(
        name="registration",
        measured=size,
        allowed=rule.allowed + NOISE * error,
        detail=f"band {band + 1}: {shift[1]:+.3f} to the right, {shift[0]:+.3f} down",
        bands={
            "band": [f[0] + 1.0 for f in figures],
            "right": [float(f[1][1]) for f in figures],
            "down": [float(f[1][0]) for f in figures],
        },
    )


def _judged(shifts: list[Shift]) -> tuple[Doubles, float, float]:
    """The shift of all windows: the middle one, for a flat window can be sure and wrong.

    Returns:
        (rows, columns), its size, and its standard error, source pixels.
    """
    sharp = [s for s in shifts if s.error < SHARP] or shifts
    middle: Doubles = np.median([s.place for s in sharp], axis=0)
    error = error_of(np.sum([s.precision for s in sharp], axis=0))
    return middle, float(np.abs(middle).max()), max(error, SURE / len(sharp) ** 0.5)


def shift_of(block: ComparedBlock, band: int) -> Shift | None:
    """The shift of one band in a block; None where there is no texture."""
    true, sound = block.source(band), block.sound(band)
    sound = _inner(sound)
    if sound.sum() < FEWEST:
        return None
    image = block.result(band)
    place, step = np.zeros(2), np.zeros(2)
    precision = np.zeros((2, 2))
    for _ in range(ROUNDS):
        rows, columns = block.operators(place[0], place[1])
        step, precision = _step(rows @ image @ columns.T, true, sound)
        place = (place + step).clip(-FARTHEST, FARTHEST)
        if not np.isfinite(precision).all() or not precision.any():
            return None
    if np.abs(step).max() > SETTLED and np.abs(place).max() < FARTHEST:
        return None
    return Shift(place, precision)


def _step(back: Doubles, true: Doubles, sound: Valid) -> tuple[Doubles, Doubles]:
    """One step of Gauss and Newton, and the precision of the shift."""
    down: Doubles = np.gradient(back, axis=0)
    across: Doubles = np.gradient(back, axis=1)
    terms = np.stack([down[sound], across[sound], back[sound], np.ones(int(sound.sum()))])
    if np.ptp(terms[2]) == 0:
        return np.zeros(2), np.zeros((2, 2))
    terms[2] = (terms[2] - terms[2].mean()) / terms[2].std()
    wanted = true[sound]
    found, *_ = np.linalg.lstsq(terms.T, wanted, rcond=None)
    rest = float(np.mean((wanted - found @ terms) ** 2))
    gain = found[2] / back[sound].std()
    if gain <= 0.05:  # nothing alike
        return np.zeros(2), np.zeros((2, 2))
    normal = terms[:2] @ terms[:2].T
    floor = 1e-6 * float(np.var(wanted))
    return (found[:2] / gain).clip(-1, 1), normal * gain**2 / (4 * (rest + floor))


def _inner(sound: Valid) -> Valid:
    """Without the outermost pixels, whose gradients are one-sided."""
    inner = np.zeros_like(sound)
    inner[1:-1, 1:-1] = sound[1:-1, 1:-1]
    return inner


def _windows(pair: SourceResultPair) -> list[Window]:
    """Windows of the source, evenly placed by its size."""
    side = min(SIDE, pair.block_side)
    rows, columns = (
        [(r.start + start, min(side, len(r))) for start in evenly_spaced(len(r), side, ACROSS)]
        for r in (pair.zoom.rows.covered(), pair.zoom.columns.covered())
    )
    return [Window(r, c, h, w) for (r, h), (c, w) in product(rows, columns) if h > 4 and w > 4]


def _spread(count: int, most: int) -> list[int]:
    """Up to so many of ``count`` indices, evenly spread."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))})
