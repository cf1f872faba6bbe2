"""Where the pixels of a scene come from."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from rs_superres.dtypes import Valid, Values
from rs_superres.grid import Shape, Window
from rs_superres.tiles import read_mirrored


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
