"""Figures of tiles as figures of images."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import bootstrap

from rs_superres.evaluation.plans import EvaluationOptions, plan
from rs_superres.evaluation.results import BICUBIC, Evaluation, Row, middle_and_ends, summarised
from rs_superres.evaluation.run import run
from tests import rasters
from tests.rasters import RGB, textured

PLAIN = {"a @0,0": 20.0, "a @0,9": 22.0, "a @9,0": math.nan, "b": 30.0, "c": 26.0}
"""PSNR by bicubic, tile by tile."""


def row(method: str, tile: str, seed: int, figure: float) -> Row:
    image = tile.partition(" ")[0]
    scores = {"psnr": figure}
    return Row(image=image, tile=tile, scale=2.0, method=method, seed=seed, scores=scores)


def test_an_image_counts_once_whatever_its_tiles() -> None:
    gains = {"a": 1.0, "b": 2.0, "c": 6.0}
    rows = [row(BICUBIC, tile, 0, p) for tile, p in PLAIN.items()]
    rows += [
        row("m", tile, seed, p + gains[tile[0]] + seed)
        for tile, p in PLAIN.items()
        for seed in (0, 1)
    ]
    found = Evaluation(
        settings={}, rows=rows, reliability={}, examples=[], skipped=[], images=3
    )  # fmt: skip
    plain, gain = found.summary(BICUBIC, 2.0, "psnr"), found.gain("m", 2.0, "psnr")
    assert plain is not None
    assert plain.count == 3
    assert plain.mean == pytest.approx((21 + 30 + 26) / 3)
    assert plain.deviation == pytest.approx(np.std([21, 30, 26], ddof=1))
    assert gain is not None
    assert gain.count == 3
    assert gain.mean == pytest.approx(3.5)
    assert gain.between_seeds == pytest.approx(np.std([3, 4], ddof=1))
    assert found.gains("m", 2.0, "psnr", tiles=True)["a @0,9"] == pytest.approx([1, 2])
    assert found.summary(BICUBIC, 2.0, "ssim") is None


def test_tiles_of_one_raster_have_no_interval(tmp_path: Path, tiny: str) -> None:
    """Four tiles of one file say nothing of other images."""
    blank = np.zeros((3, 1100, 1100), np.uint8)
    blank[:, 300:420] = textured(1, 3, 120, 1100) | 1
    rasters.write(tmp_path / "a.tif", blank, colours=RGB, nodata=0)
    found = run(plan(EvaluationOptions(data=(tmp_path,), models=(tiny,), scales=(8.0,), steps=0)))
    assert len({r.tile for r in found.rows}) > 1
    summary = found.summary(tiny, 8.0, "psnr")
    assert summary is not None
    assert (summary.count, summary.low) == (1, None)
    assert {e.name for e in found.examples} <= {r.tile for r in found.rows}
    assert found.examples


def test_a_summary_is_scipy_s() -> None:
    values = np.random.default_rng(1).gamma(2.0, 3.0, 60)
    found = summarised(values[:, None])
    assert found is not None
    assert (found.mean, found.deviation) == pytest.approx((values.mean(), values.std(ddof=1)))
    theirs = bootstrap((values,), np.mean, method="percentile", rng=2).confidence_interval
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=0.03)
    assert found.interval(".2f") == f"{found.low:.2f} to {found.high:.2f}"
    one = summarised(values[:1, None])
    assert one is not None
    assert (one.low, one.interval(".2f"), one.ends) == (None, "", (values[0], values[0]))
    assert (found.count, found.between_seeds) == (60, None)
    assert summarised(values[:, None]) == found


def test_seeds_are_averaged_image_by_image() -> None:
    figures = np.array([[1.0, 3.0], [5.0, 7.0], [np.nan, np.nan]])
    found = summarised(figures)
    assert found is not None
    assert (found.mean, found.count) == (4.0, 2)
    assert found.between_seeds == pytest.approx(np.std([3, 5], ddof=1))
    assert found.deviation == pytest.approx(np.std([2, 6], ddof=1))
    assert summarised(figures[2:]) is None


def test_best_median_worst() -> None:
    assert middle_and_ends([3.0, 1.0, np.nan, 2.0]) == {"best": 0, "median": 3, "worst": 1}
    assert middle_and_ends([1.0, 2.0]) == {"best": 1, "worst": 0}
    assert middle_and_ends([1.0]) == {"best": 0}
    assert middle_and_ends([np.nan]) == {}
