"""Interpolation without networks, against the network's own and against ramps."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from rs_superres.grid import AxisSupport
from rs_superres.image.resampling import cubic, linear
from rs_superres.nets import prior

positions = st.lists(st.floats(1, 6.99), min_size=1, max_size=9).map(np.array)


@given(rows=positions, columns=positions, start=st.integers(-50, 50))
def test_ramps_are_kept(
    rows: np.ndarray[tuple[int], np.dtype[np.float64]],
    columns: np.ndarray[tuple[int], np.dtype[np.float64]],
    start: int,
) -> None:
    down, across = np.mgrid[:9, :9]
    image = np.stack((1e9 + down, across))
    along = AxisSupport(start, 9, rows + start), AxisSupport(start, 9, columns + start)
    for interpolation in (linear, cubic):
        found = interpolation(image, *along)
        shape = len(rows), len(columns)
        np.testing.assert_allclose(
            found[0], np.broadcast_to(1e9 + rows[:, None], shape), rtol=1e-14
        )
        np.testing.assert_allclose(found[1], np.broadcast_to(columns, shape), atol=1e-10)


def test_cubic_is_that_of_the_networks() -> None:
    """The residual of a network is what it has beside its own cubic."""
    generator = np.random.default_rng(1)
    image = generator.normal(size=(3, 12, 13))
    rows, columns = np.linspace(1.2, 8.9, 21), np.linspace(1.0, 9.7, 17)
    ours = cubic(image, AxisSupport(0, 12, rows), AxisSupport(0, 13, columns))
    samples = [prior.scene_samples(torch.from_numpy(p)) for p in (rows, columns)]
    theirs = prior.cubic(torch.from_numpy(image).float()[None], *samples)[0]
    np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-6)
