"""The bands of a raster that are compared: those that go through the network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rs_superres.errors import InputError
from rs_superres.grid import Window
from rs_superres.raster import Band, Source, visible
from rs_superres.scene.bands import BandGroup, BandRoles, band_groups, default_groups, needs_samples
from rs_superres.types import Doubles, Valid, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Bands:
    """The bands of a raster that go through the network, counted from 0 among themselves."""

    index: tuple[int, ...]
    """Their indices in the raster, rising."""
    bands: tuple[Band, ...]
    """What the raster says about each band."""
    groups: tuple[BandGroup, ...]
    """The bands that go through the network together, with their value ranges."""

    @property
    def triplet(self) -> tuple[int, ...]:
        """Indices of red, green and blue; empty if there are none."""
        return next((g.bands for g in self.groups if len(g.bands) == 3), ())

    @property
    def widths(self) -> Doubles:
        """(band,) widths of the value ranges, digital numbers; they are the metrics' peaks."""
        widths = np.empty(len(self.bands))
        for group in self.groups:
            widths[list(group.bands)] = 2 * group.value_range.half
        return widths

    @property
    def lows(self) -> Doubles:
        """(band,) low ends of the value ranges, digital numbers; they count as black."""
        return self.middles - self.widths / 2

    @property
    def middles(self) -> Doubles:
        """(band,) middles of the value ranges, digital numbers."""
        middles = np.empty(len(self.bands))
        for group in self.groups:
            middles[list(group.bands)] = group.value_range.centre
        return middles

    @classmethod
    def of(
        cls,
        source: Source,
        value_range: tuple[float, float] | None,
        roles: BandRoles | None = None,
    ) -> Bands:
        """Choose the bands of an open raster, as ``rs-sr upscale`` does.

        Args:
            source: the raster.
            value_range: digital numbers that map to -1 and 1; None to derive them.
            roles: the roles of the bands, all of which are compared; None to compare those that a
                result has if the caller chooses none, and to decide their roles.

        Raises:
            InputError: the raster has no band that goes through the network.
        """
        description = source.description
        if roles is None:
            groups = default_groups(source, value_range)
        else:
            sampled = needs_samples(description.bands, value_range)
            samples = list(source.samples()) if sampled else []
            groups = list(band_groups(roles, description.bands, samples, value_range))
        # In the order of the file, not of the groups: two files are compared band by band.
        index = tuple(sorted(i for group in groups for i in group.bands))
        if not index:
            raise InputError(f"{description.path} has no band that is super-resolved")
        return cls(
            index=index,
            bands=tuple(replace(description.bands[i], alpha=None) for i in index),
            groups=tuple(replace(g, bands=tuple(index.index(i) for i in g.bands)) for g in groups),
        )

    def only(self, band: int) -> Bands:
        """Return one of the bands, with the value range that it has among the others."""
        [group] = [group for group in self.groups if band in group.bands]
        return Bands(
            index=(self.index[band],),
            bands=(self.bands[band],),
            groups=(replace(group, bands=(0,)),),
        )

    def read(self, source: Source, window: Window) -> tuple[Values, Valid]:
        """Read digital numbers and validity of a window, (band, y, x) each.

        Raises:
            RasterError: the raster cannot be read.
        """
        values, valid = source.read(window)
        shown = visible(source.description.bands, values, valid)
        return values[list(self.index)], shown[list(self.index)]
