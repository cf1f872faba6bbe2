"""The recipe of a cell: everything that determines its pixels, except the source's values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from rs_superres.config import ConsistencyConfig, SourceQuality
from rs_superres.grid import Lattice, Zoom
from rs_superres.image import consistency, limits
from rs_superres.image.degradation import kernel_mtf
from rs_superres.image.limits import LOCAL, Limits
from rs_superres.raster import Band, Sampled
from rs_superres.raster.metadata import nodata_of
from rs_superres.scene.bands import BandGroup, BandRoles, band_groups, needs_samples
from rs_superres.scene.inference import Inference, prepare
from rs_superres.scene.quality import QualityRule, estimator_of
from rs_superres.system.devices import ComputeSettings, Precision
from rs_superres.vector import Area
from rs_superres.zoo import Model, Sensor

TOLERANCE = 2.0
"""Difference between downsampled result and source that may remain, in deviations of the noise."""

SHARPEST_GAUSSIAN = 0.5
"""Modulation transfer above which a source was not made by a Gaussian, but by a kernel such as the
card's, which passes as much without aliasing."""

SURELY_BLURRED = 0.3
"""Largest estimated modulation transfer that is used: a wrong one costs most if the source is
sharp."""

SHARPENED = 1.0
"""Modulation transfer above which a source was sharpened, by an unknown filter. A correction by any
kernel would put the sharpening back into the result."""

UNCERTAINTY_WIDTH = 0.5
"""Standard deviation, in source pixels, of the Gaussian over which variances are averaged.

The variance of a few samples at a single pixel is itself random: a map of it looks like noise.
Wider Gaussians than this one rank the errors worse; docs/experiments.md has the numbers.
"""

UNCERTAINTY_REACH = 3.0
"""Distance at which that Gaussian ends, in its standard deviations."""


def _averaged(zoom: Zoom) -> int:
    """Return the distance in output pixels over which variances are averaged."""
    finest = min(zoom.rows.step, zoom.columns.step)
    return math.ceil(UNCERTAINTY_REACH * UNCERTAINTY_WIDTH / finest)


def source_kernel(card_kernel: ConsistencyConfig, mtf: float | None) -> ConsistencyConfig:
    """Return the kernel that makes a source from a result.

    Args:
        card_kernel: the kernel on the model's card.
        mtf: modulation transfer from result to source at Nyquist; None if unknown.
    """
    if mtf is None or mtf > SHARPEST_GAUSSIAN:
        return card_kernel
    return replace(card_kernel, kernel="gaussian", mtf=mtf)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRecipe:
    """Everything that determines the pixels of a cell, except the source's values."""

    zoom: Zoom
    """The grids of source and output, and the mapping between them."""
    lattice: Lattice
    """The cells that the output grid is divided into."""
    bands: tuple[Band, ...]
    """The bands of the result, which are the selected bands of the source."""
    groups: tuple[BandGroup, ...]
    """The bands that go through the network, in groups."""
    nearest_bands: tuple[int, ...] = ()
    """Indices of the bands that are resampled by nearest neighbour."""
    linear_bands: tuple[int, ...] = ()
    """Indices of the bands that are interpolated linearly."""
    inference: Inference
    """The network, prepared for the scale."""
    coarser: Mapping[int, tuple[Zoom, Inference]] = field(default_factory=dict)
    """For bands with larger pixels, by their :attr:`Band.factor`: the mapping from these pixels to
    the output, and the network, prepared for its scale."""
    seed: int
    """Random seed of the diffusion noise."""
    masked: bool
    """True if the result has a mask."""
    area: Area | None = None
    """The area of interest; pixels outside are invalid. None for the entire output."""
    consistency: bool = False
    """True if the result is corrected so that it downsamples to its source by ``kernel``, unless
    the source was sharpened; see :meth:`corrects`."""
    limits: Limits | None = None
    """How far the result may leave the range of its source; None for no limits."""
    value_range: tuple[float, float] | None = None
    """The value range that the caller gives; None to find one for each band group."""
    quality: QualityRule = field(default_factory=QualityRule)
    """How blur and noise of the source are found; the groups hold them once they are."""
    card_kernel: ConsistencyConfig = field(default_factory=ConsistencyConfig)
    """The kernel that makes a source from a result where its blur is unknown."""
    samples: int = 1
    """Number of samples to draw and average."""
    uncertainty_factor: float | None = None
    """Factor on the standard deviation of the result; None if no uncertainty is written."""

    def on_grid(self, factor: int) -> CellRecipe:
        """Return the recipe on the grid of pixels that cover so many source pixels along a side."""
        if factor == 1:
            return self
        zoom, inference = self.coarser[factor]
        return replace(self, zoom=zoom, inference=inference)

    def factor(self, group: BandGroup) -> int:
        """Return how many source pixels along a side the pixels of a group's bands cover."""
        return self.bands[group.bands[0]].factor

    @property
    def dtype(self) -> str:
        """NumPy name of the dtype that source and result have."""
        return self.bands[0].dtype

    @property
    def averaged_margin(self) -> int:
        """Output pixels around a cell whose variances are averaged with those inside."""
        if self.uncertainty_factor is None:
            return 0
        return min(_averaged(self.zoom), self.inference.valid_margin)

    @property
    def has_alpha(self) -> bool:
        """Whether an alpha band says how opaque the pixels of others are."""
        return any(band.alpha is not None for band in self.bands)

    @property
    def needs_samples(self) -> bool:
        """Whether the band groups depend on samples of the source."""
        return self.quality.needs_samples or needs_samples(self.bands, self.value_range)

    def find_groups(self, roles: BandRoles, samples: Sequence[Sampled]) -> tuple[BandGroup, ...]:
        """Find the band groups of a scene, with value ranges, blur and noise.

        Args:
            roles: the roles of the bands.
            samples: digital numbers and validity, (band, y, x) each, of windows of the source; used
                only if :attr:`needs_samples`.

        Raises:
            InputError: the low end of the given value range is not below its high end.
        """
        groups = band_groups(roles, self.bands, samples, self.value_range)
        return self.quality.apply(groups, self.bands, samples)

    def kernel(self, group: BandGroup) -> ConsistencyConfig:
        """Return the kernel that makes a source from a result, whether or not it is corrected.

        Args:
            group: the bands of the source.
        """
        return source_kernel(self.card_kernel, self._blur(group))

    @staticmethod
    def _blur(group: BandGroup) -> float | None:
        """Return the modulation transfer that is given, or an estimate if it is clear; or None."""
        clear = group.mtf is not None and group.mtf <= SURELY_BLURRED
        return group.mtf if clear or not group.estimated[0] else None

    def corrects(self, group: BandGroup) -> bool:
        """Return whether the result is corrected so that it downsamples to its source.

        Args:
            group: the bands that are corrected.
        """
        mtf = self._blur(group)
        return self.consistency and (mtf is None or mtf <= SHARPENED)

    def seen(self, group: BandGroup) -> SourceQuality:
        """Return blur and noise of a source as the prior takes them.

        An estimated blur is uncertain, and a wrong one costs more than none. If it is clear that
        the source is blurred, the prior sees for itself how much; otherwise it takes the source for
        one that the kernel on the card made (docs/experiments.md, 2026-11-29).

        Args:
            group: the bands of the source.
        """
        mtf, noise = self._blur(group), group.noise
        if group.estimated[0]:
            scale = self.on_grid(self.factor(group)).zoom.scale
            made = float(f"{kernel_mtf(self.card_kernel, scale):.2g}")
            mtf = made if mtf is None else None
        return SourceQuality(
            mtf=mtf, noise=None if noise is None else noise / group.value_range.half
        )

    def tolerance(self, group: BandGroup) -> float:
        """Return the difference that the correction may leave, in digital numbers.

        Args:
            group: the bands that are corrected.
        """
        if group.noise is not None:
            return TOLERANCE * group.noise
        return self.card_kernel.noise * 2 * group.value_range.half

    @property
    def nodata(self) -> float | None:
        """The nodata value of all bands of the result; None if it has none."""
        return nodata_of(self.bands)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """A model and the settings with which it upscales."""

    model: Model
    """The loaded model."""
    steps: int
    """Evaluations of the denoiser for each sample; 0 for the neural operator alone."""
    seed: int = 0
    """Random seed of the diffusion noise."""
    samples: int = 1
    """Number of samples to draw and average."""
    ensemble: int = 1
    """Orientations of the source that the operator sees and averages."""
    uncertainty: bool = False
    """True if the expected error is computed too."""
    consistency: bool = True
    """True if the result is corrected so that it downsamples to its source."""
    sensor: Sensor | None = None
    """The sensor of the source; None if the caller names none."""
    mtf: float | None = None
    """Modulation transfer from result to source at the source's Nyquist frequency; None to estimate
    it, or for the kernel on the model's card if the model cannot."""
    noise: float | None = None
    """Standard deviation of the source's noise, digital numbers; None to estimate it, or for that
    of the card if the model cannot."""
    limits: Limits | None = LOCAL
    """How far the result may leave the range of its source; None for no limits."""
    precision: Precision
    """The number format that the networks compute in."""
    device: torch.device
    """The device that the networks compute on."""

    def quality(self, scale: float) -> QualityRule:
        """Return how blur and noise of a source are found.

        Args:
            scale: the factor between source and result pixels.
        """
        return QualityRule(
            mtf=self.mtf,
            sensor=self.sensor,
            scale=scale,
            noise=self.noise,
            estimator=estimator_of(self.model.network),
        )

    def recipe(self, zoom: Zoom, bands: tuple[Band, ...]) -> CellRecipe:
        """Create the recipe for a scene, without band groups, mask and area.

        The caller adds these with :func:`dataclasses.replace`.

        Args:
            zoom: the grids of source and output.
            bands: the bands of the result.

        Raises:
            InputError: the model does not take this number of steps.
        """
        config = self.model.config
        zooms = {factor: zoom.coarser(factor) for factor in {b.factor for b in bands} - {1}}
        return CellRecipe(
            zoom=zoom,
            lattice=Lattice.over(zoom.output.shape, config.tiles.size),
            bands=bands,
            groups=(),
            inference=self._prepared(zoom),
            coarser={factor: (z, self._prepared(z)) for factor, z in zooms.items()},
            seed=self.seed,
            masked=False,
            consistency=self.consistency,
            quality=self.quality(zoom.scale),
            limits=self.limits,
            card_kernel=config.consistency,
            samples=self.samples,
            uncertainty_factor=config.sampler.uncertainty_factor if self.uncertainty else None,
        )

    def _prepared(self, zoom: Zoom) -> Inference:
        """Return the network, prepared for a scale and for the corrections of its results."""
        margin = consistency.reach(zoom) if self.consistency else 0
        if self.limits is not None:
            margin += limits.reach(zoom)
        if self.samples > 1 or self.uncertainty:
            margin += _averaged(zoom)
        compute = ComputeSettings(
            steps=self.steps,
            ensemble=self.ensemble,
            uncertainty=self.uncertainty,
            device=self.device,
            precision=self.precision,
            extra_margin=margin,
        )
        return prepare(self.model.config, self.model.network, zoom, compute)
