"""Readers of source pixels, by window."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Protocol

from rs_superres.grid import Shape, Window
from rs_superres.grid.lattice import read_mirrored
from rs_superres.image.radiometry import valid_by_value
from rs_superres.types import Valid, Values


class Reader(Protocol):
    """A source of pixels that extends beyond its border as its mirror image."""

    def read_mirrored(self, window: Window) -> tuple[Values, Valid]:
        """Read any window of the scene, mirrored beyond the scene's border.

        Returns:
            Digital numbers and validity, (band, y, x) each.
        """
        ...


@dataclass(frozen=True, slots=True)
class ArrayReader:
    """A reader of an array in memory that holds a scene or a part of one."""

    values: Values
    """(band, y, x) digital numbers."""
    valid: Valid | None = None
    """(band, y, x); derived from ``nodata`` and NaN if None."""
    _: KW_ONLY
    nodata: float | None = None
    """The value of invalid pixels."""
    window: Window | None = None
    """Where in the scene ``values`` lie; they are the entire scene if None."""
    shape: Shape | None = None
    """The scene's rows and columns; those of ``values`` if None."""

    def read(self, window: Window) -> tuple[Values, Valid]:
        """Read a window that lies within the array: (band, y, x) each."""
        slices = (window if self.window is None else window.relative_to(self.window)).slices
        values = self.values[:, *slices]
        if self.valid is not None:
            return values, self.valid[:, *slices]
        return values, valid_by_value(values, self.nodata)

    def read_mirrored(self, window: Window) -> tuple[Values, Valid]:
        """Read any window whose pixels, or those it mirrors, are in the array; see Reader."""
        return read_mirrored(self.read, window, self.shape or Shape(*self.values.shape[1:]))
