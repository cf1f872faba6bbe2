"""Means, spreads and intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from rs_superres.evaluation.summary import middle_and_ends, summarised


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
