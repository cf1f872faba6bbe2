"""Run an evaluation: score every case by every method, and choose the examples."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from rs_superres.errors import InputError
from rs_superres.evaluation.pairs import SensorPair
from rs_superres.evaluation.pictures import Example, make_example
from rs_superres.evaluation.plans import EvaluationPlan
from rs_superres.evaluation.protocol import Case, interpolate
from rs_superres.evaluation.reliability import PixelPool
from rs_superres.evaluation.results import BICUBIC, Evaluation, Row, best_median_worst
from rs_superres.evaluation.scores import scores
from rs_superres.evaluation.sources import SpoiledSource
from rs_superres.evaluation.spoiling import spoil, with_quality
from rs_superres.evaluation.tiles import Tile
from rs_superres.scene.image import upscale_onto_grid
from rs_superres.scene.recipe import ModelSettings
from rs_superres.system.progress import Progress, ProgressOption, shown_progress
from rs_superres.types import Values

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Work:
    """Count the finished output pixels and report them."""

    total: int
    progress: Progress | None
    done: int = 0

    def add(self, pixels: int) -> None:
        """Count more finished pixels."""
        self.done += pixels
        if self.progress is not None:
            # The total is an estimate: crops and cases without valid pixels reduce the work.
            self.progress(min(self.done, self.total - 1), self.total)

    def finish(self) -> None:
        """Report that everything is finished."""
        if self.progress is not None:
            self.progress(self.total, self.total)


def run(plan: EvaluationPlan, progress: ProgressOption = None) -> Evaluation:
    """Run an evaluation.

    Args:
        plan: what to compute.
        progress: called after each result, with the numbers of finished output pixels and of all;
            or whether to show a bar. None shows one in a Jupyter notebook.

    Raises:
        RasterError: a raster cannot be read.
        InputError: no pixel can be compared.
    """
    with shown_progress(progress, "eval", unit="px", total=plan.pixels) as shown:
        return _run(plan, _Work(plan.pixels, shown))


def _run(plan: EvaluationPlan, work: _Work) -> Evaluation:
    """Run an evaluation; see :func:`run`.

    Args:
        plan: what to compute.
        work: the progress, updated.
    """
    rows: list[Row] = []
    pools: dict[tuple[str, float, str], PixelPool] = {}
    for subject in plan.subjects:
        for scale, source in product(subject.scales(plan.options.scales), plan.sources):
            case = _case(plan, subject, scale, source)
            if not case.valid.any():
                logger.debug("%s at x%g is left out: no pixel is valid", case.name, scale)
                continue
            bicubic = interpolate(case)
            for method, seed, image in _results(plan, case, source, bicubic, pools, work):
                metrics = scores(case, image, bicubic, plan.lpips)
                logger.debug(
                    "%s at x%g, %s, by %s, seed %d: PSNR %.2f dB",
                    case.name,
                    scale,
                    source.name,
                    method,
                    seed,
                    metrics["psnr"],
                )
                rows.append(
                    Row(
                        image=subject.image,
                        tile=case.name,
                        scale=scale,
                        source=source.name,
                        method=method,
                        seed=seed,
                        scores=metrics,
                    )
                )
    if not rows:
        raise InputError("no pixel is valid in both truth and result, at any scale")
    evaluation = Evaluation(
        settings=plan.settings(),
        rows=rows,
        reliability={key: pool.reliability() for key, pool in pools.items()},
        examples=[],
        skipped=plan.skipped,
        images=plan.images,
    )
    evaluation.examples.extend(_examples(plan, evaluation))
    work.finish()
    return evaluation


def _case(
    plan: EvaluationPlan, subject: Tile | SensorPair, scale: float, source: SpoiledSource
) -> Case:
    """Read a tile or pair, and make its low resolution as a source has it.

    Raises:
        RasterError: a raster cannot be read.
    """
    case = subject.case(scale, source.kernel(plan.kernel))
    return case if source.is_clean else spoil(case, source)


def _settings(plan: EvaluationPlan, name: str, case: Case, source: SpoiledSource) -> ModelSettings:
    """Return the settings with which a model upscales the low resolution of a case."""
    settings = plan.models[name]
    return with_quality(settings, case, source) if plan.options.given else settings


def _results(
    plan: EvaluationPlan,
    case: Case,
    source: SpoiledSource,
    bicubic: Values,
    pools: dict[tuple[str, float, str], PixelPool],
    work: _Work,
) -> Iterator[tuple[str, int, Values]]:
    """Yield method, seed and image, (band, y, x), of each result of a case.

    Args:
        plan: the models.
        case: the low resolution.
        source: how it is spoiled.
        bicubic: the interpolated low resolution, the first result.
        pools: pixels for the reliability by method, scale and source, updated if there are samples.
        work: the progress, updated.
    """
    yield BICUBIC, 0, bicubic
    for name in plan.models:
        settings = _settings(plan, name, case, source)
        for seed in range(plan.seeds(settings)):
            image, std = upscale_onto_grid(case.low, case.zoom, replace(settings, seed=seed))
            work.add(case.pixels * settings.samples)
            if std is not None and seed == 0:
                prior = image
                if settings.steps:
                    alone = replace(settings, steps=0, samples=1, uncertainty=False)
                    prior, _ = upscale_onto_grid(case.low, case.zoom, alone)
                    work.add(case.pixels)
                pool = pools.setdefault((name, case.scale, source.name), PixelPool())
                judged = prior if settings.model.config.predicts_error else image
                pool.add(case, judged, std.astype(np.float64), prior)
            yield name, seed, image


def _examples(plan: EvaluationPlan, evaluation: Evaluation) -> Iterator[Example]:
    """Yield the best, the median and the worst tile at some scales, by the first model's gain.

    Of a spoiled source, one tile is yielded: the median, if there are three.
    """
    first_model = next(iter(plan.models))
    subjects = {subject.name: subject for subject in plan.subjects}
    for scale, source in product(plan.example_scales, plan.sources):
        gains = evaluation.gains(first_model, scale, "psnr", source.name, tiles=True)
        names = list(gains)
        chosen = best_median_worst([float(np.mean(values)) for values in gains.values()])
        if not source.is_clean:
            chosen = dict(list(chosen.items())[1:2] or chosen)
        for kind, index in chosen.items():
            case = _case(plan, subjects[names[index]], scale, source)
            images = {BICUBIC: interpolate(case)}
            for name in plan.models:
                settings = _settings(plan, name, case, source)
                images[name] = upscale_onto_grid(case.low, case.zoom, settings)[0]
            psnr = {
                method: evaluation.values_by_image(method, scale, "psnr", source.name, tiles=True)[
                    case.name
                ][0]
                for method in images
            }
            yield make_example(kind, case, source.name, images, psnr)
