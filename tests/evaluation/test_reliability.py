"""Reliability where standard deviation and error are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from rs_superres.evaluation.reliability import BINS, PixelPool
from tests.evaluation.test_protocol import case_of
from tests.rasters import textured


def test_a_standard_deviation_half_as_large_as_the_error() -> None:
    rng = np.random.default_rng(0)
    pool, deviations, errors = PixelPool(), [], []
    for seed in range(2):
        case = case_of(textured(seed, 2, 90, 90, dtype="float32", high=255.0), 2)
        deviation = rng.uniform(0.5, 8, case.truth.shape)
        error = rng.normal(0, 2 * deviation)
        pool.add(case, case.truth.astype(float) + error, deviation, case.truth)
        deviations.append(deviation.ravel())
        errors.append(np.abs(error).ravel())
    reliability = pool.reliability()
    assert reliability.factor == pytest.approx(2, rel=0.03)
    expected = spearmanr(np.concatenate(deviations), np.concatenate(errors)).statistic
    assert reliability.spearman == pytest.approx(expected, abs=0.02)
    assert abs(reliability.spearman_gradient) < 0.03  # the gradient does not depend on this error
    assert len(reliability.spread) == len(reliability.error) == BINS
    np.testing.assert_allclose(np.array(reliability.error) / reliability.spread, 2, rtol=0.12)


def test_holes_in_the_prior_have_no_edges() -> None:
    """The prior is 0 in holes, and their neighbours count like all other pixels."""
    image = textured(1, 1, 90, 90, dtype="float32", high=255.0)
    valid = np.ones(image.shape, dtype=np.bool_)
    valid[:, 30:50, ::9] = False
    case = case_of(image, 2, valid)
    gradient = np.hypot(*(np.gradient(case.truth, axis=a) for a in (1, 2)))
    pool = PixelPool()
    prior = np.where(case.valid, case.truth, 0)
    pool.add(case, case.truth + gradient, np.ones(case.truth.shape), prior)
    assert pool.reliability().spearman_gradient == pytest.approx(1, abs=0.01)


def test_an_error_that_follows_the_gradient() -> None:
    case = case_of(textured(1, 1, 90, 90, dtype="float32", high=255.0), 2)
    gradient = np.hypot(*(np.gradient(case.truth, axis=a) for a in (1, 2)))
    pool = PixelPool()
    pool.add(case, case.truth + gradient, np.ones(case.truth.shape), case.truth)
    reliability = pool.reliability()
    assert reliability.spearman_gradient == pytest.approx(1, abs=0.01)
    assert np.isnan(reliability.spearman)  # a constant has no ranks
