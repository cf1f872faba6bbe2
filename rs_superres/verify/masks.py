"""Check that pixels stay valid or invalid, that values stay finite, and classes what they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rs_superres.grid import AxisMapping, Window
from rs_superres.image.radiometry import eroded
from rs_superres.raster import AREA_TAG
from rs_superres.types import Indices, Valid
from rs_superres.vector import Area
from rs_superres.verify.comparison import MASK_TOLERANCE, ComparedBlock, SourceResultPair
from rs_superres.verify.findings import Finding
from rs_superres.verify.rules import RULES

OUTSIDE_WINDOW_SIDE = 512
"""Output pixels on a side of the windows that are read outside the source."""


NO_AREA = "its tags say that it was cut to an area of interest, which the audit was not given"
"""Why the pixels that a result lacks are not judged."""


class MaskCounts:
    """Count the result's pixels whose validity or finiteness changed, over all bands.

    Args:
        pair: the source and its result.
        area: the area of interest that the result was cut to: pixels outside are not lost.
    """

    def __init__(self, pair: SourceResultPair, area: Area | None = None) -> None:
        self._pair, self._area = pair, area
        self._valid = self._lost = self._invalid = self._invented = self._non_finite = 0
        self._classes = self._changed = 0

    def add(self, block: ComparedBlock) -> None:
        """Count the pixels over one block."""
        rows, columns, over_window = block.source_indices()
        if self._area is not None:
            over_window &= self._area.inside(block.pixels)
        for band in self._pair.bands:
            source_valid, result_valid = block.source_valid[band], block.result_valid[band]
            valid, invalid = (
                _pick(eroded(mask, MASK_TOLERANCE), rows, columns) & over_window
                for mask in (source_valid, ~source_valid)
            )
            non_finite = valid & ~np.isfinite(block.result_values[band])
            self._valid += int(valid.sum())
            self._non_finite += int(non_finite.sum())
            self._lost += int((valid & ~result_valid & ~non_finite).sum())
            self._invalid += int(invalid.sum())
            self._invented += int((invalid & result_valid).sum())
        for band in self._pair.classes:
            valid = _pick(block.source_valid[band], rows, columns) & over_window
            values = block.source_values[band]
            last = [side - 1 for side in values.shape]
            under = values[rows.clip(0, last[0]), columns.clip(0, last[1])]
            self._classes += int(valid.sum())
            self._changed += int((valid & (block.result_values[band] != under)).sum())

    def add_outside(self) -> None:
        """Read the result outside the source, and count its valid pixels as invented."""
        for window in _windows_outside(self._pair):
            _, valid = self._pair.result.read(window)
            compared = valid[list(self._pair.bands)]
            self._invalid += compared.size
            self._invented += int(compared.sum())

    def findings(self) -> list[Finding]:
        """Return the findings on lost, invented and non-finite pixels, and on classes."""
        counts = {
            "mask lost": (self._lost, self._valid),
            "mask invented": (self._invented, self._invalid),
            "non-finite": (self._non_finite, self._valid),
            "classes": (self._changed, self._classes),
        }
        found = [
            Finding(
                name=name,
                measured=changed / total if total else None,
                allowed=RULES[name].allowed,
                detail=f"{changed} of {total} pixels" if total else "no such pixels",
            )
            for name, (changed, total) in counts.items()
        ]
        if self._area is None and AREA_TAG in self._pair.result.description.tags:
            return [self._without_area(finding) for finding in found]
        return found

    @staticmethod
    def _without_area(finding: Finding) -> Finding:
        """Return a finding on a result that was cut to an area of interest, which is not known."""
        if finding.name == "mask invented" or finding.verdict == "pass":
            return finding
        return replace(finding, measured=None, detail=NO_AREA)


def _pick(mask: Valid, rows: Indices, columns: Indices) -> Valid:
    """Return a mask's values at row and column indices; False outside the mask."""
    inside = np.logical_and(
        (rows >= 0) & (rows < mask.shape[0]), (columns >= 0) & (columns < mask.shape[1])
    )
    nearest: Valid = mask[rows.clip(0, mask.shape[0] - 1), columns.clip(0, mask.shape[1] - 1)]
    picked: Valid = nearest & inside
    return picked


def _windows_outside(pair: SourceResultPair) -> Iterator[Window]:
    """Yield windows that cover the result more than a pixel outside the source."""
    shape = pair.result.description.grid.shape
    rows, columns = (_over_source(axis) for axis in (pair.zoom.rows, pair.zoom.columns))
    strips = (
        (range(rows.start), range(shape.width)),
        (range(rows.stop, shape.height), range(shape.width)),
        (rows, range(columns.start)),
        (rows, range(columns.stop, shape.width)),
    )
    side = OUTSIDE_WINDOW_SIDE
    for down, across in strips:
        for row in down[::side]:
            for column in across[::side]:
                yield Window(
                    row, column, min(side, down.stop - row), min(side, across.stop - column)
                )


def _over_source(axis: AxisMapping) -> range:
    """Return the output pixels over the source, and one more at either end."""
    first, last = round(axis.edge(0.0)) - 1, round(axis.edge(float(axis.source))) + 1
    return range(min(max(first, 0), axis.size), max(min(last, axis.size), 0))
