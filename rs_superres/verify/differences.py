"""Differences of one band between a downsampled result, its source, and plain cubic.

Plain cubic is the source, interpolated onto the result's grid and downsampled like the result.
Differences are taken from both: a faithful result agrees with the source, and a plain one with
plain cubic.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from rs_superres.grid import Window
from rs_superres.image.radiometry import ValueRange
from rs_superres.image.statistics import Moments
from rs_superres.raster import visible
from rs_superres.types import Doubles, Valid
from rs_superres.verify.comparison import PATCH_SIDE, ComparedBlock, SourceResultPair

Kind = TypeVar("Kind", bound=np.generic)

SIDES = ("top", "bottom", "left", "right")

OFFSET, OFFSET_STEPS = 0.03, 1.5
"""The largest difference of a patch's mean that is allowed: share of the range, plus steps."""

GAIN = 1 / 3
"""The largest relative difference of a patch's contrast that is allowed."""

CONTRAST = 0.05
"""Share of the range: the least standard deviation of a patch whose contrast is judged."""


@dataclass(frozen=True, slots=True)
class Span:
    """The range of a band's values and their smallest meaningful difference."""

    range: float
    """Digital numbers between the 1st and the 99th percentile of sampled windows.

    The range is wider if nearly all values are alike; see :class:`ValueRange`.
    """
    step: float
    """Digital numbers: 1 for integers, a thousandth of the range for floats."""


def band_spans(pair: SourceResultPair) -> list[Span]:
    """Estimate the span of every band from sampled windows of the source."""
    bands = pair.source.description.bands
    samples = [(v, visible(bands, v, valid)) for v, valid in pair.source.samples()]
    spans = []
    for i, band in enumerate(bands):
        values = np.concatenate([v[i][valid[i]].ravel() for v, valid in samples])
        alike = not values.size or values.min() == values.max()
        width = 0.0 if alike else 2 * ValueRange.of_samples(values, (1, 99)).half
        if np.dtype(band.dtype).kind in "iu":
            spans.append(Span(range=max(width, 1.0), step=1.0))
        else:
            spans.append(Span(range=width, step=width / 1000))
    return spans


class BandImages(NamedTuple):
    """One band on the source's pixels, (y, x) each."""

    source: Doubles
    result: Doubles
    """The result, downsampled."""
    cubic: Doubles
    """Plain cubic interpolation, downsampled."""


@dataclass
class ResultMoments:
    """Moments of the result's differences from the source and from plain cubic."""

    from_source: Moments = field(default_factory=Moments)
    from_cubic: Moments = field(default_factory=Moments)

    def add(self, from_source: Doubles, from_cubic: Doubles) -> None:
        """Add differences, arrays of any shape."""
        self.from_source.add(from_source)
        self.from_cubic.add(from_cubic)

    @property
    def smaller_mean(self) -> float:
        """The smaller of the two absolute means."""
        return min(abs(self.from_source.mean), abs(self.from_cubic.mean))


@dataclass
class BandDifferences:
    """The differences of one band, accumulated over blocks."""

    span: Span
    pixels: ResultMoments = field(default_factory=ResultMoments)
    """Over all usable source pixels."""
    cubic: Moments = field(default_factory=Moments)
    """Plain cubic minus the source, over all usable source pixels."""
    patches: ResultMoments = field(default_factory=ResultMoments)
    """Over the means of patches."""
    sides: dict[str, ResultMoments] = field(
        default_factory=lambda: {side: ResultMoments() for side in SIDES}
    )
    """Over the outermost usable source pixels of each side."""
    patch_count: int = 0
    """Patches that were judged."""
    offsets: int = 0
    """Patches whose mean differs by more than is allowed."""
    gains: int = 0
    """Patches whose contrast differs by more than is allowed."""
    largest_offset: tuple[float, int, int] = (0.0, 0, 0)
    """The largest offset of a patch, and the patch's first row and column in the source."""

    def add(self, block: ComparedBlock, usable: Valid, images: BandImages, covered: Window) -> None:
        """Add the differences in one block.

        Args:
            block: the block that is compared.
            usable: the source pixels that can be compared, (y, x).
            images: the band on the source's pixels.
            covered: the window of the source that the result covers; its sides are judged.
        """
        from_source, from_cubic = images.result - images.source, images.result - images.cubic
        self.pixels.add(from_source[usable], from_cubic[usable])
        self.cubic.add((images.cubic - images.source)[usable])
        inner = block.window.relative_to(covered)
        lines = {
            "top": np.s_[0] if inner.row == 0 else None,
            "bottom": np.s_[-1] if inner.row + inner.height == covered.height else None,
            "left": np.s_[:, 0] if inner.column == 0 else None,
            "right": np.s_[:, -1] if inner.column + inner.width == covered.width else None,
        }
        for side, line in lines.items():
            if line is not None:
                on_line = usable[line]
                self.sides[side].add(from_source[line][on_line], from_cubic[line][on_line])
        self._add_patches(block, usable, images)

    def _add_patches(self, block: ComparedBlock, usable: Valid, images: BandImages) -> None:
        """Judge offset and gain of each patch of which all pixels are usable."""
        span = self.span
        judged = _in_patches(usable).all(axis=-1)
        if not judged.any():
            return
        source, result, cubic = (_in_patches(image)[judged] for image in images)
        offsets = np.stack([result.mean(-1) - source.mean(-1), result.mean(-1) - cubic.mean(-1)])
        self.patches.add(offsets[0], offsets[1])
        smaller = np.abs(offsets).min(axis=0)
        self.patch_count += len(smaller)
        self.offsets += int((smaller > OFFSET * span.range + OFFSET_STEPS * span.step).sum())
        gain = np.stack([_gain(result, source), _gain(result, cubic)])
        has_contrast = cubic.std(-1) > CONTRAST * span.range + 2 * span.step
        self.gains += int((has_contrast & (np.abs(gain - 1).min(axis=0) > GAIN)).sum())
        worst = int(smaller.argmax())
        if smaller[worst] > self.largest_offset[0]:
            row, column = (int(index[worst]) * PATCH_SIDE for index in np.nonzero(judged))
            self.largest_offset = (
                float(smaller[worst]),
                block.window.row + row,
                block.window.column + column,
            )


def _in_patches(image: npt.NDArray[Kind]) -> npt.NDArray[Kind]:
    """Cut (y, x) into patches, (patch row, patch column, pixel); drop incomplete ones."""
    rows, columns = (n // PATCH_SIDE for n in image.shape)
    complete = image[: rows * PATCH_SIDE, : columns * PATCH_SIDE]
    patches = complete.reshape(rows, PATCH_SIDE, columns, PATCH_SIDE).swapaxes(1, 2)
    return patches.reshape(rows, columns, PATCH_SIDE * PATCH_SIDE)


def _gain(image: Doubles, reference: Doubles) -> Doubles:
    """Return the ratio of standard deviations: (patch, pixel) to (patch,); 1 for flat patches."""
    deviation = reference.std(-1)
    ratio: Doubles = image.std(-1) / np.where(deviation > 0, deviation, 1.0)
    return np.where(deviation > 0, ratio, 1.0)
