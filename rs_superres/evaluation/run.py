"""Run an evaluation: score every case by every method, and choose the examples."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from rs_superres.errors import InputError
from rs_superres.evaluation.pictures import Example, make_example
from rs_superres.evaluation.plans import EvaluationPlan
from rs_superres.evaluation.protocol import Case, interpolate
from rs_superres.evaluation.reliability import PixelPool
from rs_superres.evaluation.results import BICUBIC, Evaluation, Row, best_median_worst
from rs_superres.evaluation.scores import scores
from rs_superres.scene.image import upscale_onto_grid
from rs_superres.types import Values

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""A callback that takes the number of finished output pixels and the number of all."""


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


def run(plan: EvaluationPlan, progress: Progress | None = None) -> Evaluation:
    """Run an evaluation.

    Args:
        plan: what to compute.
        progress: called after each result.

    Raises:
        RasterError: a raster cannot be read.
        InputError: no pixel can be compared.
    """
    rows: list[Row] = []
    pools: dict[tuple[str, float], PixelPool] = {}
    work = _Work(plan.pixels, progress)
    for subject in plan.subjects:
        for scale in subject.scales(plan.options.scales):
            case = subject.case(scale, plan.kernel)
            if not case.valid.any():
                logger.debug("%s at x%g is left out: no pixel is valid", case.name, scale)
                continue
            bicubic = interpolate(case)
            for method, seed, image in _results(plan, case, bicubic, pools, work):
                metrics = scores(case, image, bicubic, plan.lpips)
                logger.debug(
                    "%s at x%g by %s, seed %d: PSNR %.2f dB",
                    case.name,
                    scale,
                    method,
                    seed,
                    metrics["psnr"],
                )
                rows.append(
                    Row(
                        image=subject.image,
                        tile=case.name,
                        scale=scale,
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


def _results(
    plan: EvaluationPlan,
    case: Case,
    bicubic: Values,
    pools: dict[tuple[str, float], PixelPool],
    work: _Work,
) -> Iterator[tuple[str, int, Values]]:
    """Yield method, seed and image, (band, y, x), of each result of a case.

    Args:
        plan: the models.
        case: the low resolution.
        bicubic: the interpolated low resolution, the first result.
        pools: pixels for the reliability by method and scale, updated if there are samples.
        work: the progress, updated.
    """
    yield BICUBIC, 0, bicubic
    for name, settings in plan.models.items():
        for seed in range(plan.seeds(settings)):
            image, std = upscale_onto_grid(case.low, case.zoom, replace(settings, seed=seed))
            work.add(case.pixels * settings.samples)
            if std is not None and seed == 0:
                prior, _ = upscale_onto_grid(
                    case.low, case.zoom, replace(settings, steps=0, samples=1)
                )
                work.add(case.pixels)
                pool = pools.setdefault((name, case.scale), PixelPool())
                pool.add(case, image, std.astype(np.float64), prior)
            yield name, seed, image


def _examples(plan: EvaluationPlan, evaluation: Evaluation) -> Iterator[Example]:
    """Yield the best, the median and the worst tile at some scales, by the first model's gain."""
    first_model = next(iter(plan.models))
    subjects = {subject.name: subject for subject in plan.subjects}
    for scale in plan.example_scales:
        gains = evaluation.gains(first_model, scale, "psnr", tiles=True)
        names = list(gains)
        chosen = best_median_worst([float(np.mean(values)) for values in gains.values()])
        for kind, index in chosen.items():
            case = subjects[names[index]].case(scale, plan.kernel)
            images = {BICUBIC: interpolate(case)}
            for name, settings in plan.models.items():
                images[name] = upscale_onto_grid(case.low, case.zoom, settings)[0]
            psnr = {
                method: evaluation.values_by_image(method, scale, "psnr", tiles=True)[case.name][0]
                for method in images
            }
            yield make_example(kind, case, images, psnr)
