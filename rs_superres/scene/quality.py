"""Blur and noise of a source: as the caller says, or as the model estimates them.

They are decided once for a scene, from sampled windows of it, so that all cells use the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from rs_superres.image.radiometry import ValueRange
from rs_superres.nets.source import Estimator
from rs_superres.raster import Band, Sampled, visible
from rs_superres.scene.bands import BandGroup
from rs_superres.types import Floats
from rs_superres.zoo.sensors import Sensor, blur_between

MOST_WINDOWS = 64
"""Largest number of sampled windows that blur and noise are estimated from."""

SMALLEST = 24
"""Smallest side of a window that they are estimated from, source pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRule:
    """How blur and noise of a source are found."""

    mtf: float | None = None
    """The modulation transfer that the caller gives; None to estimate it, if possible."""
    sensor: Sensor | None = None
    """The sensor that the caller names, whose bands have a known modulation transfer."""
    scale: float = 1.0
    """The factor between source and result pixels, for a sensor."""
    noise: float | None = None
    """The standard deviation that the caller gives, digital numbers; None to estimate it."""
    estimator: Estimator | None = None
    """The model's estimator; None if it has none, or nothing is to be estimated."""

    @property
    def needs_samples(self) -> bool:
        """Whether :meth:`apply` needs samples of the source."""
        return self.estimator is not None and (
            (self.mtf is None and self.sensor is None) or self.noise is None
        )

    def apply(
        self, groups: Iterable[BandGroup], bands: Sequence[Band], samples: Sequence[Sampled]
    ) -> tuple[BandGroup, ...]:
        """Return band groups with blur and noise, as far as they are known.

        Args:
            groups: the groups of a scene.
            bands: the bands of the result.
            samples: digital numbers and validity, (band, y, x) each, of windows of the source; used
                only if :attr:`needs_samples`.
        """
        if self.needs_samples:
            samples = [(values, visible(bands, values, valid)) for values, valid in samples]
        return tuple(self._described(group, bands, samples) for group in groups)

    def _described(
        self, group: BandGroup, bands: Sequence[Band], samples: Sequence[Sampled]
    ) -> BandGroup:
        """Return a group with what the caller says, and estimates of what the caller omits."""
        mtf = self.mtf
        if self.sensor is not None:
            members = [bands[i] for i in group.bands]
            found = [self.sensor.mtf(band.description, band.interpretation) for band in members]
            mtf = _rounded(blur_between(sum(found) / len(found), self.scale))
        known = replace(group, mtf=mtf, noise=self.noise)
        windows = _windows(group, samples) if self.needs_samples else []
        if not windows or self.estimator is None:
            return known
        device = next(self.estimator.parameters()).device
        quality = self.estimator.pooled(
            [torch.from_numpy(window)[None].to(device) for window in windows]
        )
        assert quality.mtf is not None  # noqa: S101 (for type checkers)
        assert quality.noise is not None  # noqa: S101
        return replace(
            known,
            mtf=_rounded(quality.mtf) if mtf is None else mtf,
            noise=(
                _rounded(quality.noise * group.value_range.half)
                if self.noise is None
                else self.noise
            ),
            estimated=(mtf is None, self.noise is None),
        )


def _windows(group: BandGroup, samples: Sequence[Sampled]) -> list[Floats]:
    """Return the network values of windows without holes, (3, y, x) each, spread over a scene."""
    index = list(group.bands)
    complete = [
        values[index]
        for values, valid in samples
        if min(values.shape[1:]) >= SMALLEST and valid[index].all()
    ]
    stride = max(1, -(-len(complete) // MOST_WINDOWS))
    return [_network_input(values, group.value_range) for values in complete[::stride]]


def _network_input(values: np.ndarray, value_range: ValueRange) -> Floats:
    """Return (3, y, x) network values of one band or three."""
    image = value_range.to_network(values)
    return np.ascontiguousarray(image if len(image) == 3 else image[[0, 0, 0]])


def _rounded(value: float) -> float:
    """Round to two significant digits: rounding errors of a machine must not change a result."""
    return float(f"{value:.2g}") if math.isfinite(value) else value
