"""The folded operator is the operator."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rs_superres.nets.folded import FoldedLayers
from rs_superres.nets.paper_contexts import contexts_of
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
    for chunk in (1, 200, 700):
        monkeypatch.setattr("rs_superres.nets.folded.CHUNK", chunk)
        torch.testing.assert_close(prior.grid(image, rows, columns, folded), whole)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("queries", [1, 40, 1 << 18])
def test_few_large_kernels_are_many_small_ones(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, queries: int
) -> None:
    """What a GPU is given, on the CPU: queries that skip cells, and several in one."""
    prior, image = random_prior(2), random_image(2, 2, 3, 26, 30)
    rows = scene_samples(positions(8.3, 0.45, 17))
    columns = scene_samples(positions(9.05, 1.7, 7))
    cell = torch.tensor((0.9, 3.4))
    folded = prior.folded(2.0, cell).to(dtype)
    small = prior.grid(image, rows, columns, folded)
    plain = prior.residual(image, rows, columns, cell, prior.contexts_at(2.0))
    monkeypatch.setattr("rs_superres.nets.folded.QUERIES", queries)
    monkeypatch.setattr(FoldedLayers, "in_strips", FoldedLayers.in_ranges)
    large = prior.grid(image, rows, columns, folded)
    near = 1e-4 if dtype == torch.float32 else 0.02 * float(plain.abs().max())
    torch.testing.assert_close(large, small, rtol=0, atol=near)
    torch.testing.assert_close(large, cubic(image, rows, columns) + plain, rtol=0, atol=near)


def test_contexts_by_few_large_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = random_prior(3).operator
    features = random_image(3, 9, 11, 6)
    rows = scene_samples(positions(0.2, 0.4, 19))
    columns = scene_samples(positions(1.1, 0.3, 23))
    asked = operator, features, rows, columns, torch.tensor((0.8, 0.6))
    small = contexts_of(*asked)
    monkeypatch.setattr("rs_superres.nets.folded.QUERIES", 100)
    monkeypatch.setattr(FoldedLayers, "in_strips", FoldedLayers.in_ranges)
    for one, other in zip(contexts_of(*asked), small, strict=True):
        torch.testing.assert_close(one, other)
