"""Whether the result, brought back to the source's grid, is the source: figures over blocks.

Each figure is taken of two differences, from the source and from plain cubic interpolation brought
back likewise, and the kinder one counts: a faithful result agrees with the first, a plain one with
the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from rs_superres.moments import Moments
from rs_superres.pair import PLACE, Block, Floats, Pair
from rs_superres.radiometry import Valid
from rs_superres.verify.findings import Finding
from rs_superres.verify.rules import NOISE, RULES

Kind = TypeVar("Kind", bound=np.generic)

SIDES = ("top", "bottom", "left", "right")

OFFSET, OFFSET_STEPS = 0.03, 1.5
"""What a place's mean may differ by: share of the range, and steps."""

GAIN = 1 / 3
"""What a place's contrast may differ by."""

CONTRAST = 0.05
"""Share of the range: the least deviation of a place whose contrast is judged."""

RMS_FREE, RMS_FREE_STEPS = 0.002, 0.5
"""RMS that is not held against a result: share of the range, and steps."""

ANGLE_FREE = 0.2
"""Degrees that rounding may make."""

BIAS_FREE = 0.1
"""Of the deviation of a result from plain cubic, brought back: what adds detail moves means too."""


@dataclass(frozen=True, slots=True)
class Span:
    """How a band's numbers are spread."""

    range: float
    """From the 1st to the 99th percentile of sampled windows."""
    step: float
    """The least difference that means something."""


def _spans(pair: Pair) -> list[Span]:
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
class _Twice:
    """A difference from the source, and one from plain cubic."""

    source: Moments = field(default_factory=Moments)
    cubic: Moments = field(default_factory=Moments)

    def add(self, source: Floats, cubic: Floats) -> None:
        """More of both."""
        self.source.add(source)
        self.cubic.add(cubic)

    @property
    def kinder(self) -> float:
        """The smaller mean, absolute."""
        return min(abs(self.source.mean), abs(self.cubic.mean))


@dataclass
class _Band:
    """The figures of one band."""

    whole: _Twice = field(default_factory=_Twice)
    """From the source, and from cubic."""
    plain: Moments = field(default_factory=Moments)
    """Of cubic from the source."""
    places: _Twice = field(default_factory=_Twice)
    """Means of places."""
    sides: dict[str, _Twice] = field(default_factory=lambda: {s: _Twice() for s in SIDES})
    judged: int = 0
    offsets: int = 0
    gains: int = 0
    worst: tuple[float, int, int] = (0.0, 0, 0)
    """The largest offset of a place, and its row and column in the source."""


class Radiometry:
    """Gathers the figures of all bands over blocks."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self.spans = _spans(pair)
        """Of every band."""
        self._bands = {band: _Band() for band in pair.bands}
        self._angle, self._plain_angle = Moments(), Moments()
        rows, columns = pair.zoom.rows.covered(), pair.zoom.columns.covered()
        self._ends = (rows.start, rows.stop, columns.start, columns.stop)

    def add(self, block: Block) -> None:
        """Bring one block back and take its figures."""
        rows, columns = block.operators()
        dtype = self._pair.source.description.dtype
        triples, sounds = [], []
        for band in self._pair.bands:
            made = self._pair.converted(band, block.result(band))
            back, plain = (rows @ m @ columns.T for m in (made, block.reference(band, dtype)))
            true, sound = block.source(band), block.sound(band)
            self._add_band(block, band, sound, true, (back, plain))
            triples.append((true, back, plain))
            sounds.append(sound)
        if len(triples) > 1:
            self._add_angles(np.logical_and.reduce(sounds), np.array(triples))

    def _add_band(
        self, block: Block, band: int, sound: Valid, true: Floats, made: tuple[Floats, Floats]
    ) -> None:
        """One band of a block."""
        found = self._bands[band]
        back, plain = made
        beside, apart = back - true, back - plain
        found.whole.add(beside[sound], apart[sound])
        found.plain.add((plain - true)[sound])
        window = block.window
        top, bottom, left, right = self._ends
        lines = {
            "top": np.s_[0] if window.row == top else None,
            "bottom": np.s_[-1] if window.row + window.height == bottom else None,
            "left": np.s_[:, 0] if window.column == left else None,
            "right": np.s_[:, -1] if window.column + window.width == right else None,
        }
        for side, line in lines.items():
            if line is not None:
                found.sides[side].add(beside[line][sound[line]], apart[line][sound[line]])
        self._add_places(block, band, sound, (true, back, plain))

    def _add_places(
        self, block: Block, band: int, sound: Valid, images: tuple[Floats, Floats, Floats]
    ) -> None:
        """Offset and gain of each place that is sound as a whole."""
        found, span = self._bands[band], self.spans[band]
        whole = _in_places(sound).all(axis=-1)
        if not whole.any():
            return
        true, back, plain = (_in_places(image)[whole] for image in images)
        offsets = np.stack([back.mean(-1) - true.mean(-1), back.mean(-1) - plain.mean(-1)])
        found.places.add(offsets[0], offsets[1])
        kinder = np.abs(offsets).min(axis=0)
        found.judged += len(kinder)
        found.offsets += int((kinder > OFFSET * span.range + OFFSET_STEPS * span.step).sum())
        gain = np.stack([_gain(back, true), _gain(back, plain)])
        contrast = plain.std(-1) > CONTRAST * span.range + 2 * span.step
        found.gains += int((contrast & (np.abs(gain - 1).min(axis=0) > GAIN)).sum())
        at = int(kinder.argmax())
        if kinder[at] > found.worst[0]:
            row, column = (index[at] * PLACE for index in np.nonzero(whole))
            found.worst = (
                float(kinder[at]), int(block.window.row + row), int(block.window.column + column)
            )  # fmt: skip

    def _add_angles(self, sound: Valid, triples: Floats) -> None:
        """Angles between spectra: triples are (band, one of source, result and cubic, y, x)."""
        true, back, plain = (triples[:, i][:, sound] for i in range(3))
        for moments, other in ((self._angle, back), (self._plain_angle, plain)):
            norms = np.linalg.norm(true, axis=0) * np.linalg.norm(other, axis=0)
            told = norms > 0
            cosine = (true * other).sum(axis=0)[told] / norms[told]
            moments.add(np.degrees(np.arccos(cosine.clip(-1, 1))))

    def findings(self) -> list[Finding]:
        """What the figures say."""
        if not any(b.whole.source.count for b in self._bands.values()):
            return [
                Finding(
                    name=name,
                    measured=None,
                    allowed=RULES[name].allowed,
                    detail="no pixel is far enough from a hole",
                )
                for name in ("bias", "rms", "spectral angle", "border", "tiles")
            ]
        return [self._bias(), self._rms(), self._angles(), self._border(), self._tiles()]

    def _bias(self) -> Finding:
        """Of each band, in steps."""
        figures = []
        for band, found in self._bands.items():
            span = self.spans[band]
            step = span.step or 1.0
            apart = found.whole.cubic
            free = NOISE * found.places.cubic.error + BIAS_FREE * apart.deviation
            figures.append((found.whole.kinder / step, RULES["bias"].allowed + free / step))
        return self._worst("bias", figures, "mean", [b.whole.source.mean for b in self._found])

    def _rms(self) -> Finding:
        """Of each band, digital numbers."""
        figures = [
            (
                found.whole.source.rms,
                RULES["rms"].allowed * found.plain.rms
                + RMS_FREE_STEPS * span.step
                + RMS_FREE * span.range,
            )
            for found, span in zip(self._found, self._known, strict=True)
        ]
        return self._worst("rms", figures, "cubic's RMS", [b.plain.rms for b in self._found])

    def _angles(self) -> Finding:
        """Over all bands."""
        rule, plain = RULES["spectral angle"], self._plain_angle.mean
        return Finding(
            name="spectral angle",
            measured=self._angle.mean if self._angle.count else None,
            allowed=rule.allowed * plain + ANGLE_FREE,
            detail=f"cubic's is {plain:.3g}" if self._angle.count else "takes two bands",
        )

    def _border(self) -> Finding:
        """The worst side of each band, share of the range."""
        figures, told = [], []
        for found, span in zip(self._found, self._known, strict=True):
            width = span.range or 1.0
            sides = {
                name: (
                    side.kinder / width,
                    RULES["border"].allowed
                    + (span.step + NOISE * 2 * min(side.cubic.error, side.source.error)) / width,
                )
                for name, side in found.sides.items()
            }
            worst = max(sides, key=lambda name: sides[name][0] / sides[name][1])
            figures.append(sides[worst])
            told.append(worst)
        finding = self._worst("border", figures, "difference", [f[0] for f in figures])
        at = int(np.argmax([m / a for m, a in figures]))
        return Finding(
            name="border",
            measured=finding.measured,
            allowed=finding.allowed,
            detail=f"{told[at]}, {finding.detail}",
            bands=finding.bands,
        )

    def _tiles(self) -> Finding:
        """The share of places of all bands."""
        judged = sum(b.judged for b in self._found)
        far = sum(b.offsets + b.gains for b in self._found)
        offsets, gains = (sum(getattr(b, n) for b in self._found) for n in ("offsets", "gains"))
        size, row, column = max(b.worst for b in self._found)
        # One place of few is no share.
        allowed = RULES["tiles"].allowed + (1.0 / judged if judged else 0.0)
        return Finding(
            name="tiles",
            measured=far / judged if judged else None,
            allowed=allowed,
            detail=f"{offsets} offsets and {gains} gains of {judged} places; the largest offset "
            f"{size:.3g} at source row {row}, column {column}"
            if judged
            else f"no {PLACE} x {PLACE} source pixels without a hole",
        )

    @property
    def _found(self) -> list[_Band]:
        return list(self._bands.values())

    @property
    def _known(self) -> list[Span]:
        return [self.spans[band] for band in self._bands]

    def _worst(
        self,
        name: str,
        figures: Sequence[tuple[float, float]],
        beside: str,
        values: Sequence[float],
    ) -> Finding:
        """The band that comes nearest to its threshold, or exceeds it by most."""
        at = int(np.argmax([m / a if a else m for m, a in figures]))
        return Finding(
            name=name,
            measured=figures[at][0],
            allowed=figures[at][1],
            detail=f"band {list(self._bands)[at] + 1}; {beside} {values[at]:.4g}",
            bands={"measured": [f[0] for f in figures], beside: list(values)},
        )


def _in_places(image: npt.NDArray[Kind]) -> npt.NDArray[Kind]:
    """(y, x) to (row of places, column of places, pixel); an incomplete place at the end falls."""
    rows, columns = (n // PLACE for n in image.shape)
    cut = image[: rows * PLACE, : columns * PLACE]
    places = cut.reshape(rows, PLACE, columns, PLACE).swapaxes(1, 2)
    return places.reshape(rows, columns, PLACE * PLACE)


def _gain(image: Floats, other: Floats) -> Floats:
    """The slope of one over another, by their deviations: (place, pixel) to (place,)."""
    deviation = other.std(-1)
    slope: Floats = image.std(-1) / np.where(deviation > 0, deviation, 1.0)
    return np.where(deviation > 0, slope, 1.0)
