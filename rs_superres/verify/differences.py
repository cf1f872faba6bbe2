"""How far a result, brought back, lies from its source and from plain cubic: figures of one band.

Each is taken of two differences, from the source and from plain cubic interpolation brought back
likewise: a faithful result agrees with the first, a plain one with the second.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from rs_superres.grid import Window
from rs_superres.image.statistics import Moments
from rs_superres.types import Doubles, Valid
from rs_superres.verify.comparison import PLACE, ComparedBlock, SourceResultPair

Kind = TypeVar("Kind", bound=np.generic)
Images = tuple[Doubles, Doubles, Doubles]
"""Source, and result and plain cubic brought back to it, (y, x) each."""

SIDES = ("top", "bottom", "left", "right")

OFFSET, OFFSET_STEPS = 0.03, 1.5
"""What a place's mean may differ by: share of the range, and steps."""

GAIN = 1 / 3
"""What a place's contrast may differ by."""

CONTRAST = 0.05
"""Share of the range: the least deviation of a place whose contrast is judged."""


@dataclass(frozen=True, slots=True)
class Span:
    """How a band's numbers are spread."""

    range: float
    """From the 1st to the 99th percentile of sampled windows."""
    step: float
    """The least difference that means something."""


def spans_of(pair: SourceResultPair) -> list[Span]:
    """The spread of every band, by sampled windows of the source."""
    samples = list(pair.source.samples())
    out = []
    for i, band in enumerate(pair.source.description.bands):
        values = np.concatenate([v[i][ok[i]].ravel() for v, ok in samples]).astype(np.float64)
        low, high = np.percentile(values, (1, 99)) if values.size else (0.0, 0.0)
        width = float(high - low)
        integer = np.dtype(band.dtype).kind in "iu"
        out.append(Span(max(width, 1.0) if integer else width, 1.0 if integer else width / 1000))
    return out


@dataclass
class Twice:
    """A difference from the source, and one from plain cubic."""

    source: Moments = field(default_factory=Moments)
    cubic: Moments = field(default_factory=Moments)

    def add(self, source: Doubles, cubic: Doubles) -> None:
        """More of both."""
        self.source.add(source)
        self.cubic.add(cubic)

    @property
    def kinder(self) -> float:
        """The smaller mean, absolute."""
        return min(abs(self.source.mean), abs(self.cubic.mean))


@dataclass
class Differences:
    """The figures of one band."""

    span: Span
    whole: Twice = field(default_factory=Twice)
    """Of all that is sound."""
    plain: Moments = field(default_factory=Moments)
    """Of cubic from the source."""
    places: Twice = field(default_factory=Twice)
    """Means of places."""
    sides: dict[str, Twice] = field(default_factory=lambda: {s: Twice() for s in SIDES})
    judged: int = 0
    offsets: int = 0
    gains: int = 0
    worst: tuple[float, int, int] = (0.0, 0, 0)
    """The largest offset of a place, and its row and column in the source."""

    def add(self, block: ComparedBlock, sound: Valid, images: Images, ends: Window) -> None:
        """More of the band.

        Args:
            block: what is compared.
            sound: where it can be, (y, x).
            images: source, and result and plain cubic brought back to it, (y, x) each.
            ends: what of the source the result covers: its sides are judged apart.
        """
        true, back, plain = images
        beside, apart = back - true, back - plain
        self.whole.add(beside[sound], apart[sound])
        self.plain.add((plain - true)[sound])
        inner = block.window.relative_to(ends)
        lines = {
            "top": np.s_[0] if inner.row == 0 else None,
            "bottom": np.s_[-1] if inner.row + inner.height == ends.height else None,
            "left": np.s_[:, 0] if inner.column == 0 else None,
            "right": np.s_[:, -1] if inner.column + inner.width == ends.width else None,
        }
        for side, line in lines.items():
            if line is not None:
                self.sides[side].add(beside[line][sound[line]], apart[line][sound[line]])
        self._add_places(block, sound, images)

    def _add_places(self, block: ComparedBlock, sound: Valid, images: Images) -> None:
        """Offset and gain of each place that is sound as a whole."""
        span = self.span
        whole = _in_places(sound).all(axis=-1)
        if not whole.any():
            return
        true, back, plain = (_in_places(image)[whole] for image in images)
        offsets = np.stack([back.mean(-1) - true.mean(-1), back.mean(-1) - plain.mean(-1)])
        self.places.add(offsets[0], offsets[1])
        kinder = np.abs(offsets).min(axis=0)
        self.judged += len(kinder)
        self.offsets += int((kinder > OFFSET * span.range + OFFSET_STEPS * span.step).sum())
        gain = np.stack([_gain(back, true), _gain(back, plain)])
        contrast = plain.std(-1) > CONTRAST * span.range + 2 * span.step
        self.gains += int((contrast & (np.abs(gain - 1).min(axis=0) > GAIN)).sum())
        at = int(kinder.argmax())
        if kinder[at] > self.worst[0]:
            row, column = (index[at] * PLACE for index in np.nonzero(whole))
            self.worst = (
                float(kinder[at]), int(block.window.row + row), int(block.window.column + column)
            )  # fmt: skip


def _in_places(image: npt.NDArray[Kind]) -> npt.NDArray[Kind]:
    """(y, x) to (row of places, column of places, pixel); an incomplete place at the end falls."""
    rows, columns = (n // PLACE for n in image.shape)
    cut = image[: rows * PLACE, : columns * PLACE]
    places = cut.reshape(rows, PLACE, columns, PLACE).swapaxes(1, 2)
    return places.reshape(rows, columns, PLACE * PLACE)


def _gain(image: Doubles, other: Doubles) -> Doubles:
    """The slope of one over another, by their deviations: (place, pixel) to (place,)."""
    deviation = other.std(-1)
    slope: Doubles = image.std(-1) / np.where(deviation > 0, deviation, 1.0)
    return np.where(deviation > 0, slope, 1.0)
