"""Moments of pieces are those of the whole."""

from __future__ import annotations

import numpy as np

from rs_superres.moments import Moments, Running


def test_values_in_pieces() -> None:
    values = np.random.default_rng(1).normal(3, 2, size=1000)
    found = Moments()
    for piece in np.split(values, [10, 500]):
        found.add(piece)
    assert found.count == 1000
    np.testing.assert_allclose(found.mean, values.mean())
    np.testing.assert_allclose(found.deviation, values.std())
    np.testing.assert_allclose(found.rms, np.sqrt((values**2).mean()))
    assert (Moments().mean, Moments().rms, Moments().error) == (0.0, 0.0, 0.0)


def test_arrays_one_by_one() -> None:
    samples = 1e8 + np.random.default_rng(2).normal(size=(7, 2, 3, 4))
    running = Running()
    for sample in samples:
        running.add(sample)
    np.testing.assert_allclose(running.mean, samples.mean(axis=0), rtol=1e-15)
    np.testing.assert_allclose(running.deviation(), samples.std(axis=0, ddof=1), rtol=1e-6)


def test_a_single_array_has_no_deviation() -> None:
    running, sample = Running(), np.ones((1, 2, 2))
    running.add(sample)
    sample[:] = 5
    assert (running.mean == 1).all()
    assert (running.deviation() == 0).all()
