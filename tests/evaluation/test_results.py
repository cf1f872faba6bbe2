"""Means over images, whatever their tiles and seeds."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import bootstrap

from rs_superres.evaluation.plans import EvaluationOptions, plan
from rs_superres.evaluation.results import (
    BICUBIC,
    Evaluation,
    Row,
    best_median_worst,
    summarise,
)
from rs_superres.evaluation.run import run
from tests import rasters
from tests.rasters import RGB, textured

BICUBIC_PSNR = {"a @0,0": 20.0, "a @0,9": 22.0, "a @9,0": math.nan, "b": 30.0, "c": 26.0}
"""PSNR of bicubic by tile, dB."""


def row(method: str, tile: str, seed: int, psnr: float) -> Row:
    image = tile.partition(" ")[0]
    scores = {"psnr": psnr}
    return Row(image=image, tile=tile, scale=2.0, method=method, seed=seed, scores=scores)


def test_an_image_counts_once_whatever_its_tiles() -> None:
    gains = {"a": 1.0, "b": 2.0, "c": 6.0}
    rows = [row(BICUBIC, tile, 0, p) for tile, p in BICUBIC_PSNR.items()]
    rows += [
        row("m", tile, seed, p + gains[tile[0]] + seed)
        for tile, p in BICUBIC_PSNR.items()
        for seed in (0, 1)
    ]
    evaluation = Evaluation(
        settings={}, rows=rows, reliability={}, examples=[], skipped=[], images=3
    )
    bicubic = evaluation.summary(BICUBIC, 2.0, "psnr")
    gain = evaluation.gain("m", 2.0, "psnr")
    assert bicubic is not None
    assert bicubic.median == 26
    assert bicubic.count == 3
    assert bicubic.mean == pytest.approx((21 + 30 + 26) / 3)
    assert bicubic.deviation == pytest.approx(np.std([21, 30, 26], ddof=1))
    assert gain is not None
    assert gain.count == 3
    assert gain.mean == pytest.approx(3.5)
    assert gain.between_seeds == pytest.approx(np.std([3, 4], ddof=1))
    assert evaluation.gains("m", 2.0, "psnr", tiles=True)["a @0,9"] == pytest.approx([1, 2])
    assert evaluation.summary(BICUBIC, 2.0, "ssim") is None


def test_tiles_of_one_raster_have_no_interval(tmp_path: Path, tiny: str) -> None:
    """Tiles of one file are not independent images."""
    values = np.zeros((3, 1100, 1100), np.uint8)
    values[:, 300:420] = textured(1, 3, 120, 1100) | 1
    rasters.write(tmp_path / "a.tif", values, colours=RGB, nodata=0)
    options = EvaluationOptions(data=(tmp_path,), models=(tiny,), scales=(8.0,), steps=0)
    evaluation = run(plan(options))
    assert len({r.tile for r in evaluation.rows}) > 1
    summary = evaluation.summary(tiny, 8.0, "psnr")
    assert summary is not None
    assert (summary.count, summary.low) == (1, None)
    assert {e.name for e in evaluation.examples} <= {r.tile for r in evaluation.rows}
    assert evaluation.examples


def test_a_summary_agrees_with_scipy() -> None:
    values = np.random.default_rng(1).gamma(2.0, 3.0, 60)
    summary = summarise(values[:, None])
    assert summary is not None
    assert (summary.mean, summary.deviation) == pytest.approx((values.mean(), values.std(ddof=1)))
    interval = bootstrap((values,), np.mean, method="percentile", rng=2).confidence_interval
    assert (summary.low, summary.high) == pytest.approx((interval.low, interval.high), rel=0.03)
    assert summary.interval(".2f") == f"{summary.low:.2f} to {summary.high:.2f}"
    one = summarise(values[:1, None])
    assert one is not None
    assert (one.low, one.interval(".2f"), one.ends) == (None, "", (values[0], values[0]))
    assert (summary.count, summary.between_seeds) == (60, None)
    assert summarise(values[:, None]) == summary


def test_seeds_are_averaged_image_by_image() -> None:
    values = np.array([[1.0, 3.0], [5.0, 7.0], [np.nan, np.nan]])
    summary = summarise(values)
    assert summary is not None
    assert (summary.mean, summary.count) == (4.0, 2)
    assert summary.between_seeds == pytest.approx(np.std([3, 5], ddof=1))
    assert summary.deviation == pytest.approx(np.std([2, 6], ddof=1))
    assert summarise(values[2:]) is None


def test_the_best_the_median_and_the_worst_are_chosen_once() -> None:
    assert best_median_worst([3.0, 1.0, np.nan, 2.0]) == {"best": 0, "median": 3, "worst": 1}
    assert best_median_worst([1.0, 2.0]) == {"best": 1, "worst": 0}
    assert best_median_worst([1.0]) == {"best": 0}
    assert best_median_worst([np.nan]) == {}
