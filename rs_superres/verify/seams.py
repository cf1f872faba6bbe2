"""Whether tile lines show: what a result adds to plain cubic interpolation must not jump there.

Taking plain cubic away takes the scene's own edges with it. The jumps that are left follow the
source's pixels (each place between two of them has its own) and, in lossy files, blocks of 8 or 16
pixels; both are divided out by medians before lines of one period and phase are compared with the
others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rs_superres.grid import Axis, Window
from rs_superres.verify.findings import Finding
from rs_superres.verify.pair import Block, Pair, covered
from rs_superres.verify.radiometric import Span
from rs_superres.verify.rules import RULES

Profile = npt.NDArray[np.float64]

STRIPS = 6
"""Strips of the scene that are read along each axis, at most."""

LONGEST = 16_384
"""Result pixels along a strip, about: of larger scenes the middle."""

PERIODS = (32, 2048)
"""Result pixels: the shortest and the longest period that is tried."""

LINES = 4
"""Lines that a period must have in the scene."""

CLIP = 5.0
"""Deviations at which one line's figure is cut: a single edge of the scene is no lattice."""

SURE = 7.0
"""Standard errors: lines of scenes without tiles stay below, whatever period and phase."""

PHASES = 12
"""Bins of places between two source pixels."""

CODEC = 16
"""Result pixels: lossy codecs' blocks, whose lines are compared among themselves."""


@dataclass(frozen=True, slots=True)
class Seams:
    """The lattice that stands out most."""

    score: float
    """Standard errors."""
    excess: float
    """Share of the gradients."""
    period: int
    phase: int
    """Result pixels before its first line."""
    axis: str


def seams(pair: Pair, spans: list[Span]) -> Finding:
    """Search the result's lines, or look at those that its tags name."""
    rule = RULES["seams"]
    named = _lattice(pair.out.description.tags)
    best: Seams | None = None
    for down in (True, False):
        profile = _profile(pair, spans, down=down)
        if profile is None:
            continue
        start, jumps = profile
        axis = pair.zoom.rows if down else pair.zoom.columns
        figures = standardised(jumps, _phase(axis, start, len(jumps)))
        if figures is None:
            continue
        lattice = None if named is None else named[0 if down else 1]
        found = searched(figures, start, lattice, "rows" if down else "columns")
        if found is not None and (best is None or found.score > best.score):
            best = found
    if best is None:
        return Finding(
            name="seams", measured=None, allowed=rule.allowed, detail="too small to have tiles"
        )
    return Finding(
        name="seams",
        measured=best.excess if best.score > SURE else 0.0,
        allowed=rule.allowed,
        detail=f"{best.axis} {best.phase} + {best.period} n{' (by the tags)' if named else ''}: "
        f"{100 * best.excess:.3g} % above other lines, {best.score:.3g} standard errors",
    )


def standardised(jumps: Profile, phase: npt.NDArray[np.int64]) -> Profile | None:
    """Jumps across lines, relative to lines of their kind and to their neighbours.

    Args:
        jumps: mean absolute jump across each line, (line,); NaN where nothing was read.
        phase: the kind of each line, by its place between source pixels.

    Returns:
        The logarithm of how far each stands out; None where nothing is left to compare.
    """
    known = np.isfinite(jumps)
    if known.sum() < LINES * PERIODS[0]:
        return None
    logs = np.log(np.where(known, jumps, 1.0))
    for kind in (phase, np.arange(len(jumps)) % CODEC):
        for value in np.unique(kind):
            members = known & (kind == value)
            if members.any():
                logs[members] -= np.median(logs[members])
    # A running median of the neighbourhood follows the scene's busy and quiet parts.
    padded = np.pad(np.where(known, logs, np.nan), 6, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, 13)
    with np.errstate(invalid="ignore"):
        local = np.array([np.median(w[np.isfinite(w)]) if np.isfinite(w).any() else 0.0
                          for w in around])  # fmt: skip
    return np.where(known, logs - local, np.nan)


def searched(
    figures: Profile, start: int, lattice: tuple[int, int] | None, axis: str
) -> Seams | None:
    """The period and phase whose lines stand out most.

    Args:
        figures: of lines, as :func:`standardised` gives them.
        start: the number of the first one.
        lattice: period and phase where they are known.
        axis: what the lines are.
    """
    known = np.isfinite(figures)
    deviation = 1.4826 * float(np.median(np.abs(figures[known])))
    deviation = max(deviation, 1e-3)
    cut = np.where(known, (figures / deviation).clip(-CLIP, CLIP), 0.0)
    least, most = PERIODS
    periods = [lattice[0]] if lattice else range(least, min(most, len(figures) // LINES) + 1)
    best: Seams | None = None
    for period in periods:
        count = -(-len(figures) // period)
        room = count * period - len(figures)
        sums, counts = (
            np.pad(a, (0, room)).reshape(count, period).sum(axis=0)
            for a in (cut, known.astype(np.float64))
        )
        needed = 1 if lattice else LINES
        scores = np.where(counts >= needed, sums / np.sqrt(np.maximum(counts, 1)), -np.inf)
        at = int(scores.argmax()) if lattice is None else (lattice[1] - start) % period
        if np.isfinite(scores[at]) and (best is None or scores[at] > best.score):
            members = figures[at::period]
            excess = float(np.expm1(np.median(members[np.isfinite(members)])))
            best = Seams(float(scores[at]), excess, period, (start + at) % period, axis)
    return best


def _profile(pair: Pair, spans: list[Span], *, down: bool) -> tuple[int, Profile] | None:
    """Mean absolute jumps of what is added to cubic, across lines, along strips of the scene.

    Returns:
        The number of the first line (line n lies before result pixel n), and the jumps.
    """
    zoom, side = pair.zoom, pair.block_side
    along, across = (zoom.rows, zoom.columns) if down else (zoom.columns, zoom.rows)
    cells, others = covered(along), covered(across)
    most = max(side, int(LONGEST * along.step))
    first = cells.start + max(0, len(cells) - most) // 2
    cells = range(first, min(cells.stop, first + most))
    width = min(side, len(others))
    if len(cells) < 8 or width < 4:
        return None
    total, count = np.zeros(along.size + 1), np.zeros(along.size + 1)
    strips = min(STRIPS, -(-len(others) // width))
    for i in range(strips):
        other = others.start + round(i * (len(others) - width) / max(1, strips - 1))
        for cell in range(cells.start, cells.stop, side):
            length = min(side, cells.stop - cell)
            window = (
                Window(cell, other, length, width) if down else Window(other, cell, width, length)
            )
            _add(pair, spans, pair.read(window), down, total, count)
    known = np.nonzero(count)[0]
    if not len(known):
        return None
    inner = np.s_[known[0] : known[-1] + 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return int(known[0]), total[inner] / count[inner]


def _add(
    pair: Pair, spans: list[Span], block: Block, down: bool, total: Profile, count: Profile
) -> None:
    """One block's jumps."""
    rows, columns, _ = block.under()
    dtype = pair.source.description.dtype
    for band in pair.bands[:3]:
        sound = block.sound(band)
        inside = sound[
            (rows - 6).clip(0, sound.shape[0] - 1), (columns - 6).clip(0, sound.shape[1] - 1)
        ]
        span = spans[band]
        floor = 0.02 * span.step + 1e-4 * span.range
        if floor == 0:
            continue
        added = pair.converted(band, block.result(band)) - block.reference(band, dtype)
        both, start = (
            (added, inside) if down else (added.T, inside.T),
            (block.pixels.row if down else block.pixels.column),
        )
        image, good = both
        pairs = good[1:] & good[:-1]
        jumps = np.where(pairs, np.abs(np.diff(image, axis=0)) + floor, 0.0) / floor
        lines = np.s_[start + 1 : start + len(image)]
        total[lines] += jumps.sum(axis=1)
        count[lines] += pairs.sum(axis=1)


def _phase(axis: Axis, start: int, count: int) -> npt.NDArray[np.int64]:
    """The kind of each line: its place between source pixels."""
    place = axis.positions(start, count) - axis.step / 2
    return np.floor((place % 1.0) * PHASES + 1e-6).astype(np.int64) % PHASES


def _lattice(tags: object) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Period and phase of rows and columns, as our own tags name them."""
    text = tags.get("SUPERRES_LATTICE", "") if isinstance(tags, dict) else ""
    found = re.fullmatch(r"(\d+) x (\d+) from (-?\d+), (-?\d+)", text)
    if found is None:
        return None
    width, height, column, row = (int(v) for v in found.groups())
    if width < 1 or height < 1:
        return None
    return (height, row % height), (width, column % width)
