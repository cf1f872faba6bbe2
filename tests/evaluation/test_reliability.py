"""Spread against error, where both are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from rs_superres.evaluation.reliability import BINS, Pool
from tests.evaluation.test_protocol import case_of
from tests.rasters import textured


def test_an_honest_spread_twice_too_small() -> None:
    chance = np.random.default_rng(0)
    pool, spreads, errors = Pool(), [], []
    for seed in range(2):
        case = case_of(textured(seed, 2, 90, 90, dtype="float32", high=255.0), 2)
        deviation = chance.uniform(0.5, 8, case.truth.shape)
        error = chance.normal(0, 2 * deviation)
        pool.add(case, case.truth.astype(float) + error, deviation, case.truth)
        spreads.append(deviation.ravel())
        errors.append(np.abs(error).ravel())
    found = pool.judged()
    assert found.factor == pytest.approx(2, rel=0.03)
    wanted = spearmanr(np.concatenate(spreads), np.concatenate(errors)).statistic
    assert found.spearman == pytest.approx(wanted, abs=0.02)
    assert abs(found.spearman_gradient) < 0.03  # it knows nothing of this error
    assert len(found.spread) == len(found.error) == BINS
    np.testing.assert_allclose(np.array(found.error) / found.spread, 2, rtol=0.12)


def test_what_holes_hold_makes_no_edges() -> None:
    """A prior of 0 in holes says of their neighbours what it says of all others."""
    image = textured(1, 1, 90, 90, dtype="float32", high=255.0)
    valid = np.ones(image.shape, dtype=np.bool_)
    valid[:, 30:50, ::9] = False
    case = case_of(image, 2, valid)
    steep = np.hypot(*(np.gradient(case.truth, axis=a) for a in (1, 2)))
    pool = Pool()
    prior = np.where(case.valid, case.truth, 0)
    pool.add(case, case.truth + steep, np.ones(case.truth.shape), prior)
    assert pool.judged().spearman_gradient == pytest.approx(1, abs=0.01)


def test_where_the_gradient_is_the_better_guess() -> None:
    case = case_of(textured(1, 1, 90, 90, dtype="float32", high=255.0), 2)
    steep = np.hypot(*(np.gradient(case.truth, axis=a) for a in (1, 2)))
    pool = Pool()
    pool.add(case, case.truth + steep, np.ones(case.truth.shape), case.truth)
    found = pool.judged()
    assert found.spearman_gradient == pytest.approx(1, abs=0.01)
    assert np.isnan(found.spearman)  # a constant has no rank
