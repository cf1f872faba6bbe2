"""Where the pixels of a scene come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rs_superres.grid import Shape, Window
from rs_superres.grid.lattice import read_mirrored
from rs_superres.image.radiometry import valid_by_value
from rs_superres.types import Valid, Values


class Reader(Protocol):
    """Where source pixels come from."""

    def read_reflected(
        self, row: int, column: int, height: int, width: int
    ) -> tuple[Values, Valid]:
        """Digital numbers and validity of any window, mirrored beyond the border."""
        ...


class ArrayReader:
    """Source pixels from an array in memory."""

    def __init__(self, values: Values, valid: Valid | None = None) -> None:
        self._values = values
        self._valid = np.ones(values.shape, dtype=np.bool_) if valid is None else valid

    def read_reflected(
        self, row: int, column: int, height: int, width: int
    ) -> tuple[Values, Valid]:
        """(band, y, x) each; see :class:`Reader`."""
        shape = Shape(*self._values.shape[1:])
        return read_mirrored(self._read, Window(row, column, height, width), shape)

    def _read(self, window: Window) -> tuple[Values, Valid]:
        """The same of a window within the scene."""
        return self._values[:, *window.slices], self._valid[:, *window.slices]


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
