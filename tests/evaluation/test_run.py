"""An evaluation from end to end, against figures that are put together by hand."""

from __future__ import annotations

from pathlib import Path

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


def test_means_over_the_images(data: Path, tiny: str) -> None:
    decided = plan(
        EvaluationOptions(
            data=(data,), models=(tiny,), scales=(2.0, 4.0), steps=0, precision="fp32"
        )
    )
    told: list[tuple[int, int]] = []
    found = run(decided, lambda done, total: told.append((done, total)))
    assert (found.methods, found.scales) == ([BICUBIC, tiny], [2.0, 4.0])
    model, ours, theirs = zoo.load(tiny), [], []
    for image in IMAGES:
        low = bicubic(image, (24, image.shape[2] // 2))
        ours.append(psnr(upscale_image(low, image.shape[1:], model, steps=0), image))
        theirs.append(psnr(bicubic(low, image.shape[1:]), image))
    for method, wanted in ((tiny, ours), (BICUBIC, theirs)):
        summary = found.summary(method, 2.0, "psnr")
        assert summary is not None
        assert summary.mean == pytest.approx(np.mean(wanted))
        assert summary.deviation == pytest.approx(np.std(wanted, ddof=1))
    gain = found.gain(tiny, 2.0, "psnr")
    assert gain is not None
    assert gain.mean == pytest.approx(np.mean(ours) - np.mean(theirs))
    assert gain.ends[0] <= gain.mean <= gain.ends[1]
    assert told[-1] == (decided.pixels, decided.pixels)
    assert len(found.rows) == 3 * 2 * 2
    assert {(e.scale, e.kind) for e in found.examples} == {
        (s, k) for s in (2.0, 4.0) for k in ("best", "median", "worst")
    }
    assert not found.reliability


def test_seeds_and_samples(data: Path, tiny: str) -> None:
    options = EvaluationOptions(
        data=(data,), models=(tiny,), scales=(3.0,), steps=1, seeds=2, samples=2, limit=2,
        degradation=ConsistencyConfig(kernel="area"),
    )  # fmt: skip
    decided = plan(options)
    found = run(decided)
    assert decided.settings()["degradation"] == "area mean"
    assert [(r.image, r.method, r.seed) for r in found.rows[:3]] == [
        ("0.tif", BICUBIC, 0), ("0.tif", tiny, 0), ("0.tif", tiny, 1)
    ]  # fmt: skip
    first, second = (r.scores["psnr"] for r in found.rows[1:3])
    assert first != second
    summary = found.summary(tiny, 3.0, "psnr")
    assert summary is not None
    assert summary.between_seeds
    assert summary.count == 2
    reliable = found.reliability[tiny, 3.0]
    assert -1 <= reliable.spearman <= 1
    assert reliable.factor > 0


def test_without_consistency_results_lie_further_from_their_source(data: Path, tiny: str) -> None:
    below = []
    for consistency in (True, False):
        options = EvaluationOptions(
            data=(data,), models=(tiny,), scales=(2.0,), steps=0, consistency=consistency
        )
        summary = run(plan(options)).summary(tiny, 2.0, "consistency")
        assert summary is not None
        below.append(summary.mean)
    assert below[0] < 0.3 < below[1]


def test_what_makes_no_sense(data: Path, tiny: str, tmp_path: Path) -> None:
    prior = str(models.write(tmp_path / "prior", models.config(denoiser=False)))
    for options, message in (
        (EvaluationOptions(models=(tiny,)), "one of --data and --pairs is needed"),
        (
            EvaluationOptions(data=(data,), pairs=(data, data)),
            "one of --data and --pairs is needed",
        ),
        (EvaluationOptions(data=(data,), models=(tiny, tiny)), "expected each once"),
        (EvaluationOptions(data=(data,), scales=(1.0,)), "expected numbers above 1"),
        (EvaluationOptions(data=(data,), steps=0, seeds=2), "the prior alone, which draws nothing"),
        (
            EvaluationOptions(data=(data,), models=(prior,), steps=2),
            "is a prior alone: use --steps 0",
        ),
        (
            EvaluationOptions(data=(data,), models=(tiny,), scales=(8.0,)),
            "too small for these scales",
        ),
    ):
        with pytest.raises(InputError, match=message):
            plan(options)
