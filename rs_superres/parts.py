"""Parts of an array as a source of windows: cells are computed from arrays as from files."""

from __future__ import annotations

from dataclasses import dataclass

from rs_superres.dtypes import Valid, Values
from rs_superres.grid import Shape, Window
from rs_superres.radiometry import valid_by_value
from rs_superres.tiles import read_mirrored


@dataclass(frozen=True, slots=True)
class Part:
    """Those pixels of a scene that are in memory."""

    values: Values
    """(band, y, x)."""
    window: Window
    """Where in the scene they stand."""
    shape: Shape
    """Of the scene."""
    nodata: float | None
    """The value that is nodata."""

    def read(self, window: Window) -> tuple[Values, Valid]:
        """Digital numbers and validity, (band, y, x) each, of a window within the part."""
        values = self.values[:, *window.relative_to(self.window).slices]
        return values, valid_by_value(values, self.nodata)

    def read_reflected(
        self, row: int, column: int, height: int, width: int
    ) -> tuple[Values, Valid]:
        """The same of any window whose pixels, or those that it mirrors, are in the part."""
        return read_mirrored(self.read, Window(row, column, height, width), self.shape)
