"""Which bands of a source are read, and as what."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rs_superres.errors import InputError
from rs_superres.raster.metadata import Band, Description, holds

CHANNELS = ("red", "green", "blue", "alpha")
"""Colour interpretations of the bands that a colour table turns into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which bands of a source are read, and as what."""

    bands: tuple[int, ...]
    """Their numbers in the source, from 1, in the order in which they are read."""
    nodata: float | None = None
    """The value that is nodata, whatever the file says; None where the file is believed."""
    expand: bool = False
    """Whether the one band is read as the colours of its colour table."""

    def of(self, source: Description) -> Description:
        """What a source says of itself, read this way.

        Raises:
            InputError: its dtype does not hold the nodata value.
        """
        bands = tuple(source.bands[number - 1] for number in self.bands)
        if self.nodata is not None:
            if not holds(bands[0].dtype, self.nodata):
                raise InputError(
                    f"nodata {self.nodata:g}, expected a value that {bands[0].dtype} holds"
                )
            bands = tuple(replace(b, nodata=self.nodata) for b in bands)
        if not self.expand:
            flags = tuple(source.mask_flags[number - 1] for number in self.bands)
            return replace(source, bands=bands, mask_flags=flags)
        masked = source.dataset_mask or bands[0].nodata is not None
        return replace(source, bands=_expanded(bands[0]), dataset_mask=masked, mask_flags=())


def colour_table(band: Band) -> npt.NDArray[np.uint8]:
    """The colours of every value that the dtype has, (value, channel): 3 channels, or 4.

    The fourth is there where a colour is not opaque, that of nodata apart.
    """
    table = np.zeros((np.iinfo(band.dtype).max + 1, len(CHANNELS)), dtype=np.uint8)
    table[: len(band.colours)] = band.colours
    seen = np.arange(len(band.colours)) != (-1 if band.nodata is None else band.nodata)
    opaque = (table[: len(band.colours), 3][seen] == 255).all()
    return table[:, :3] if opaque else table


def _expanded(band: Band) -> tuple[Band, ...]:
    """The bands that a band with a colour table turns into."""
    channels = CHANNELS[: colour_table(band).shape[1]]
    return tuple(Band(dtype="uint8", interpretation=channel) for channel in channels)
