"""Selects the bands of a source that are read, and overrides how they are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rs_superres.errors import InputError
from rs_superres.raster.metadata import Band, Description, holds, nodata_of
from rs_superres.raster.transparency import with_alpha

SOURCE_BANDS_TAG = "SUPERRES_SOURCE_BANDS"
"""The tag of a result with the numbers of its bands in the source, in their order."""

ROLES_TAG = "SUPERRES_BANDS"
"""The tag of a result that says how each of its bands was made: ``joint 1,2,3; alone 4``."""

AREA_TAG = "SUPERRES_AREA"
"""The tag of a result that is masked outside an area of interest: what was done, in words."""

CHANNELS = ("red", "green", "blue", "alpha")
"""Colour interpretations of the bands that replace a band with a colour table."""


def bands_with_role(tags: Mapping[str, str], role: str) -> tuple[int, ...]:
    """Return the indices of a result's bands with a role, as its tag gives them.

    Args:
        tags: those of the result.
        role: ``joint``, ``alone``, ``nearest`` or ``alpha``.

    Returns:
        Indices from 0; empty if the tag names no such bands.
    """
    match = re.search(rf"\b{role} (\d+(?:,\d+)*)", tags.get(ROLES_TAG, ""))
    return () if match is None else tuple(int(number) - 1 for number in match[1].split(","))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The bands of a source that are read, and how."""

    bands: tuple[int, ...]
    """Band numbers in the source, from 1, in the order in which they are read."""
    nodata: float | None = None
    """The nodata value that replaces the file's own; None keeps that of the file."""
    expand: bool = False
    """Whether the only band is read as the colours of its colour table."""

    def of(self, source: Description) -> Description:
        """Return the metadata of a source as this selection reads it.

        Raises:
            InputError: The source's dtype does not hold the nodata value.
        """
        bands = tuple(self._renumbered(source.bands[number - 1]) for number in self.bands)
        if self.nodata is not None:
            if not holds(bands[0].dtype, self.nodata):
                raise InputError(
                    f"nodata {self.nodata:g}, expected a value that {bands[0].dtype} holds"
                )
            bands = tuple(replace(b, nodata=self.nodata) for b in bands)
        # Transparency that loses its alpha band becomes a mask, unless nodata can mark it.
        lost = any(self.lost_alpha(source.bands[number - 1]) is not None for number in self.bands)
        masked = source.dataset_mask or (lost and nodata_of(bands) is None)
        if not self.expand:
            flags = tuple(source.mask_flags[number - 1] for number in self.bands)
            return replace(source, bands=bands, mask_flags=flags, dataset_mask=masked)
        masked = masked or bands[0].nodata is not None
        names = bands[0].classes
        notes = ["colours replace the classes, so their names are left out"] if names else []
        return replace(
            source,
            bands=_expanded(bands[0]),
            dataset_mask=masked,
            mask_flags=(),
            min_is_white=False,
            notes=(*source.notes, *notes),
        )

    def lost_alpha(self, band: Band) -> int | None:
        """Return the index in the source of a band's alpha band if that band is not read."""
        kept = band.alpha is None or band.alpha + 1 in self.bands
        return None if kept else band.alpha

    def _renumbered(self, band: Band) -> Band:
        """Return a band whose alpha band is counted among the bands that are read."""
        if band.alpha is None:
            return band
        number = band.alpha + 1
        return replace(band, alpha=self.bands.index(number) if number in self.bands else None)


def colour_table(band: Band) -> npt.NDArray[np.uint8]:
    """Return the colour of every value of a band's dtype.

    Returns:
        (value, channel): red, green and blue, and alpha if any colour except that of the nodata
        value is not opaque.
    """
    table = np.zeros((np.iinfo(band.dtype).max + 1, len(CHANNELS)), dtype=np.uint8)
    table[: len(band.colours)] = band.colours
    visible = np.arange(len(band.colours)) != (-1 if band.nodata is None else band.nodata)
    opaque = (table[: len(band.colours), 3][visible] == 255).all()
    return table[:, :3] if opaque else table


def _expanded(band: Band) -> tuple[Band, ...]:
    """Return the bands that replace a band with a colour table."""
    channels = CHANNELS[: colour_table(band).shape[1]]
    return with_alpha([Band(dtype="uint8", interpretation=channel) for channel in channels])
