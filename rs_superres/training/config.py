"""What a training run does, as frozen values to and from TOML."""

from __future__ import annotations

import math
import tomllib
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
    TileConfig,
    TrainedConfig,
    UNetConfig,
    from_table,
    kernel_words,
)
from rs_superres.errors import InputError, ModelError

SCALES = (1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 16.0)
"""Magnifications at which a model stores what depends on the scale."""

Loss = Literal["absolute", "psnr"]
"""What the prior's training minimises."""

BORDER = 2
"""Low-resolution cells at a crop's border whose features are spoiled by padding: not trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """How scenes are read."""

    validation: float = 0.1
    """Share of the area that is held out, where no validation folder is given."""
    largest_crop: int = 248
    """Pixels of a crop's side at most: greater scales, and smaller scenes, take fewer cells."""
    grey: float = 0.15
    """How often a triplet's bands are shuffled, or one of them repeated."""
    cache_gb: float = 4.0
    """Memory for scenes that are kept whole; the others are read window by window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DegradationConfig:
    """How low resolution is made; shares of the batches, which add up to one."""

    bicubic: float = 1.0
    """Antialiased bicubic (Pillow's)."""
    area: float = 0.0
    """Mean of the area of a cell."""
    gaussian: float = 0.0
    """A sensor's blur, its cells at a random sub-pixel phase."""
    mtf: tuple[float, float] = (0.1, 0.4)
    """The sensor's modulation transfer at Nyquist, drawn between the two."""
    noise: float = 0.0
    """Greatest deviation of white noise, as a share of the value range."""
    noisy: float = 0.0
    """Share of the batches that have noise."""
    compressed: float = 0.0
    """Share of the crops that go through JPEG (8-bit ones)."""
    quality: tuple[float, float] = (70.0, 95.0)
    """JPEG's quality, drawn between the two."""

    def __post_init__(self) -> None:
        shares = self.shares.values()
        if abs(sum(shares) - 1) > 1e-9 or min(shares) < 0:
            raise InputError(
                f"the shares of bicubic, area and gaussian are {self.bicubic:g}, {self.area:g} "
                f"and {self.gaussian:g}, expected none below 0 and 1 in all"
            )

    @property
    def shares(self) -> dict[Kernel, float]:
        """Of each kernel."""
        return {"bicubic": self.bicubic, "area": self.area, "gaussian": self.gaussian}

    @property
    def consistency(self) -> ConsistencyConfig:
        """What brings results of the model back to their source: the kernel of most batches."""
        shares = self.shares
        return ConsistencyConfig(
            kernel=max(shares, key=shares.__getitem__),
            mtf=sum(self.mtf) / 2,
            noise=self.noise * self.noisy / 2,  # its mean: drawn evenly up to the greatest
        )

    def words(self) -> str:
        """One line for a model card."""
        mtf = "{:g} to {:g}".format(*self.mtf)
        parts = [
            f"{kernel_words(k, mtf)} ({share:.0%})" for k, share in self.shares.items() if share
        ]
        if self.noisy:
            parts.append(f"noise up to {self.noise:.1%} of the range ({self.noisy:.0%})")
        if self.compressed:
            low, high = self.quality
            parts.append(f"JPEG of quality {low:g} to {high:g} ({self.compressed:.0%})")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What both phases are told."""

    steps: int
    """Iterations; none where 0."""
    learning_rate: float = 1e-3
    """The highest."""
    warmup: int = 200
    """Iterations over which it rises."""
    ema: float = 0.999
    """How slowly the averaged weights follow."""
    batch: int = 10
    """Crops."""
    scales: tuple[float, float] = (1.25, 7.9)
    """Magnifications, drawn evenly in their logarithm, one a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorPhase(Phase):
    """The first phase: the neural operator."""

    cells: int = 32
    """Low-resolution pixels of a crop's side."""
    points: int = 40
    """Rows, and columns, of each crop that are compared."""
    loss: Loss = "absolute"
    """Error that falls: ``absolute`` (L1, a median) or ``psnr`` (each crop's PSNR, a mean)."""
    contexts: Literal["crops", "stored"] = "crops"
    """Galerkin contexts: ``crops`` for those of each batch, as the paper trains, and the stored
    ones measured afterwards; ``stored`` for those that the model holds and is used with, which then
    stay as they are: to go on from a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoiserPhase(Phase):
    """The second phase: the denoiser on the frozen prior."""

    batch: int = 8
    """Crops."""
    scales: tuple[float, float] = (1.5, 7.9)
    """Magnifications, drawn evenly in their logarithm, one a batch."""
    pixels: int = 64
    """Output pixels of a crop's side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """How the run goes along; none of it changes what is learnt."""

    log_every: int = 50
    """Iterations between lines of the log."""
    validate_every: int = 1000
    """Iterations between validations."""
    checkpoint_seconds: float = 120.0
    """Seconds between checkpoints."""
    prior_share: float = 0.5
    """The prior's share of ``--max-time``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A whole run: with the data and the seed it says everything about a model."""

    seed: int = 1
    """Names all chance of the run."""
    encoder: EncoderConfig = field(
        default_factory=lambda: EncoderConfig(name="edsr-baseline", channels=48, blocks=16)
    )
    operator: OperatorConfig = field(
        default_factory=lambda: OperatorConfig(width=64, heads=8, hidden=64, scales=SCALES)
    )
    denoiser: UNetConfig | None = field(
        default_factory=lambda: UNetConfig(channels=48, multipliers=(1, 2), conditions=2, patch=2)
    )
    sampler: SamplerConfig = field(
        default_factory=lambda: SamplerConfig(steps=2, sigma_max=2.5, sigma_min=0.5)
    )
    tiles: TileConfig = field(default_factory=lambda: TileConfig(size=768, margin=32))
    data: DataConfig = field(default_factory=DataConfig)
    degradation: DegradationConfig = field(default_factory=DegradationConfig)
    prior_phase: PriorPhase = field(default_factory=lambda: PriorPhase(steps=20_000))
    denoiser_phase: DenoiserPhase = field(default_factory=lambda: DenoiserPhase(steps=20_000))
    run: RunConfig = field(default_factory=RunConfig)

    @property
    def scales(self) -> tuple[float, float]:
        """Least and greatest magnification of the prior's training."""
        return self.prior_phase.scales

    @property
    def least_crop(self) -> int:
        """Pixels of a side that a crop needs for something to lie away from its border."""
        cells = 2 * BORDER + 2
        least = cells * max(self.operator.scales)
        if self.denoiser is not None and self.denoiser_phase.steps:
            phase = self.denoiser_phase
            least = max(least, phase.pixels + 2 * BORDER * phase.scales[1])
        return math.ceil(least)

    def model(self, pixel_size: tuple[float, float] | None) -> ModelConfig:
        """The model that the run makes.

        Args:
            pixel_size: least and greatest size of a low-resolution pixel in training, metres.
        """
        trained = TrainedConfig(
            scales=self.scales, pixel_size=pixel_size, degradation=self.degradation.words()
        )
        shared = {
            f.name: getattr(self, f.name) for f in fields(ModelConfig) if hasattr(self, f.name)
        }
        return ModelConfig(
            kind="scene", trained=trained, consistency=self.degradation.consistency, **shared
        )

    def continued(self, model: ModelConfig) -> TrainConfig:
        """This run on the sizes of an existing model.

        Raises:
            ModelError: the model is not of the shipped kind.
        """
        if model.kind != "scene":
            raise ModelError("an imported paper model cannot be trained on, expected our own kind")
        return replace(
            self,
            encoder=model.encoder,
            operator=model.operator,
            denoiser=model.denoiser,
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
"""From a model that has learnt already: gentler steps, and fewer."""


def read_train_config(path: Path) -> TrainConfig:
    """Read a run's configuration.

    Raises:
        ModelError: not there, not TOML, or an unknown, missing or ill-typed key.
        InputError: a value out of its range.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"cannot read the configuration {path}: {error}") from error
    return from_table(TrainConfig, table, where=path.name)
