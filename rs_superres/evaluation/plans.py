"""What an evaluation will compute, decided before anything is enlarged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rs_superres import zoo
from rs_superres._version import __version__
from rs_superres.config import ConsistencyConfig
from rs_superres.errors import InputError
from rs_superres.evaluation.lpips import Lpips
from rs_superres.evaluation.pairs import SensorPair, find_pairs
from rs_superres.evaluation.results import BICUBIC
from rs_superres.evaluation.tiles import LEAST, SkippedFile, Tile, find_files, find_tiles
from rs_superres.scene.recipe import ModelSettings
from rs_superres.system.devices import Precision, resolve_device, resolve_precision

SHOWN = 5
"""Scales of which examples are shown, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """What is asked for."""

    data: tuple[Path, ...] = ()
    """Folders of truths, or files."""
    pairs: tuple[Path, Path] | None = None
    """Folders of low and of high resolution, instead."""
    models: tuple[str, ...] = (zoo.DEFAULT,)
    scales: tuple[float, ...] = (2.0, 3.0, 4.0, 6.5, 8.0)
    degradation: ConsistencyConfig | None = None
    """How low resolution is made; that of the first model's card where None."""
    steps: int | None = None
    """Evaluations of the denoiser; each model's own where None."""
    seeds: int = 1
    """Noise fields that are tried."""
    samples: int = 1
    """Results that are averaged."""
    consistency: bool = True
    value_range: tuple[float, float] | None = None
    limit: int | None = None
    """Files, at most."""
    lpips: Path | None = None
    """The backbone's weights."""
    device: str = "auto"
    precision: Precision = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPlan:
    """What will be computed."""

    options: EvaluationOptions
    kernel: ConsistencyConfig
    subjects: Sequence[Tile | SensorPair]
    skipped: list[SkippedFile]
    images: int
    ways: dict[str, ModelSettings] = field(repr=False)
    lpips: Lpips | None = field(repr=False)

    @property
    def shown(self) -> list[float]:
        """The scales of which examples are shown."""
        scales = sorted({s for t in self.subjects for s in t.scales(self.options.scales)})
        places = np.linspace(0, len(scales) - 1, min(SHOWN, len(scales)))
        return [scales[round(i)] for i in places]

    @property
    def pixels(self) -> int:
        """Output pixels that are enlarged by models, examples apart."""
        runs = sum(self.seeds(w) * w.samples + (w.samples > 1) for w in self.ways.values())
        return runs * sum(
            t.window.height * t.window.width * len(t.scales(self.options.scales))
            for t in self.subjects
        )

    def seeds(self, way: ModelSettings) -> int:
        """Noise fields of a model: one where it draws none."""
        return self.options.seeds if way.steps else 1

    def settings(self) -> dict[str, Any]:
        """What was asked for and decided, by name."""
        given = self.options
        return {
            "version": __version__,
            "data": [str(p) for p in given.pairs or given.data],
            "protocol": "pairs" if given.pairs else "shrunk",
            "degradation": self.kernel.words(),
            "models": {
                name: {"sha256": way.model.checksum, "steps": way.steps, "seeds": self.seeds(way)}
                for name, way in self.ways.items()
            },
            "samples": given.samples,
            "consistency": given.consistency,
            "value_range": given.value_range,
            "limit": given.limit,
            "device": given.device,
            "precision": next(iter(self.ways.values())).precision,
            "images": self.images,
            "tiles": len(self.subjects),
        }


def plan(options: EvaluationOptions) -> EvaluationPlan:
    """Decide what is computed.

    Raises:
        InputError: an option, or data, that cannot be used.
        ModelError: a model that cannot be used.
    """
    _check(options)
    if options.pairs is None:
        files = find_files(options.data, options.limit)
        tiles, skipped = find_tiles(files, options.value_range)
        subjects: Sequence[Tile | SensorPair] = [t for t in tiles if t.scales(options.scales)]
        if not subjects:
            raise InputError(
                f"every image is too small for these scales, expected {LEAST} cells a side"
            )
    else:
        subjects, skipped = find_pairs(*options.pairs, options.limit, options.value_range)
    device = resolve_device(options.device)
    ways = {}
    for name in options.models:
        model = zoo.load(name, str(device))
        steps = model.config.steps if options.steps is None else options.steps
        if steps and model.config.denoiser is None:
            raise InputError(f"{steps} steps, but the model {name} is a prior alone: use --steps 0")
        ways[name] = ModelSettings(
            model=model,
            steps=steps,
            samples=options.samples if steps else 1,
            consistency=options.consistency,
            precision=resolve_precision(options.precision, device),
            device=device,
        )
    first = next(iter(ways.values())).model.config
    return EvaluationPlan(
        options=options,
        kernel=options.degradation or first.consistency,
        subjects=subjects,
        skipped=skipped,
        images=len({t.image for t in subjects}),
        ways=ways,
        lpips=None if options.lpips is None else Lpips.read(options.lpips),
    )


def _check(options: EvaluationOptions) -> None:
    """Refuse what makes no sense.

    Raises:
        InputError: it does not.
    """
    if bool(options.data) == (options.pairs is not None):
        raise InputError("one of --data and --pairs is needed, and not both")
    if len({*options.models}) < len(options.models) or BICUBIC in options.models:
        raise InputError(f"the models {', '.join(options.models)}, expected each once")
    if any(scale <= 1 for scale in options.scales) or not options.scales:
        raise InputError(f"scales {options.scales}, expected numbers above 1")
    if options.steps == 0 and max(options.seeds, options.samples) > 1:
        raise InputError(
            "--steps 0 is the prior alone, which draws nothing: leave out --seeds and --samples"
        )
