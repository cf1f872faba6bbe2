"""The folded operator is the operator."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rs_superres.nets.prior import cubic, scene_samples
from tests.nets.priors import positions, random_image, random_prior


@settings(max_examples=25)
@given(
    seed=st.integers(0, 99),
    scale=st.floats(1, 10),
    steps=st.tuples(st.floats(0.1, 1), st.floats(0.1, 1)),
    counts=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_folded_is_the_definition(
    seed: int, scale: float, steps: tuple[float, float], counts: tuple[int, int]
) -> None:
    prior = random_prior(seed)
    image = random_image(seed, 2, 3, 26, 28)
    rows = scene_samples(positions(8.3, steps[0], counts[0]))
    columns = scene_samples(positions(9.05, steps[1], counts[1]))
    cell = 2 * torch.tensor(steps)
    by_grid = prior.grid(image, rows, columns, prior.folded(scale, cell))
    residual = prior.residual(image, rows, columns, cell, prior.contexts_at(scale))
    assert residual.std() > 1e-3 or residual.numel() < 10
    torch.testing.assert_close(by_grid, cubic(image, rows, columns) + residual, rtol=0, atol=1e-4)


def test_folded_in_many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    prior, image = random_prior(1), random_image(1, 1, 3, 26, 26)
    rows = scene_samples(positions(8.0, 0.5, 11))
    columns = scene_samples(positions(8.0, 0.25, 13))
    folded = prior.folded(3.0, torch.tensor((1.0, 0.5)))
    whole = prior.grid(image, rows, columns, folded)
    for chunk in (1, 13, 40):
        monkeypatch.setattr("rs_superres.nets.folded.CHUNK", chunk)
        torch.testing.assert_close(prior.grid(image, rows, columns, folded), whole)
