"""The bands of a raster that are compared: those that go through the network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rs_superres.errors import InputError
from rs_superres.grid import Window
from rs_superres.options import PixelOptions
from rs_superres.raster import Band, Source
from rs_superres.scene.bands import BandGroup, band_groups, decide, needs_samples
from rs_superres.types import Doubles, Valid, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Bands:
    """The bands of a raster that go through the network, on indices of their own."""

    index: tuple[int, ...]
    """Which of the raster's they are, rising."""
    bands: tuple[Band, ...]
    groups: tuple[BandGroup, ...]
    alpha: tuple[int, ...]
    """Which of the raster's tell where the others hold nothing."""

    @property
    def triplet(self) -> tuple[int, ...]:
        """Red, green and blue; empty where there are none."""
        return next((g.bands for g in self.groups if len(g.bands) == 3), ())

    @property
    def widths(self) -> Doubles:
        """(band,) of the value ranges, digital numbers: the peaks of the metrics."""
        out = np.empty(len(self.bands))
        for group in self.groups:
            out[list(group.bands)] = 2 * group.value_range.half
        return out

    @property
    def lows(self) -> Doubles:
        """(band,) of the value ranges, digital numbers: what counts as black."""
        return self.middles - self.widths / 2

    @property
    def middles(self) -> Doubles:
        """(band,) of the value ranges, digital numbers."""
        out = np.empty(len(self.bands))
        for group in self.groups:
            out[list(group.bands)] = group.value_range.centre
        return out

    @classmethod
    def of(cls, source: Source, value_range: tuple[float, float] | None) -> Bands:
        """Those of an open raster, as the tool decides about them.

        Raises:
            InputError: its bands are of a kind that is not super-resolved.
        """
        description = source.description
        roles = decide(description, PixelOptions())
        sampled = needs_samples(description.bands, value_range)
        samples = list(source.samples()) if sampled else []
        groups = list(band_groups(roles, description.bands, samples, value_range))
        # In the order of the file, whatever the groups': two files are compared band by band.
        index = tuple(sorted(i for group in groups for i in group.bands))
        if not index:
            raise InputError(f"{description.path} has no band that is super-resolved")
        return cls(
            index=index,
            bands=tuple(description.bands[i] for i in index),
            groups=tuple(replace(g, bands=tuple(index.index(i) for i in g.bands)) for g in groups),
            alpha=roles.alpha,
        )

    def read(self, source: Source, window: Window) -> tuple[Values, Valid]:
        """Digital numbers and validity of a window, (band, y, x) each."""
        values, valid = source.read(window)
        seen = (values[list(self.alpha)].astype(np.float64) > 0).all(axis=0)
        return values[list(self.index)], valid[list(self.index)] & seen
