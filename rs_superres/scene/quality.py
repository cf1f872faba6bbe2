"""Blur and noise of a source: given by the caller, known of its sensor, or estimated by the model.

They are decided once for a scene, from sampled windows of it, so that all cells use the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch

from rs_superres.nets.build import SceneNetwork
from rs_superres.nets.source import Estimator
from rs_superres.raster import Band, Sampled, colour_of, number_of, visible
from rs_superres.scene.bands import BandGroup, as_triplet
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
        """Return a group with what the caller gives, and estimates of what the caller omits."""
        mtf, noise = self.mtf, self.noise
        if self.sensor is not None:
            members = [bands[i] for i in group.bands]
            found = [self.sensor.mtf(number_of(band), colour_of(band)) for band in members]
            scale = self.scale * members[0].factor
            mtf = _rounded(blur_between(sum(found) / len(found), scale))
        estimated = mtf is None, noise is None
        factor = bands[group.bands[0]].factor
        windows = _windows(group, samples, factor) if any(estimated) else []
        if not windows or self.estimator is None:
            return replace(group, mtf=mtf, noise=noise)
        device = next(self.estimator.parameters()).device
        images = [torch.tensor(window, device=device)[None] for window in windows]
        found_mtf, found_noise = self.estimator.pooled(images)
        if mtf is None:
            mtf = _rounded(found_mtf)
        if noise is None:
            noise = _rounded(found_noise * group.value_range.half)
        return replace(group, mtf=mtf, noise=noise, estimated=estimated)


def estimator_of(network: torch.nn.Module) -> Estimator | None:
    """Return the part of a network that estimates blur and noise; None if it has none."""
    return network.prior.estimator if isinstance(network, SceneNetwork) else None


def _windows(group: BandGroup, samples: Sequence[Sampled], factor: int) -> list[Floats]:
    """Return the network values of windows without holes, (3, y, x) each, spread over a scene.

    Args:
        group: the bands.
        samples: digital numbers and validity of windows of the source.
        factor: source pixels along a side of the bands' own pixels, of which each is taken once.
    """
    index = list(group.bands)
    complete = [
        values[index, ::factor, ::factor]
        for values, valid in samples
        if min(values.shape[1:]) >= SMALLEST * factor and valid[index].all()
    ]
    stride = max(1, -(-len(complete) // MOST_WINDOWS))
    return [as_triplet(group.value_range.to_network(v)) for v in complete[::stride]]


def _rounded(value: float) -> float:
    """Round to two significant digits: rounding errors of a machine must not change a result."""
    return float(f"{value:.2g}") if math.isfinite(value) else value
