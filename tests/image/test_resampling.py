"""Interpolation in float64, compared with ramps and with the networks' own interpolation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rs_superres.grid import AxisSupport
from rs_superres.image.resampling import cubic, cubic_kernel, linear
from rs_superres.nets import prior
from rs_superres.nets.galerkin import AxisSamples
from rs_superres.types import Doubles, Values

SIDE = 9
# Both neighbours on either side of these positions lie within the array.
positions = st.lists(st.floats(1, SIDE - 2.01), min_size=1, max_size=9).map(np.array)
Ours = Callable[[Values, AxisSupport, AxisSupport], Doubles]
Theirs = Callable[[torch.Tensor, AxisSamples, AxisSamples], torch.Tensor]


@given(rows=positions, columns=positions, start=st.integers(-50, 50))
def test_ramps_are_reproduced(rows: Doubles, columns: Doubles, start: int) -> None:
    down, across = np.mgrid[:SIDE, :SIDE]
    image = np.stack((1e9 + down, across))
    axes = AxisSupport(start, SIDE, rows + start), AxisSupport(start, SIDE, columns + start)
    for interpolate in (linear, cubic):
        result = interpolate(image, *axes)
        shape = len(rows), len(columns)
        np.testing.assert_allclose(
            result[0], np.broadcast_to(1e9 + rows[:, None], shape), rtol=1e-14
        )
        np.testing.assert_allclose(result[1], np.broadcast_to(columns, shape), atol=1e-10)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(linear, prior.linear), (cubic, prior.cubic)], ids=["linear", "cubic"]
)
@given(rows=positions, columns=positions, start=st.integers(-50, 50), seed=st.integers(0, 99))
def test_interpolation_equals_that_of_the_networks(
    ours: Ours, theirs: Theirs, rows: Doubles, columns: Doubles, start: int, seed: int
) -> None:
    """float64 in NumPy and float32 in torch differ by rounding only.

    A band in float64 takes its cubic base from here and the rest from the network, whose output
    minus its own cubic must therefore be the same detail.
    """
    image = np.random.default_rng(seed).normal(size=(3, SIDE, SIDE))
    expected = ours(
        image, AxisSupport(start, SIDE, rows + start), AxisSupport(start, SIDE, columns + start)
    )
    samples = (
        prior.scene_samples(torch.from_numpy(p + start), origin=start) for p in (rows, columns)
    )
    result = theirs(torch.from_numpy(image).float()[None], *samples)[0]
    np.testing.assert_allclose(result.numpy(), expected, rtol=0, atol=1e-5)


@given(st.floats(0, 1))
def test_cubic_weights_equal_those_of_the_networks(fraction: float) -> None:
    distances = np.abs(fraction - np.array([-1.0, 0.0, 1.0, 2.0]))
    relative = torch.tensor([[2 * fraction, 2 * fraction - 2]])
    samples = AxisSamples(index=torch.tensor([[0, 1]]), relative=relative)
    weights: npt.NDArray[np.float32] = prior.cubic_weights(samples)[0].numpy()
    np.testing.assert_allclose(weights, cubic_kernel(distances), rtol=0, atol=1e-6)
