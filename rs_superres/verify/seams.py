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

from rs_superres.grid import AxisMapping, Window
from rs_superres.grid.lattice import evenly_spaced
from rs_superres.types import Indices
from rs_superres.verify.comparison import HALO, ComparedBlock, SourceResultPair
from rs_superres.verify.differences import Span
from rs_superres.verify.findings import Finding
from rs_superres.verify.rules import RULES

Profile = npt.NDArray[np.float64]

STRIPS = 6
"""Strips of the scene that are read along each axis, at most."""

FLOOR, FLOOR_STEPS = 1e-3, 0.25
"""Jumps that nobody sees, added to all: share of the range, and steps."""

LONGEST = 16_384
"""Result pixels along a strip, about: of larger scenes the middle."""

PERIODS = (32, 2048)
"""Result pixels: the shortest and the longest period that is tried."""

LINES = 5
"""Lines that a period must have in the scene."""

OWN = 3.0
"""Standard errors by which the source's own lines stand out."""

CLIP = 5.0
"""Deviations at which one line's figure is cut: a single edge of the scene is no lattice."""

SURE = 8.0
"""Standard errors: lines of scenes without tiles stay below, whatever period and phase."""

PHASES = 64
"""Result pixels after which places between source pixels repeat, at most; else as many bins."""

REPEATS = 1e-3
"""Source pixels: places this near to each other are one."""

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


def seams(pair: SourceResultPair, spans: list[Span]) -> Finding:
    """Search the result's lines, or look at those that its tags name."""
    rule = RULES["seams"]
    named = _lattice(pair.out.description.tags)
    best: Seams | None = None
    name = ""
    for down in (True, False):
        profile = _profile(pair, spans, down=down)
        if profile is None:
            continue
        start, jumps, plain = profile
        axis = pair.zoom.rows if down else pair.zoom.columns
        phase = _phase(axis, start, len(jumps))
        figures, own = standardised(jumps, phase), standardised(plain, phase)
        if figures is None or own is None:
            continue
        lattice = None if named is None else named[0 if down else 1]
        found = searched(figures, own, start, lattice)
        if found is not None and (best is None or found.score > best.score):
            best, name = found, "rows" if down else "columns"
    if best is None:
        return Finding(
            name="seams", measured=None, allowed=rule.allowed, detail="too small to have tiles"
        )
    return Finding(
        name="seams",
        measured=best.excess if best.score > SURE else 0.0,
        allowed=rule.allowed,
        detail=f"{name} {best.phase} + {best.period} n{' (by the tags)' if named else ''}: "
        f"{100 * best.excess:.3g} % above other lines, {best.score:.3g} standard errors",
    )


def standardised(jumps: Profile, phase: Indices) -> Profile | None:
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
    figures: Profile, own: Profile, start: int, lattice: tuple[int, int] | None
) -> Seams | None:
    """The period and phase whose lines stand out most.

    Args:
        figures: of lines, as :func:`standardised` gives them.
        own: those of plain cubic: lines that stand out there are the source's, a codec's blocks.
        start: the number of the first one.
        lattice: period and phase where they are known.
    """
    least, most = PERIODS
    periods = [lattice[0]] if lattice else range(least, min(most, len(figures) // LINES) + 1)
    best: Seams | None = None
    for period in periods:
        scores = _scores(figures, period, 1 if lattice else LINES)
        if lattice is None:
            scores[_scores(own, period, 1) > OWN] = -np.inf
            at = int(scores.argmax())
        else:
            at = (lattice[1] - start) % period
        if (
            at < len(scores)
            and np.isfinite(scores[at])
            and (best is None or scores[at] > best.score)
        ):
            members = figures[at::period]
            excess = float(np.expm1(np.median(members[np.isfinite(members)])))
            best = Seams(float(scores[at]), excess, period, (start + at) % period)
    return best


def _scores(figures: Profile, period: int, needed: int) -> Profile:
    """How many standard errors the lines of each phase stand out by; -inf of too few."""
    known = np.isfinite(figures)
    deviation = max(1.4826 * float(np.median(np.abs(figures[known]))), 1e-3)
    cut = np.where(known, (figures / deviation).clip(-CLIP, CLIP), 0.0)
    room = -len(figures) % period
    sums, counts = (
        np.pad(a, (0, room)).reshape(-1, period).sum(axis=0)
        for a in (cut, known.astype(np.float64))
    )
    return np.where(counts >= needed, sums / np.sqrt(np.maximum(counts, 1)), -np.inf)


def _profile(
    pair: SourceResultPair, spans: list[Span], *, down: bool
) -> tuple[int, Profile, Profile] | None:
    """Mean absolute jumps of what is added to cubic, across lines, along strips of the scene.

    Returns:
        The number of the first line (line n lies before result pixel n), the jumps, and those of
        plain cubic itself.
    """
    zoom, side = pair.zoom, pair.block_side
    along, across = (zoom.rows, zoom.columns) if down else (zoom.columns, zoom.rows)
    cells, others = along.covered(), across.covered()
    most = max(side, int(LONGEST * along.step))
    first = cells.start + max(0, len(cells) - most) // 2
    cells = range(first, min(cells.stop, first + most))
    width = min(side, len(others))
    if len(cells) < 8 or width < 4:
        return None
    totals, count = np.zeros((2, along.size + 1)), np.zeros(along.size + 1)
    for place in evenly_spaced(len(others), width, STRIPS):
        other = others.start + place
        for cell in range(cells.start, cells.stop, side):
            length = min(side, cells.stop - cell)
            window = (
                Window(cell, other, length, width) if down else Window(other, cell, width, length)
            )
            _add(pair, spans, pair.read(window), down, totals, count)
    known = np.nonzero(count)[0]
    if not len(known):
        return None
    inner = np.s_[known[0] : known[-1] + 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        jumps, plain = totals[:, inner] / count[inner]
    return int(known[0]), jumps, plain


def _add(
    pair: SourceResultPair,
    spans: list[Span],
    block: ComparedBlock,
    down: bool,
    totals: Profile,
    count: Profile,
) -> None:
    """One block's jumps."""
    rows, columns, _ = block.under()
    dtype = pair.source.description.dtype
    for band in pair.bands[:3]:
        sound = block.sound(band)
        inside = sound[
            (rows - HALO).clip(0, sound.shape[0] - 1), (columns - HALO).clip(0, sound.shape[1] - 1)
        ]
        span = spans[band]
        floor = FLOOR_STEPS * span.step + FLOOR * span.range
        if floor == 0:
            continue
        plain = block.reference(band, dtype)
        added = pair.converted(band, block.result(band)) - plain
        start = block.pixels.row if down else block.pixels.column
        good = inside if down else inside.T
        pairs = good[1:] & good[:-1]
        lines = np.s_[start + 1 : start + len(good)]
        for total, image in zip(totals, (added, plain), strict=True):
            jumps = np.abs(np.diff(image if down else image.T, axis=0)) / floor + 1
            total[lines] += np.where(pairs, jumps, 0.0).sum(axis=1)
        count[lines] += pairs.sum(axis=1)


def _phase(axis: AxisMapping, start: int, count: int) -> Indices:
    """The kind of each line: its place between source pixels."""
    for repeat in range(1, PHASES + 1):
        if abs(repeat * axis.step - round(repeat * axis.step)) < REPEATS:
            return np.arange(start, start + count) % repeat
    place = axis.positions(start, count) - axis.step / 2
    return np.floor((place % 1.0) * PHASES).astype(np.int64)


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
