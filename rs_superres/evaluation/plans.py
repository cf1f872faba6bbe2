"""Decide what an evaluation computes, before anything is upscaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from rs_superres import zoo
from rs_superres._version import __version__
from rs_superres.config import ConsistencyConfig
from rs_superres.errors import InputError
from rs_superres.evaluation.lpips import Lpips
from rs_superres.evaluation.measures import check_packages
from rs_superres.evaluation.pairs import SensorPair, find_pairs
from rs_superres.evaluation.results import BICUBIC
from rs_superres.evaluation.sources import SpoiledSource
from rs_superres.evaluation.spoiling import check_bands
from rs_superres.evaluation.tiles import LEAST_LOW_SIDE, Tile, find_files, find_tiles
from rs_superres.raster import SkippedFile
from rs_superres.scene.recipe import ModelSettings
from rs_superres.system.devices import Precision, resolve_device, resolve_precision

MOST_EXAMPLE_SCALES = 5
"""Scales that the report shows examples of, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """The options of an evaluation."""

    data: tuple[Path, ...] = ()
    """Folders of high-resolution rasters, or single rasters."""
    pairs: tuple[Path, Path] | None = None
    """Folders of low and of high resolution, instead of ``data``."""
    models: tuple[str, ...] = (zoo.DEFAULT,)
    """Names of shipped models, or paths of model folders."""
    scales: tuple[float, ...] = (2.0, 3.0, 4.0, 6.5, 8.0)
    """Factors between low resolution and truth, above 1; no effect with ``pairs``."""
    degradation: ConsistencyConfig | None = None
    """The kernel that makes the low resolution; None for that of the first model's card."""
    spoil: tuple[SpoiledSource, ...] = ()
    """Sources that are evaluated in addition to the clean one; not with ``pairs``."""
    given: bool = False
    """Whether the models are given the true blur and noise of each source; not with ``pairs``."""
    steps: int | None = None
    """Diffusion steps; 0 for the operator alone, None for each model's own number."""
    seeds: int = 1
    """Number of random seeds."""
    samples: int = 1
    """Number of samples that are averaged."""
    ensemble: int = 1
    """Orientations of the source that the operator sees and averages: 1, 2, 4 or 8."""
    consistency: bool = True
    """Whether results are corrected so that they downsample to the low resolution."""
    value_range: tuple[float, float] | None = None
    """Digital numbers that map to -1 and 1; None to derive them per raster."""
    limit: int | None = None
    """Number of files, at most; None for all."""
    lpips: Path | None = None
    """The weights of LPIPS's backbone; None to leave LPIPS out."""
    device: str = "auto"
    """The device, as for ``rs-sr upscale``."""
    precision: Precision = "auto"
    """The precision of the networks, as for ``rs-sr upscale``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPlan:
    """What an evaluation computes."""

    options: EvaluationOptions
    """The options."""
    kernel: ConsistencyConfig
    """The kernel that makes the low resolution."""
    subjects: Sequence[Tile | SensorPair]
    """The tiles or pairs that are compared."""
    skipped: list[SkippedFile]
    """The files that are left out."""
    images: int
    """Number of files that are compared."""
    models: dict[str, ModelSettings] = field(repr=False)
    """The models by name, with their settings."""
    lpips: Lpips | None = field(repr=False)
    """The network of LPIPS, if its backbone is given."""

    @property
    def sources(self) -> list[SpoiledSource]:
        """The clean source, then those that are spoiled."""
        return list(dict.fromkeys((SpoiledSource(), *self.options.spoil)))

    @property
    def example_scales(self) -> list[float]:
        """The scales that the report shows examples of."""
        scales = sorted({s for t in self.subjects for s in t.scales(self.options.scales)})
        indices = np.linspace(0, len(scales) - 1, min(MOST_EXAMPLE_SCALES, len(scales)))
        return [scales[round(i)] for i in indices]

    @property
    def pixels(self) -> int:
        """Output pixels that the models compute, without the examples."""
        runs = sum(
            self.seeds(settings) * settings.samples + (settings.uncertainty and settings.steps > 0)
            for settings in self.models.values()
        )
        return (
            runs
            * len(self.sources)
            * sum(
                subject.window.height
                * subject.window.width
                * len(subject.scales(self.options.scales))
                for subject in self.subjects
            )
        )

    def seeds(self, settings: ModelSettings) -> int:
        """Return the number of seeds for a model: 1 for the operator alone."""
        return self.options.seeds if settings.steps else 1

    def settings(self) -> dict[str, Any]:
        """Return the options and what was decided from them, as plain values."""
        options = self.options
        return {
            "version": __version__,
            "data": [str(path) for path in options.pairs or options.data],
            "protocol": "pairs" if options.pairs else "shrunk",
            "degradation": self.kernel.words(),
            "sources": [source.name for source in self.sources],
            "given": options.given,
            "models": {
                name: {
                    "sha256": settings.model.checksum,
                    "steps": settings.steps,
                    "seeds": self.seeds(settings),
                }
                for name, settings in self.models.items()
            },
            "samples": options.samples,
            "ensemble": options.ensemble,
            "consistency": options.consistency,
            "value_range": options.value_range,
            "limit": options.limit,
            "device": options.device,
            "precision": next(iter(self.models.values())).precision,
            "images": self.images,
            "tiles": len(self.subjects),
        }


def plan(options: EvaluationOptions) -> EvaluationPlan:
    """Decide what an evaluation computes.

    Raises:
        InputError: an option or the data cannot be used.
        MissingPackageError: scikit-image is not installed.
        ModelError: a model or LPIPS's backbone cannot be used.
    """
    _check(options)
    check_packages()
    if options.pairs is None:
        files, passed_over = find_files(options.data, options.limit)
        tiles, skipped = find_tiles(files, options.value_range)
        skipped += passed_over
        subjects: Sequence[Tile | SensorPair] = [t for t in tiles if t.scales(options.scales)]
        if not subjects:
            raise InputError(
                f"every image is too small for {_scales(options)}, expected at least "
                f"{LEAST_LOW_SIDE} low-resolution pixels on each side"
            )
        for tile, source in product(tiles, options.spoil):
            check_bands(source, tile.path, tile.bands)
    else:
        subjects, skipped = find_pairs(*options.pairs, options.limit, options.value_range)
    device = resolve_device(options.device)
    models = {}
    for name in options.models:
        model = zoo.load(name, str(device))
        steps = model.config.steps if options.steps is None else options.steps
        if steps and model.config.is_prior_alone:
            raise InputError(f"steps={steps}, but the model {name} has no denoiser; use steps=0")
        models[name] = ModelSettings(
            model=model,
            steps=steps,
            samples=options.samples if steps else 1,
            ensemble=options.ensemble,
            uncertainty=model.config.predicts_error or (steps > 0 and options.samples > 1),
            consistency=options.consistency,
            precision=resolve_precision(options.precision, device),
            device=device,
        )
    first = next(iter(models.values())).model.config
    return EvaluationPlan(
        options=options,
        kernel=options.degradation or first.consistency,
        subjects=subjects,
        skipped=skipped,
        images=len({subject.image for subject in subjects}),
        models=models,
        lpips=None if options.lpips is None else Lpips.read(options.lpips),
    )


def _check(options: EvaluationOptions) -> None:
    """Refuse options that contradict each other or are out of range.

    Raises:
        InputError: an option cannot be used.
    """
    if not options.data and options.pairs is None:
        raise InputError("neither data= nor pairs= is given, expected one of them")
    if options.data and options.pairs is not None:
        raise InputError("both data= and pairs= are given, expected one of them")
    for name in ("spoil", "given"):
        if getattr(options, name) and options.pairs is not None:
            raise InputError(
                f"{name}= has no effect on pairs=, which come as they are; leave it out"
            )
    if not options.models or len({*options.models}) < len(options.models):
        raise InputError(f"models={','.join(options.models)}, expected each model once")
    if BICUBIC in options.models:
        raise InputError(f"models={','.join(options.models)}: {BICUBIC} is always compared")
    if not options.scales or any(scale <= 1 for scale in options.scales):
        raise InputError(f"{_scales(options)}, expected numbers above 1")
    if options.steps == 0 and options.seeds > 1:
        raise InputError(
            f"seeds={options.seeds} has no effect with steps=0, the operator alone; leave it out"
        )
    if options.steps == 0 and options.samples > 1:
        raise InputError(
            f"samples={options.samples} has no effect with steps=0, the operator alone; "
            "leave it out"
        )


def _scales(options: EvaluationOptions) -> str:
    """Return the scales as the option that was given."""
    return f"scales={','.join(f'{scale:g}' for scale in options.scales)}"
