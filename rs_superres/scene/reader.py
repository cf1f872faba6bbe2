"""Readers of source pixels by window, mirrored beyond the border of the scene."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Protocol

from rs_superres.grid import Shape, Window
from rs_superres.grid.lattice import read_mirrored
from rs_superres.image.radiometry import valid_by_value
from rs_superres.types import Valid, Values


class Reader(Protocol):
    """A source of pixels that continues beyond its border as its mirror image."""

    def read_mirrored(self, window: Window) -> tuple[Values, Valid]:
        """Read any window of the scene, mirrored beyond the scene's border.

        Args:
            window: source pixels; rows and columns may be negative or beyond the scene.

        Returns:
            Digital numbers and validity, (band, y, x) each.

        Raises:
            RasterError: the source cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class CoarserReader:
    """A reader of a scene's larger pixels, each of which its source repeats.

    Bands with smaller pixels are read too, but only some of their pixels.
    """

    reader: Reader
    """Reads the scene."""
    factor: int
    """Pixels of the scene along a side of a larger one."""

    def read_mirrored(self, window: Window) -> tuple[Values, Valid]:
        """Read a window of larger pixels; see :meth:`Reader.read_mirrored`."""
        every = self.factor
        values, valid = self.reader.read_mirrored(window.finer(every))
        return values[:, ::every, ::every], valid[:, ::every, ::every]


@dataclass(frozen=True, slots=True)
class ArrayReader:
    """A reader of an array in memory that holds a scene or a part of one."""

    values: Values
    """(band, y, x) digital numbers."""
    valid: Valid | None = None
    """(band, y, x), True where ``values`` are valid; found by ``nodata`` and NaN if None."""
    _: KW_ONLY
    nodata: float | None = None
    """The digital number of invalid pixels, if ``valid`` is None."""
    window: Window | None = None
    """The part of the scene that ``values`` hold, in source pixels; all of it if None."""
    shape: Shape | None = None
    """The scene's rows and columns; those of ``values`` if None."""

    def read(self, window: Window) -> tuple[Values, Valid]:
        """Read a window that lies within the array.

        Args:
            window: source pixels, counted from the scene's first pixel.

        Returns:
            Digital numbers and validity, (band, y, x) each.
        """
        slices = (window if self.window is None else window.relative_to(self.window)).slices
        values = self.values[:, *slices]
        if self.valid is not None:
            return values, self.valid[:, *slices]
        return values, valid_by_value(values, self.nodata)

    def read_mirrored(self, window: Window) -> tuple[Values, Valid]:
        """Read a window, mirrored beyond the scene's border; see :meth:`Reader.read_mirrored`.

        Args:
            window: source pixels. The array must hold them, or the pixels that they mirror.

        Returns:
            Digital numbers and validity, (band, y, x) each.
        """
        return read_mirrored(self.read, window, self.shape or Shape(*self.values.shape[1:]))
