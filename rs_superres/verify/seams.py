"""Check that the borders of tiles are invisible.

What a result adds to plain cubic interpolation must not jump at tile lines. Subtracting plain
cubic removes the scene's own edges. The remaining jumps repeat with the source's pixels (each
position between two source pixels has its own jump) and, in lossy files, with blocks of 8 or 16
pixels. Both patterns are divided out by medians; then the lines of each period and phase are
compared with all other lines.

Line n is the border between the output pixels n - 1 and n.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

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
"""One value per line, (line,)."""

MOST_STRIPS = 6
"""Strips of the scene that are read along each axis, at most."""

MOST_BANDS = 3
"""Bands that are read, at most."""

FLOOR, FLOOR_STEPS = 1e-3, 0.25
"""Jump that is added to all jumps because it is invisible: share of the range, plus steps."""

LONGEST_STRIP = 16_384
"""Approximate length of a strip, output pixels; of larger scenes the middle is read."""

PERIODS = (32, 2048)
"""The shortest and the longest period that is tried, output pixels."""

FEWEST_LINES = 5
"""Lines that a period must have in the scene to be tried."""

NEIGHBOURHOOD = 6
"""Lines on either side that a line is compared with."""

SOURCE_SCORE = 3.0
"""Standard errors: lines that stand out more than this in plain cubic belong to the source."""

CLIP = 5.0
"""Standard deviations at which one line's value is clipped: a single edge is not a lattice."""

SEAM_SCORE = 8.0
"""Standard errors: in scenes without tiles, no period and phase stands out more than this."""

MOST_PHASES = 64
"""Output pixels after which the positions between source pixels repeat, at most.

If they repeat later or never, this many bins are used.
"""

PHASE_TOLERANCE = 1e-3
"""Source pixels: positions that differ by less are the same."""

CODEC_BLOCK = 16
"""Output pixels on a side of the blocks of lossy codecs."""


@dataclass(frozen=True, slots=True)
class Seams:
    """The lines of one period and phase."""

    score: float
    """How far they stand out, standard errors."""
    excess: float
    """How much larger their jumps are than those of other lines, as a share."""
    period: int
    """Output pixels from line to line."""
    phase: int
    """Output pixels before the first line."""


class AxisLattice(NamedTuple):
    """The tile lines along one axis."""

    period: int
    """Output pixels from line to line."""
    phase: int
    """Output pixels before the first line."""


class _Profiles(NamedTuple):
    """Mean absolute jumps across the lines of one axis, relative to the invisible jump."""

    start: int
    """The number of the first line."""
    added: Profile
    """Jumps of what the result adds to plain cubic; NaN if nothing was read."""
    cubic: Profile
    """Jumps of plain cubic; NaN if nothing was read."""


def seams(pair: SourceResultPair, spans: list[Span]) -> Finding:
    """Search both axes for seams; if the result's tags give its lattice, check only that.

    Args:
        pair: the rasters.
        spans: the span of every band of the source.
    """
    rule = RULES["seams"]
    lattice = _lattice_of_tags(pair.result.description.tags)
    best: Seams | None = None
    best_axis = ""
    for down, name in ((True, "rows"), (False, "columns")):
        profiles = _profiles(pair, spans, down=down)
        if profiles is None:
            continue
        axis = pair.zoom.rows if down else pair.zoom.columns
        phases = _source_phases(axis, profiles.start, len(profiles.added))
        added, cubic = (standardise(jumps, phases) for jumps in (profiles.added, profiles.cubic))
        if added is None or cubic is None:
            continue
        known = None if lattice is None else lattice[0 if down else 1]
        candidate = most_visible_lines(added, cubic, profiles.start, known)
        if candidate is not None and (best is None or candidate.score > best.score):
            best, best_axis = candidate, name
    if best is None:
        return Finding(
            name="seams", measured=None, allowed=rule.allowed, detail="too small to have tiles"
        )
    return Finding(
        name="seams",
        measured=best.excess if best.score > SEAM_SCORE else 0.0,
        allowed=rule.allowed,
        detail=f"{best_axis} {best.phase} + {best.period} n{' (by the tags)' if lattice else ''}: "
        f"{100 * best.excess:.3g} % above other lines, {best.score:.3g} standard errors",
    )


def standardise(jumps: Profile, phases: Indices) -> Profile | None:
    """Compare each line's jump with the jumps of similar lines and of its neighbourhood.

    Args:
        jumps: mean absolute jump across each line, (line,); NaN if nothing was read.
        phases: each line's position between source pixels, as a class, (line,).

    Returns:
        The logarithm of how far each line stands out, (line,); None if there are too few lines.
    """
    known = np.isfinite(jumps)
    if known.sum() < FEWEST_LINES * PERIODS[0]:
        return None
    logs = np.log(np.where(known, jumps, 1.0))
    for classes in (phases, np.arange(len(jumps)) % CODEC_BLOCK):
        for value in np.unique(classes):
            members = known & (classes == value)
            if members.any():
                logs[members] -= np.median(logs[members])
    # A running median follows the busy and the quiet parts of the scene.
    padded = np.pad(np.where(known, logs, np.nan), NEIGHBOURHOOD, constant_values=np.nan)
    neighbourhoods = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBOURHOOD + 1)
    medians = np.zeros(len(logs))
    medians[known] = np.nanmedian(neighbourhoods[known], axis=1)
    return np.where(known, logs - medians, np.nan)


def most_visible_lines(
    added: Profile, cubic: Profile, start: int, known: AxisLattice | None
) -> Seams | None:
    """Return the lines whose period and phase stand out most; None if no period fits.

    Args:
        added: how far each line stands out in what the result adds, from :func:`standardise`.
        cubic: how far it stands out in plain cubic: such lines belong to the source, for
            example to the blocks of its codec, and are left out.
        start: the number of the first line.
        known: the only lattice to look at, if it is known.
    """
    shortest, longest = PERIODS
    if known is None:
        periods = range(shortest, min(longest, len(added) // FEWEST_LINES) + 1)
    else:
        periods = range(known.period, known.period + 1)
    best: Seams | None = None
    for period in periods:
        scores = _scores(added, period, FEWEST_LINES if known is None else 1)
        if known is None:
            scores[_scores(cubic, period, 1) > SOURCE_SCORE] = -np.inf
            first = int(scores.argmax())
        else:
            first = (known.phase - start) % period
        if first >= len(scores) or not np.isfinite(scores[first]):
            continue
        if best is None or scores[first] > best.score:
            lines = added[first::period]
            excess = float(np.expm1(np.median(lines[np.isfinite(lines)])))
            best = Seams(float(scores[first]), excess, period, (start + first) % period)
    return best


def _scores(profile: Profile, period: int, fewest: int) -> Profile:
    """Return by how many standard errors the lines of each phase stand out, (phase,).

    Phases with fewer than ``fewest`` lines get -inf.
    """
    known = np.isfinite(profile)
    deviation = max(1.4826 * float(np.median(np.abs(profile[known]))), 1e-3)
    clipped = np.where(known, (profile / deviation).clip(-CLIP, CLIP), 0.0)
    padding = -len(profile) % period
    sums, counts = (
        np.pad(values, (0, padding)).reshape(-1, period).sum(axis=0)
        for values in (clipped, known.astype(np.float64))
    )
    return np.where(counts >= fewest, sums / np.sqrt(np.maximum(counts, 1)), -np.inf)


def _profiles(pair: SourceResultPair, spans: list[Span], *, down: bool) -> _Profiles | None:
    """Read strips along one axis and average the jumps across each line.

    Args:
        pair: the rasters.
        spans: the span of every band of the source.
        down: read along rows (the lines are horizontal) rather than along columns.

    Returns:
        None if the scene is too small.
    """
    zoom, side = pair.zoom, pair.block_side
    along, across = (zoom.rows, zoom.columns) if down else (zoom.columns, zoom.rows)
    length, breadth = along.covered(), across.covered()
    most = max(side, int(LONGEST_STRIP * along.step))
    first = length.start + max(0, len(length) - most) // 2
    length = range(first, min(length.stop, first + most))
    width = min(side, len(breadth))
    if len(length) < 8 or width < 4:
        return None
    totals, count = np.zeros((2, along.size + 1)), np.zeros(along.size + 1)
    for offset in evenly_spaced(len(breadth), width, MOST_STRIPS):
        strip = breadth.start + offset
        for start in range(length.start, length.stop, side):
            size = min(side, length.stop - start)
            window = (
                Window(start, strip, size, width) if down else Window(strip, start, width, size)
            )
            _add_jumps(pair, spans, pair.read(window), down, totals, count)
    read = np.nonzero(count)[0]
    if not len(read):
        return None
    lines = np.s_[read[0] : read[-1] + 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        added, cubic = totals[:, lines] / count[lines]
    return _Profiles(int(read[0]), added, cubic)


def _add_jumps(
    pair: SourceResultPair,
    spans: list[Span],
    block: ComparedBlock,
    down: bool,
    totals: Profile,
    count: Profile,
) -> None:
    """Add the jumps in one block.

    Args:
        pair: the rasters.
        spans: the span of every band of the source.
        block: the block.
        down: whether the lines are horizontal.
        totals: (2, line) sums of the jumps of what is added and of plain cubic, updated.
        count: (line,) number of jumps, updated.
    """
    rows, columns, _ = block.source_indices()
    dtype = pair.source.description.dtype
    for band in pair.bands[:MOST_BANDS]:
        span = spans[band]
        floor = FLOOR_STEPS * span.step + FLOOR * span.range
        if floor == 0:
            continue
        usable = block.usable(band)
        on_output = usable[
            (rows - HALO).clip(0, usable.shape[0] - 1),
            (columns - HALO).clip(0, usable.shape[1] - 1),
        ]
        cubic = block.reference(band, dtype)
        added = pair.in_source_units(band, block.result(band)) - cubic
        start = block.pixels.row if down else block.pixels.column
        valid = on_output if down else on_output.T
        both_valid = valid[1:] & valid[:-1]
        lines = np.s_[start + 1 : start + len(valid)]
        for total, image in zip(totals, (added, cubic), strict=True):
            jumps = np.abs(np.diff(image if down else image.T, axis=0)) / floor + 1
            total[lines] += np.where(both_valid, jumps, 0.0).sum(axis=1)
        count[lines] += both_valid.sum(axis=1)


def _source_phases(axis: AxisMapping, start: int, count: int) -> Indices:
    """Classify lines by their position between source pixels.

    Args:
        axis: the mapping between the two grids.
        start: the number of the first line.
        count: number of lines.
    """
    for repeat in range(1, MOST_PHASES + 1):
        if abs(repeat * axis.step - round(repeat * axis.step)) < PHASE_TOLERANCE:
            return np.arange(start, start + count) % repeat
    positions = axis.positions(start, count) - axis.step / 2
    return np.floor((positions % 1.0) * MOST_PHASES).astype(np.int64)


def _lattice_of_tags(tags: Mapping[str, str]) -> tuple[AxisLattice, AxisLattice] | None:
    """Return the lattice along rows and columns that the tags of rs-sr give; None without."""
    text = tags.get("SUPERRES_LATTICE", "")
    match = re.fullmatch(r"(\d+) x (\d+) from (-?\d+), (-?\d+)", text)
    if match is None:
        return None
    width, height, column, row = (int(number) for number in match.groups())
    if width < 1 or height < 1:
        return None
    return AxisLattice(height, row % height), AxisLattice(width, column % width)
