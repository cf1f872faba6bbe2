"""An evaluation from end to end: every case by every method, and the examples that are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from rs_superres.errors import InputError
from rs_superres.evaluation.pictures import Example, example
from rs_superres.evaluation.plans import EvaluationPlan
from rs_superres.evaluation.protocol import Case, interpolated
from rs_superres.evaluation.reliability import Pool
from rs_superres.evaluation.results import BICUBIC, Evaluation, Row, middle_and_ends
from rs_superres.evaluation.scores import scores
from rs_superres.scene.image import upscale_onto_grid
from rs_superres.types import Values

Progress = Callable[[int, int], None]
"""Told how much is done, of how much."""


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
            # Crops, and places without a valid pixel, leave less to do than was thought.
            self.progress(min(self.done, self.total - 1), self.total)

    def finish(self) -> None:
        """All is done."""
        if self.progress is not None:
            self.progress(self.total, self.total)


def run(decided: EvaluationPlan, progress: Progress | None = None) -> Evaluation:
    """Evaluate.

    Raises:
        RasterError: a raster cannot be read.
        InputError: nothing of it can be compared.
    """
    options, rows = decided.options, []
    pools: dict[tuple[str, float], Pool] = {}
    work = _Work(decided.pixels, progress)
    for subject in decided.subjects:
        for scale in subject.scales(options.scales):
            case = subject.case(scale, decided.kernel)
            if not case.valid.any():
                continue
            plain = interpolated(case)
            made = [(BICUBIC, 0, plain), *_made(decided, case, pools, work)]
            rows += [
                Row(image=subject.image, tile=case.name, scale=scale, method=method, seed=seed,
                    scores=scores(case, image, plain, decided.lpips))
                for method, seed, image in made
            ]  # fmt: skip
    if not rows:
        raise InputError("no pixel is valid in both truth and result, at any scale")
    found = Evaluation(
        settings=decided.settings(),
        rows=rows,
        reliability={key: pool.judged() for key, pool in pools.items()},
        examples=[],
        skipped=decided.skipped,
        images=decided.images,
    )
    found.examples.extend(_examples(decided, found))
    work.finish()
    return found


def _made(
    decided: EvaluationPlan, case: Case, pools: dict[tuple[str, float], Pool], work: _Work
) -> Iterator[tuple[str, int, Values]]:
    """The models' results of a case: method, seed and (band, y, x)."""
    for name, way in decided.ways.items():
        for seed in range(decided.seeds(way)):
            image, spread = upscale_onto_grid(case.low, case.zoom, replace(way, seed=seed))
            work.add(case.pixels * way.samples)
            if spread is not None and seed == 0:
                prior, _ = upscale_onto_grid(case.low, case.zoom, replace(way, steps=0, samples=1))
                work.add(case.pixels)
                pool = pools.setdefault((name, case.scale), Pool())
                pool.add(case, image, spread.astype(np.float64), prior)
            yield name, seed, image


def _examples(decided: EvaluationPlan, found: Evaluation) -> Iterator[Example]:
    """The best, the median and the worst tile at some scales, by the first model's gain."""
    judge, subjects = next(iter(decided.ways)), {s.name: s for s in decided.subjects}
    for scale in decided.shown:
        gains = found.gains(judge, scale, "psnr", tiles=True)
        names = list(gains)
        chosen = middle_and_ends([float(np.mean(g)) for g in gains.values()])
        for kind, place in chosen.items():
            case = subjects[names[place]].case(scale, decided.kernel)
            images = {BICUBIC: interpolated(case)}
            for name, way in decided.ways.items():
                images[name] = upscale_onto_grid(case.low, case.zoom, way)[0]
            told = {m: found.figures(m, scale, "psnr", tiles=True)[case.name][0] for m in images}
            yield example(kind, case, images, told)
