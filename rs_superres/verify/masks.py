"""Whether valid pixels stayed valid, invalid ones invalid, and numbers finite."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rs_superres.grid import AxisMapping, Window
from rs_superres.image.radiometry import eroded
from rs_superres.types import Indices, Valid
from rs_superres.verify.comparison import MARGIN, ComparedBlock, SourceResultPair
from rs_superres.verify.findings import Finding
from rs_superres.verify.rules import RULES

CHUNK = 512
"""Pixels: the side of the windows that are read where the result lies outside the source."""


class Masks:
    """Counts pixels of the result over blocks."""

    def __init__(self, pair: SourceResultPair) -> None:
        self._pair = pair
        self._valid = self._lost = self._invalid = self._invented = self._broken = 0

    def add(self, block: ComparedBlock) -> None:
        """Count those over one block."""
        rows, columns, own = block.under()
        for band in self._pair.bands:
            valid, made = block.valid[band], block.made_valid[band]
            surely = _at(eroded(valid, MARGIN), rows, columns) & own
            surely_not = _at(eroded(~valid, MARGIN), rows, columns) & own
            broken = surely & ~np.isfinite(block.made[band])
            self._valid += int(surely.sum())
            self._broken += int(broken.sum())
            self._lost += int((surely & ~made & ~broken).sum())
            self._invalid += int(surely_not.sum())
            self._invented += int((surely_not & made).sum())

    def add_outside(self) -> None:
        """Count the result's valid pixels outside the source: a further reading."""
        for window in _outside(self._pair):
            _, valid = self._pair.out.read(window)
            found = valid[list(self._pair.bands)]
            self._invalid += found.size
            self._invented += int(found.sum())

    def findings(self) -> list[Finding]:
        """What the counts say."""
        counts = {
            "mask lost": (self._lost, self._valid),
            "mask invented": (self._invented, self._invalid),
            "non-finite": (self._broken, self._valid),
        }
        return [
            Finding(
                name=name,
                measured=part / whole if whole else None,
                allowed=RULES[name].allowed,
                detail=f"{part} of {whole}" if whole else "there are none such",
            )
            for name, (part, whole) in counts.items()
        ]


def _at(valid: Valid, rows: Indices, columns: Indices) -> Valid:
    """Validity of the source pixels under the result's; those beyond the halo count as not."""
    inside = np.logical_and(
        (rows >= 0) & (rows < valid.shape[0]), (columns >= 0) & (columns < valid.shape[1])
    )
    found: Valid = valid[rows.clip(0, valid.shape[0] - 1), columns.clip(0, valid.shape[1] - 1)]
    both: Valid = found & inside
    return both


def _outside(pair: SourceResultPair) -> Iterator[Window]:
    """Windows of the result that lie outside the source by a pixel and more."""
    shape = pair.out.description.grid.shape
    rows, columns = (_inner(axis) for axis in (pair.zoom.rows, pair.zoom.columns))
    strips = (
        (range(rows.start), range(shape.width)),
        (range(rows.stop, shape.height), range(shape.width)),
        (rows, range(columns.start)),
        (rows, range(columns.stop, shape.width)),
    )
    for down, across in strips:
        for row in down[::CHUNK]:
            for column in across[::CHUNK]:
                yield Window(
                    row, column, min(CHUNK, down.stop - row), min(CHUNK, across.stop - column)
                )


def _inner(axis: AxisMapping) -> range:
    """The result's pixels over the source, and one beyond on either side."""
    first, last = round(axis.edge(0.0)) - 1, round(axis.edge(float(axis.source))) + 1
    return range(min(max(first, 0), axis.size), max(min(last, axis.size), 0))
