"""The configuration of a training run, as frozen dataclasses that are read from TOML."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal

from rs_superres.config import (
    ConsistencyConfig,
    EncoderConfig,
    Kernel,
    ModelConfig,
    OperatorConfig,
    SamplerConfig,
    TextureConfig,
    TileConfig,
    TrainedConfig,
    from_table,
    kernel_words,
    read_toml,
)
from rs_superres.errors import InputError, ModelError

SCALES = (1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 16.0)
"""Scales at which a model stores the constants that depend on the scale."""

Loss = Literal["absolute", "psnr"]
"""The losses that the prior can be trained with."""

BORDER = 2
"""Low-resolution pixels at a crop's border that padding affects; no loss is computed there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """How scenes are split, read and cropped."""

    validation: float = 0.1
    """Share of the area that is held out if no validation folder is given."""
    largest_crop: int = 248
    """Largest side of a crop in pixels. Large scales and small scenes use fewer low-resolution
    pixels."""
    grey: float = 0.15
    """Share of the RGB crops whose bands are shuffled, or replaced by one of them."""
    constant: float = 0.0
    """Share of the crops that are replaced by one of their colours. From them, texture learns to
    draw nothing where there is nothing."""
    cache_gb: float = 4.0
    """Gigabytes of memory for complete scenes; other scenes are read window by window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DegradationConfig:
    """How crops become low resolution: by a kernel, and by what else happens to a source.

    The shares of ``bicubic``, ``area`` and ``gaussian`` add up to 1. All shares are shares of the
    crops. What happens to a crop happens in the order of these fields.
    """

    rescaled: float = 0.0
    """Share of the crops that are cut larger, by a factor of 1 to 2, and shrunk before all else:
    sharper, with less noise, and of other places in a scene."""
    bicubic: float = 1.0
    """Share of the antialiased bicubic kernel (Pillow's)."""
    area: float = 0.0
    """Share of the mean over the area of a low-resolution pixel."""
    gaussian: float = 0.0
    """Share of the Gaussian kernel: a sensor's blur."""
    mtf: tuple[float, float] = (0.1, 0.4)
    """Range of the Gaussian's modulation transfer at Nyquist. That along columns is up to 15 %
    smaller or larger than that along rows."""
    shifted: float = 1.0
    """Share of the batches of which the low-resolution grid has a random sub-pixel shift, if any
    crop has a Gaussian kernel."""
    noise: float = 0.0
    """Largest standard deviation of noise, as a share of the value range. A random part of its
    variance is proportional to the signal, the rest is constant."""
    noisy: float = 0.0
    """Share of the crops with noise."""
    resampled: float = 0.0
    """Share of the crops that are interpolated, linearly or by cubic convolution, at a random
    sub-pixel shift, as when an image is warped."""
    sharpened: float = 0.0
    """Share of the crops that are sharpened by an unsharp mask."""
    sharpening: tuple[float, float] = (0.2, 1.2)
    """Range of the unsharp mask's amount; its Gaussian has 0.5 to 1.5 pixels."""
    compressed: float = 0.0
    """Share of the 8-bit crops that are compressed as JPEG."""
    quality: tuple[float, float] = (70.0, 95.0)
    """Range of the JPEG quality."""

    def __post_init__(self) -> None:
        shares = self.shares.values()
        if abs(sum(shares) - 1) > 1e-9 or min(shares) < 0:
            raise InputError(
                f"the shares of bicubic, area and gaussian are {self.bicubic:g}, {self.area:g} "
                f"and {self.gaussian:g}; none may be below 0, and they must add up to 1"
            )

    @property
    def shares(self) -> dict[Kernel, float]:
        """Share of the crops for each kernel."""
        return {"bicubic": self.bicubic, "area": self.area, "gaussian": self.gaussian}

    @property
    def consistency(self) -> ConsistencyConfig:
        """Consistency for results of the model: with the kernel of most batches."""
        shares = self.shares
        return ConsistencyConfig(
            kernel=max(shares, key=shares.__getitem__),
            mtf=sum(self.mtf) / 2,
            noise=self.noise
            * self.noisy
            / 2,  # the mean: noise is drawn uniformly from 0 to the largest
        )

    def words(self) -> str:
        """Describe the degradation in one line, for a model card."""
        mtf = "{:g} to {:g}".format(*self.mtf)
        parts = [
            f"{kernel_words(k, mtf)} ({share:.0%})" for k, share in self.shares.items() if share
        ]
        if self.rescaled:
            parts.insert(0, f"truth shrunk by up to 2 ({self.rescaled:.0%})")
        if self.noisy:
            parts.append(f"noise up to {self.noise:.1%} of the range ({self.noisy:.0%})")
        if self.resampled:
            parts.append(f"interpolated again ({self.resampled:.0%})")
        if self.sharpened:
            low, high = self.sharpening
            parts.append(f"unsharp mask of {low:.0%} to {high:.0%} ({self.sharpened:.0%})")
        if self.compressed:
            low, high = self.quality
            parts.append(f"JPEG of quality {low:g} to {high:g} ({self.compressed:.0%})")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Settings that both phases have."""

    steps: int
    """Iterations; 0 leaves the phase out."""
    learning_rate: float = 1e-3
    """Highest learning rate, after the warm-up."""
    warmup: int = 200
    """Iterations over which the learning rate rises to its highest value."""
    ema: float = 0.999
    """Decay of the exponential moving average of the weights, an iteration."""
    batch: int = 10
    """Crops in a batch."""
    scales: tuple[float, float] = (1.25, 7.9)
    """Range of the scales; a scale is drawn for each batch, uniform in its logarithm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorPhase(Phase):
    """Settings of the first phase, which trains the neural operator."""

    cells: int = 32
    """Low-resolution pixels on a side of a crop."""
    points: int = 40
    """Rows and columns of each crop on which the loss is computed."""
    loss: Loss = "absolute"
    """Loss: ``absolute`` (mean absolute error) or ``psnr`` (mean PSNR of the crops)."""
    known: float = 0.7
    """Share of the crops for which a source-aware network is given the blur, and for which it is
    given the noise, in both phases. On the others it learns to do without."""
    contexts: Literal["crops", "stored"] = "crops"
    """Galerkin contexts: ``crops`` computes them for each batch, as in the paper, and measures the
    stored ones afterwards. ``stored`` trains with the stored contexts of the model that the run
    starts from and leaves them unchanged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoiserPhase(Phase):
    """Settings of the second phase, which trains the denoiser on the frozen prior."""

    batch: int = 8
    """Crops in a batch."""
    scales: tuple[float, float] = (1.5, 7.9)
    """Range of the scales; a scale is drawn for each batch, uniform in its logarithm."""
    pixels: int = 64
    """Output pixels on a side of a crop."""
    draws: int = 1
    """Noises that are drawn for each crop, each of another strength. Several of them share the work
    of drawing the crop and of computing its prior."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Logging, validation and checkpoints; none of these settings changes the weights."""

    log_every: int = 50
    """Iterations between regular lines of the log."""
    log_seconds: float = 30.0
    """Seconds after which a line is logged even if ``log_every`` iterations are not yet done."""
    validate_every: int = 1000
    """Iterations between validations."""
    checkpoint_seconds: float = 120.0
    """Seconds between checkpoints."""
    prior_share: float = 0.5
    """The prior's share of the training time, if the run has a time limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Configuration of a run; together with the data it determines the model."""

    seed: int = 1
    """Random seed of the weights, the crops and the noise."""
    encoder: EncoderConfig = field(
        default_factory=lambda: EncoderConfig(name="edsr-baseline", channels=48, blocks=16)
    )
    operator: OperatorConfig = field(
        default_factory=lambda: OperatorConfig(width=64, heads=8, hidden=64, scales=SCALES)
    )
    texture: TextureConfig | None = None
    """Networks that draw texture. None for those of the model that the run starts from, or for the
    default ones in a new model."""
    sampler: SamplerConfig = field(default_factory=lambda: SamplerConfig(steps=2))
    tiles: TileConfig = field(default_factory=lambda: TileConfig(size=768, margin=32))
    data: DataConfig = field(default_factory=DataConfig)
    degradation: DegradationConfig = field(default_factory=DegradationConfig)
    prior_phase: PriorPhase = field(default_factory=lambda: PriorPhase(steps=20_000))
    denoiser_phase: DenoiserPhase = field(default_factory=lambda: DenoiserPhase(steps=20_000))
    run: RunConfig = field(default_factory=RunConfig)

    @property
    def scales(self) -> tuple[float, float]:
        """Smallest and largest scale in the prior's training."""
        return self.prior_phase.scales

    @property
    def least_crop(self) -> int:
        """Smallest usable side of a crop in pixels: some of it must lie away from the border."""
        least = (2 * BORDER + 2) * max(self.operator.scales)
        if self.denoiser_phase.steps:
            phase = self.denoiser_phase
            least = max(least, phase.pixels + 2 * BORDER * phase.scales[1])
        return math.ceil(least)

    def model(self, pixel_size: tuple[float, float] | None) -> ModelConfig:
        """Return the configuration of the model that the run trains.

        Args:
            pixel_size: smallest and largest low-resolution pixel in training, metres; None if
                unknown.
        """
        trained = TrainedConfig(
            scales=self.scales, pixel_size=pixel_size, degradation=self.degradation.words()
        )
        shared = {
            f.name: getattr(self, f.name) for f in fields(ModelConfig) if hasattr(self, f.name)
        }
        return ModelConfig(
            kind="scene",
            denoiser=None,
            trained=trained,
            consistency=self.degradation.consistency,
            **shared,
        )

    def continued(self, model: ModelConfig) -> TrainConfig:
        """Return this configuration with the network sizes, sampler and tiles of a model.

        A run may make a network source-aware that was not, and may replace its texture.

        Raises:
            ModelError: the model is an imported paper model.
        """
        if model.kind != "scene":
            raise ModelError(
                "an imported paper model cannot be trained further; start from a model that "
                "rs-sr trained"
            )
        aware = self.encoder.source_aware or model.encoder.source_aware
        return replace(
            self,
            encoder=replace(model.encoder, source_aware=aware),
            operator=model.operator,
            texture=self.texture or model.texture,
            sampler=model.sampler,
            tiles=model.tiles,
        )


TUNING = TrainConfig(
    prior_phase=PriorPhase(
        steps=1_000, learning_rate=1e-4, warmup=50, ema=0.99, loss="psnr", contexts="stored"
    ),
    denoiser_phase=DenoiserPhase(steps=1_000, learning_rate=1e-4, warmup=50, ema=0.99),
    run=RunConfig(validate_every=500),
)
"""Defaults for a run that starts from a model: fewer iterations at a lower learning rate."""


def read_train_config(path: Path) -> TrainConfig:
    """Read the configuration of a run from a TOML file.

    Raises:
        ModelError: the file is missing or not TOML, or a key is unknown, missing or of a wrong
            type.
        InputError: a value is out of its range.
    """
    return from_table(TrainConfig, read_toml(path, "the configuration"), where=path.name)
