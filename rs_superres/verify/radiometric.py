"""Whether the result, brought back to the source's grid, is the source: figures over blocks.

Of the two :mod:`differences <rs_superres.verify.differences>` of a band the kinder one counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rs_superres.grid import Window
from rs_superres.image.statistics import Moments
from rs_superres.types import Doubles, Valid
from rs_superres.verify.comparison import PLACE, ComparedBlock, SourceResultPair
from rs_superres.verify.differences import Differences, spans_of
from rs_superres.verify.findings import Finding
from rs_superres.verify.rules import NOISE, RULES

RMS_FREE, RMS_FREE_STEPS = 0.002, 0.5
"""RMS that is not held against a result: share of the range, and steps."""

ANGLE_FREE = 0.2
"""Degrees that rounding may make."""

BIAS_FREE = 0.1
"""Of the deviation of a result from plain cubic, brought back: what adds detail moves means too."""


class Radiometry:
    """Gathers the figures of all bands over blocks."""

    def __init__(self, pair: SourceResultPair) -> None:
        self._pair = pair
        self.spans = spans_of(pair)
        """Of every band."""
        self._bands = {band: Differences(self.spans[band]) for band in pair.bands}
        self._angle, self._plain_angle = Moments(), Moments()
        rows, columns = pair.zoom.rows.covered(), pair.zoom.columns.covered()
        self._ends = Window(rows.start, columns.start, len(rows), len(columns))

    def add(self, block: ComparedBlock) -> None:
        """Bring one block back and take its figures."""
        rows, columns = block.operators()
        dtype = self._pair.source.description.dtype
        triples, sounds = [], []
        for band in self._pair.bands:
            made = self._pair.converted(band, block.result(band))
            back, plain = (rows @ m @ columns.T for m in (made, block.reference(band, dtype)))
            true, sound = block.source(band), block.sound(band)
            self._bands[band].add(block, sound, (true, back, plain), self._ends)
            triples.append((true, back, plain))
            sounds.append(sound)
        if len(triples) > 1:
            self._add_angles(np.logical_and.reduce(sounds), np.array(triples))

    def _add_angles(self, sound: Valid, triples: Doubles) -> None:
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
        for found in self._found:
            step = found.span.step or 1.0
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
                + RMS_FREE_STEPS * found.span.step
                + RMS_FREE * found.span.range,
            )
            for found in self._found
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
        for found in self._found:
            width = found.span.range or 1.0
            sides = {
                name: (
                    side.kinder / width,
                    RULES["border"].allowed
                    + (found.span.step + NOISE * 2 * min(side.cubic.error, side.source.error))
                    / width,
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
    def _found(self) -> list[Differences]:
        return list(self._bands.values())

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
