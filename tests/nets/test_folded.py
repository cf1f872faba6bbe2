"""The folded operator equals the operator that it was folded from."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rs_superres.nets.folded import FoldedLayers, fold
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
def test_folded_operator_follows_the_definition(
    seed: int, scale: float, steps: tuple[float, float], counts: tuple[int, int]
) -> None:
    prior = random_prior(seed)
    image = random_image(seed, 2, 3, 26, 28)
    rows = scene_samples(positions(8.3, steps[0], counts[0]))
    columns = scene_samples(positions(9.05, steps[1], counts[1]))
    pixel_size = 2 * torch.tensor(steps)
    folded = prior.grid(image, rows, columns, prior.folded(scale, pixel_size))
    residual = prior.residual(image, rows, columns, pixel_size, prior.contexts_at(scale))
    assert residual.std() > 1e-3 or residual.numel() < 10
    torch.testing.assert_close(folded, cubic(image, rows, columns) + residual, rtol=0, atol=1e-4)


@pytest.mark.parametrize("step", [0.5, 0.3, 1.7], ids=["two a row", "several", "rows skipped"])
def test_chunk_size_does_not_change_the_result(
    monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    prior, image = random_prior(1), random_image(1, 1, 3, 26, 26)
    rows = scene_samples(positions(8.0, step, 6))
    columns = scene_samples(positions(8.0, 0.25, 13))
    folded = prior.folded(3.0, torch.tensor((1.0, 0.5)))
    expected = prior.grid(image, rows, columns, folded)
    for chunk in (1, 200, 700):
        monkeypatch.setattr("rs_superres.nets.folded.CHUNK", chunk)
        torch.testing.assert_close(prior.grid(image, rows, columns, folded), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("queries", [1, 40, 1 << 18])
def test_ranges_give_the_same_result_as_strips(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, queries: int
) -> None:
    """Run the code for GPUs on the CPU. Rows share feature pixels, columns skip some."""
    prior, image = random_prior(2), random_image(2, 2, 3, 26, 30)
    rows = scene_samples(positions(8.3, 0.45, 17))
    columns = scene_samples(positions(9.05, 1.7, 7))
    pixel_size = torch.tensor((0.9, 3.4))
    folded = prior.folded(2.0, pixel_size).to(dtype)
    in_strips = prior.grid(image, rows, columns, folded)
    residual = prior.residual(image, rows, columns, pixel_size, prior.contexts_at(2.0))
    monkeypatch.setattr("rs_superres.nets.folded.QUERIES", queries)
    monkeypatch.setattr(FoldedLayers, "visit_strips", FoldedLayers.visit_ranges)
    in_ranges = prior.grid(image, rows, columns, folded)
    atol = 1e-4 if dtype == torch.float32 else 0.02 * float(residual.abs().max())
    torch.testing.assert_close(in_ranges, in_strips, rtol=0, atol=atol)
    expected = cubic(image, rows, columns) + residual
    torch.testing.assert_close(in_ranges, expected, rtol=0, atol=atol)


def test_contexts_from_ranges_equal_those_from_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = random_prior(3).operator
    features = random_image(3, 9, 11, 6)
    rows = scene_samples(positions(0.2, 0.4, 19))
    columns = scene_samples(positions(1.1, 0.3, 23))
    arguments = operator, features, rows, columns, torch.tensor((0.8, 0.6))
    from_strips = contexts_of(*arguments)
    monkeypatch.setattr("rs_superres.nets.folded.QUERIES", 100)
    monkeypatch.setattr(FoldedLayers, "visit_strips", FoldedLayers.visit_ranges)
    for context, expected in zip(contexts_of(*arguments), from_strips, strict=True):
        torch.testing.assert_close(context, expected)


def test_several_images_give_what_each_gives_alone() -> None:
    prior, features = random_prior(4), random_image(5, 3, 6, 7, 8)
    folded = fold(prior.operator, prior.contexts_at(2.0), torch.tensor((0.9, 1.1)))
    rows = scene_samples(positions(0.3, 0.45, 11))
    columns = scene_samples(positions(0.2, 0.5, 13))
    together = folded.images(features, rows, columns)
    for image, found in zip(features, together, strict=True):
        alone = folded(image.permute(1, 2, 0).contiguous(), rows, columns)
        torch.testing.assert_close(found, alone, rtol=0, atol=1e-6)
