"""An evaluation from end to end, compared with scores that are computed by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rs_superres import zoo
from rs_superres.config import ConsistencyConfig
from rs_superres.errors import InputError
from rs_superres.evaluation.plans import EvaluationOptions, plan
from rs_superres.evaluation.results import BICUBIC, Evaluation
from rs_superres.evaluation.run import run
from rs_superres.evaluation.sources import CLEAN, parse_sources
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
    assert {scale for _, scale, _ in evaluation.reliability} == {2.0, 4.0}


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
    reliability = evaluation.reliability[tiny, 3.0, CLEAN]
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


def test_spoiled_sources_are_evaluated_in_addition(data: Path, tiny: str) -> None:
    options = EvaluationOptions(data=(data,), models=(tiny,), scales=(2.0,), steps=0)
    clean_plan = plan(options)
    plain = run(clean_plan)
    names = ["clean", "noise=20", "mtf=0.2+jpeg=60"]
    spoiled_plan = plan(replace(options, spoil=parse_sources(",".join([*names[1:], "noise=20"]))))
    assert spoiled_plan.pixels == 3 * clean_plan.pixels
    progress: list[tuple[int, int]] = []
    evaluation = run(spoiled_plan, lambda done, total: progress.append((done, total)))
    assert progress[-1] == (spoiled_plan.pixels, spoiled_plan.pixels)
    assert (plain.sources, evaluation.sources) == (["clean"], names)
    assert evaluation.settings["sources"] == names
    # The clean source comes first, and its scores are those of an evaluation without others.
    assert [(row.image, row.source, row.method) for row in evaluation.rows[:6]] == [
        ("0.tif", name, method) for name in names for method in (BICUBIC, tiny)
    ]
    for one, other in zip(
        plain.rows, [row for row in evaluation.rows if row.source == CLEAN], strict=True
    ):
        assert one.scores == pytest.approx(other.scores, rel=0, abs=0, nan_ok=True)
    # Bicubic enlarges the spoiled low resolution: noise of 20 lowers its PSNR to a known one.
    noisy = evaluation.summary(BICUBIC, 2.0, "psnr", "noise=20")
    by_hand = []
    for image in IMAGES:
        low = bicubic(image, (24, image.shape[2] // 2))
        noise = np.random.default_rng(1).normal(0, 20, low.shape)
        low = (low + noise).round().clip(0, 255).astype(np.uint8)
        by_hand.append(psnr(bicubic(low, image.shape[1:]), image))
    assert noisy is not None
    assert noisy.mean == pytest.approx(np.mean(by_hand), abs=0.3)
    # Gains are over bicubic of the same source.
    gain = evaluation.gain(tiny, 2.0, "psnr", "noise=20")
    model = evaluation.summary(tiny, 2.0, "psnr", "noise=20")
    assert gain is not None
    assert model is not None
    assert gain.mean == pytest.approx(model.mean - noisy.mean)
    shown = [(e.source, e.kind) for e in evaluation.examples]
    assert shown == [
        ("clean", "best"), ("clean", "median"), ("clean", "worst"),
        ("noise=20", "median"), ("mtf=0.2+jpeg=60", "median"),
    ]  # fmt: skip


def test_blur_and_noise_can_be_given(data: Path, tiny: str) -> None:
    """Given noise, the correction does not put it back; see ``CellRecipe.tolerance``."""
    options = EvaluationOptions(
        data=(data,),
        models=(tiny,),
        scales=(2.0,),
        steps=0,
        spoil=parse_sources("noise=10,jpeg=50,mtf=0.2"),
    )
    unknown, given = run(plan(options)), run(plan(replace(options, given=True)))
    assert (unknown.settings["given"], given.settings["given"]) == (False, True)

    def mean(evaluation: Evaluation, source: str, method: str = tiny) -> float:
        summary = evaluation.summary(method, 2.0, "consistency", source)
        assert summary is not None
        return summary.mean

    assert 4 * mean(unknown, "noise=10") < mean(given, "noise=10")
    assert mean(given, "jpeg=50") == mean(unknown, "jpeg=50")
    assert 2 * mean(given, "mtf=0.2") < mean(unknown, "mtf=0.2")  # the right kernel
    for source in unknown.sources:
        assert mean(given, source, BICUBIC) == mean(unknown, source, BICUBIC)


def test_jpeg_of_16_bits_is_refused(data: Path, tiny: str, tmp_path: Path) -> None:
    rasters.write(tmp_path / "deep.tif", textured(1, 3, 48, 48, dtype="uint16"), colours=RGB)
    options = EvaluationOptions(
        data=(data, tmp_path), models=(tiny,), scales=(2.0,), spoil=parse_sources("noise=8,jpeg=75")
    )
    with pytest.raises(
        InputError, match=r"spoil=jpeg=75 needs 8-bit .*deep\.tif has 3 bands of dt"
    ):
        plan(options)


def test_contradicting_options_are_refused(data: Path, tiny: str, tmp_path: Path) -> None:
    prior = str(models.write(tmp_path / "prior", models.config(denoiser=False)))
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, r"neither data= nor pairs= is given"),
        ({"data": (data,), "pairs": (data, data)}, r"both data= and pairs= are given"),
        ({"pairs": (data, data), "spoil": parse_sources("noise=8")}, r"spoil= has no effect on"),
        ({"pairs": (data, data), "given": True}, r"given= has no effect on pairs=.*; leave it out"),
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
