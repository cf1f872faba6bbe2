"""An evaluation from end to end: cases, methods, figures, and the examples that are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rs_superres import __version__, zoo
from rs_superres.config import ConsistencyConfig
from rs_superres.errors import InputError
from rs_superres.evaluation.enlarge import Values, Way, enlarged
from rs_superres.evaluation.pairing import Pair, find_pairs
from rs_superres.evaluation.perceptual import Lpips
from rs_superres.evaluation.pictures import Example, example
from rs_superres.evaluation.plain import interpolated
from rs_superres.evaluation.protocol import Case, Skipped, Tile, find_files, find_tiles
from rs_superres.evaluation.reliability import Pool, Reliability
from rs_superres.evaluation.scores import scores
from rs_superres.evaluation.summary import Summary, middle_and_ends, summarised
from rs_superres.inference import Precision, resolve_device, resolve_precision

BICUBIC = "bicubic"

SHOWN = 4
"""Scales of which examples are shown, at most."""

Progress = Callable[[int, int], None]
"""Told how much is done, of how much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
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
class Row:
    """The figures of one result."""

    number: int
    """Of the image."""
    image: str
    scale: float
    method: str
    seed: int
    scores: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Everything that was found."""

    settings: dict[str, Any]
    rows: list[Row]
    reliability: dict[tuple[str, float], Reliability]
    """By method and scale."""
    examples: list[Example]
    skipped: list[Skipped]
    images: int

    @property
    def methods(self) -> list[str]:
        """Bicubic, then the models."""
        return list(dict.fromkeys(row.method for row in self.rows))

    @property
    def scales(self) -> list[float]:
        """Those that have figures, rising."""
        return sorted({row.scale for row in self.rows})

    def figures(self, method: str, scale: float, metric: str) -> dict[int, list[float]]:
        """By image, a figure a seed."""
        found: dict[int, list[float]] = {}
        for row in self.rows:
            if row.method == method and row.scale == scale:
                found.setdefault(row.number, []).append(row.scores.get(metric, np.nan))
        return found

    def summary(self, method: str, scale: float, metric: str) -> Summary | None:
        """Over the images."""
        figures = list(self.figures(method, scale, metric).values())
        return summarised(np.array(figures)) if figures else None

    def gains(self, method: str, scale: float, metric: str) -> dict[int, list[float]]:
        """What a method has over bicubic, image by image."""
        plain = self.figures(BICUBIC, scale, metric)
        return {
            number: [figure - plain[number][0] for figure in figures]
            for number, figures in self.figures(method, scale, metric).items()
        }

    def gain(self, method: str, scale: float, metric: str) -> Summary | None:
        """The same over the images, whose differences are taken one by one."""
        gains = list(self.gains(method, scale, metric).values())
        return summarised(np.array(gains)) if gains else None


@dataclass(slots=True)
class _Work:
    """Counts what is done."""

    total: int
    progress: Progress | None
    done: int = 0

    def add(self, pixels: int) -> None:
        """So many more pixels were enlarged."""
        self.done += pixels
        if self.progress is not None:
            self.progress(min(self.done, self.total), self.total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be computed."""

    options: Options
    kernel: ConsistencyConfig
    subjects: Sequence[Tile | Pair]
    skipped: list[Skipped]
    images: int
    ways: dict[str, Way] = field(repr=False)
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

    def seeds(self, way: Way) -> int:
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


def plan(options: Options) -> Plan:
    """Decide what is computed.

    Raises:
        InputError: an option, or data, that cannot be used.
        ModelError: a model that cannot be used.
    """
    _check(options)
    if options.pairs is None:
        files = find_files(options.data, options.limit)
        tiles, skipped = find_tiles(files, options.value_range)
        subjects: Sequence[Tile | Pair] = [t for t in tiles if t.scales(options.scales)]
        if not subjects:
            raise InputError("every image is too small for these scales, expected 12 cells a side")
    else:
        subjects, skipped = find_pairs(*options.pairs, options.limit, options.value_range)
    device = resolve_device(options.device)
    ways = {}
    for name in options.models:
        model = zoo.load(name, str(device))
        steps = model.config.steps if options.steps is None else options.steps
        if steps and model.config.denoiser is None:
            raise InputError(f"{steps} steps, but the model {name} is a prior alone: use --steps 0")
        ways[name] = Way(
            model=model,
            steps=steps,
            samples=options.samples if steps else 1,
            consistency=options.consistency,
            precision=resolve_precision(options.precision, device),
        )
    first = next(iter(ways.values())).model.config
    return Plan(
        options=options,
        kernel=options.degradation or first.consistency,
        subjects=subjects,
        skipped=skipped,
        images=len({t.path if isinstance(t, Tile) else t.high for t in subjects}),
        ways=ways,
        lpips=None if options.lpips is None else Lpips.read(options.lpips),
    )


def _check(options: Options) -> None:
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


def run(decided: Plan, progress: Progress | None = None) -> Evaluation:
    """Evaluate.

    Raises:
        RasterError: a raster cannot be read.
    """
    options, rows = decided.options, []
    pools: dict[tuple[str, float], Pool] = {}
    work = _Work(decided.pixels, progress)
    for number, subject in enumerate(decided.subjects):
        for scale in subject.scales(options.scales):
            case = subject.case(scale, decided.kernel)
            if not case.valid.any():
                continue
            plain = interpolated(case)
            found = [(BICUBIC, 0, plain)]
            found += _made(decided, case, pools, work)
            rows += [
                Row(number=number, image=case.name, scale=scale, method=method, seed=seed,
                    scores=scores(case, image, plain, decided.lpips))
                for method, seed, image in found
            ]  # fmt: skip
    found_out = Evaluation(
        settings=decided.settings(),
        rows=rows,
        reliability={key: pool.judged() for key, pool in pools.items()},
        examples=[],
        skipped=decided.skipped,
        images=decided.images,
    )
    found_out.examples.extend(_examples(decided, found_out))
    return found_out


def _made(
    decided: Plan, case: Case, pools: dict[tuple[str, float], Pool], work: _Work
) -> Iterator[tuple[str, int, Values]]:
    """The models' results of a case: method, seed and (band, y, x)."""
    for name, way in decided.ways.items():
        for seed in range(decided.seeds(way)):
            image, spread = enlarged(case.low, case.zoom, _seeded(way, seed))
            work.add(case.pixels * way.samples)
            if spread is not None and seed == 0:
                prior, _ = enlarged(case.low, case.zoom, _prior(way))
                work.add(case.pixels)
                pool = pools.setdefault((name, case.scale), Pool())
                pool.add(case, image, spread.astype(np.float64), prior)
            yield name, seed, image


def _seeded(way: Way, seed: int) -> Way:
    """A way with another noise field."""
    return Way(
        model=way.model,
        steps=way.steps,
        seed=seed,
        samples=way.samples,
        consistency=way.consistency,
        precision=way.precision,
    )


def _prior(way: Way) -> Way:
    """The same model's operator alone."""
    return Way(
        model=way.model, steps=0, consistency=way.consistency, precision=way.precision
    )


def _examples(decided: Plan, found: Evaluation) -> Iterator[Example]:
    """The best, the median and the worst image at some scales, by the first model's gain."""
    judge = next(iter(decided.ways))
    for scale in decided.shown:
        gains = found.gains(judge, scale, "psnr")
        numbers = list(gains)
        chosen = middle_and_ends([float(np.mean(g)) for g in gains.values()])
        for kind, place in chosen.items():
            number = numbers[place]
            case = decided.subjects[number].case(scale, decided.kernel)
            images = {BICUBIC: interpolated(case)}
            for name, way in decided.ways.items():
                images[name] = enlarged(case.low, case.zoom, way)[0]
            told = {m: found.figures(m, scale, "psnr")[number][0] for m in images}
            yield example(kind, case, images, told)
