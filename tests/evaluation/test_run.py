"""An evaluation from end to end, compared with scores that are computed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rs_superres import zoo
from rs_superres.config import ConsistencyConfig
from rs_superres.errors import InputError
from rs_superres.evaluation.plans import EvaluationOptions, plan
from rs_superres.evaluation.results import BICUBIC
from rs_superres.evaluation.run import run
from rs_superres.image.degradation import bicubic
from rs_superres.image.statistics import psnr
from rs_superres.scene.image import upscale_image
from tests import models, rasters
from tests.rasters import RGB, textured

IMAGES = [textured(i, 3, 48, 48 + 4 * i) for i in range(3)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for i, image in enumerate(IMAGES):
        rasters.write(folder / f"{i}.tif", image, colours=RGB)
    return folder


def test_means_agree_with_scores_by_hand(data: Path, tiny: str) -> None:
    evaluation_plan = plan(
        EvaluationOptions(
            data=(data,), models=(tiny,), scales=(2.0, 4.0), steps=0, precision="fp32"
        )
    )
    progress: list[tuple[int, int]] = []
    evaluation = run(evaluation_plan, lambda done, total: progress.append((done, total)))
    assert (evaluation.methods, evaluation.scales) == ([BICUBIC, tiny], [2.0, 4.0])
    model = zoo.load(tiny)
    model_psnr, bicubic_psnr = [], []
    for image in IMAGES:
        low = bicubic(image, (24, image.shape[2] // 2))
        model_psnr.append(psnr(upscale_image(low, image.shape[1:], model, steps=0), image))
        bicubic_psnr.append(psnr(bicubic(low, image.shape[1:]), image))
    for method, expected in ((tiny, model_psnr), (BICUBIC, bicubic_psnr)):
        summary = evaluation.summary(method, 2.0, "psnr")
        assert summary is not None
        assert summary.mean == pytest.approx(np.mean(expected))
        assert summary.deviation == pytest.approx(np.std(expected, ddof=1))
    gain = evaluation.gain(tiny, 2.0, "psnr")
    assert gain is not None
    assert gain.mean == pytest.approx(np.mean(model_psnr) - np.mean(bicubic_psnr))
    assert gain.ends[0] <= gain.mean <= gain.ends[1]
    assert progress[-1] == (evaluation_plan.pixels, evaluation_plan.pixels)
    assert len(evaluation.rows) == 3 * 2 * 2
    assert {(e.scale, e.kind) for e in evaluation.examples} == {
        (s, k) for s in (2.0, 4.0) for k in ("best", "median", "worst")
    }
    assert not evaluation.reliability


def test_seeds_differ_and_samples_have_a_reliability(data: Path, tiny: str) -> None:
    options = EvaluationOptions(
        data=(data,),
        models=(tiny,),
        scales=(3.0,),
        steps=1,
        seeds=2,
        samples=2,
        limit=2,
        degradation=ConsistencyConfig(kernel="area"),
    )
    evaluation = run(plan(options))
    assert evaluation.settings["degradation"] == "area mean"
    assert [(r.image, r.method, r.seed) for r in evaluation.rows[:3]] == [
        ("0.tif", BICUBIC, 0),
        ("0.tif", tiny, 0),
        ("0.tif", tiny, 1),
    ]
    first, second = (r.scores["psnr"] for r in evaluation.rows[1:3])
    assert first != second
    summary = evaluation.summary(tiny, 3.0, "psnr")
    assert summary is not None
    assert summary.between_seeds
    assert summary.count == 2
    reliability = evaluation.reliability[tiny, 3.0]
    assert -1 <= reliability.spearman <= 1
    assert reliability.factor > 0


def test_consistency_brings_results_closer_to_the_low_resolution(data: Path, tiny: str) -> None:
    differences = []
    for consistency in (True, False):
        options = EvaluationOptions(
            data=(data,), models=(tiny,), scales=(2.0,), steps=0, consistency=consistency
        )
        summary = run(plan(options)).summary(tiny, 2.0, "consistency")
        assert summary is not None
        differences.append(summary.mean)
    assert differences[0] < 0.3 < differences[1]


def test_contradicting_options_are_refused(data: Path, tiny: str, tmp_path: Path) -> None:
    prior = str(models.write(tmp_path / "prior", models.config(denoiser=False)))
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, r"neither data= nor pairs= is given"),
        ({"data": (data,), "pairs": (data, data)}, r"both data= and pairs= are given"),
        ({"data": (data,), "models": (tiny, tiny)}, r"models=.*, expected each model once"),
        ({"data": (data,), "models": (BICUBIC,)}, r"models=bicubic: bicubic is always compared"),
        ({"data": (data,), "scales": (1.0,)}, r"scales=1, expected numbers above 1"),
        ({"data": (data,), "steps": 0, "seeds": 2}, r"seeds=2 has no effect with steps=0"),
        ({"data": (data,), "steps": 0, "samples": 2}, r"samples=2 has no effect with steps=0"),
        ({"data": (data,), "models": (prior,), "steps": 2}, r"steps=2, but .* has no denoiser"),
        ({"data": (data,), "scales": (8.0,)}, r"every image is too small for scales=8, expected"),
    ]
    for given, message in cases:
        with pytest.raises(InputError, match=message):
            plan(EvaluationOptions(**{"models": (tiny,), **given}))
