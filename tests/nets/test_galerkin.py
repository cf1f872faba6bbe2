"""Tests of the neural operator's parts: contexts, normalisation, samples and lifting."""

from __future__ import annotations

import pytest
import torch

from rs_superres.nets.galerkin import GalerkinBlock, HeadNorm, NeuralOperator, paper_samples
from rs_superres.nets.prior import scene_samples
from tests.nets.priors import positions, random_image


def test_context_defaults_to_that_of_the_queries() -> None:
    torch.manual_seed(6)
    block, x = GalerkinBlock(16, 4), torch.randn(2, 30, 16)
    expected = block(x)
    for i, context in enumerate(block.context(x)):
        torch.testing.assert_close(block(x[i : i + 1], context), expected[i : i + 1])


def test_head_norm_divides_by_the_unbiased_std() -> None:
    x = random_image(7, 1, 2, 5, 8)
    expected = (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-5)
    torch.testing.assert_close(HeadNorm(2, 8)(x), expected)


def test_paper_samples_stay_within_the_features() -> None:
    samples = paper_samples(13, 5)
    assert samples.index.min() == 0
    assert samples.index.max() == 4
    assert samples.index[0].tolist() == [0, 0]
    assert samples.index[-1].tolist() == [4, 4]


def test_width_must_be_a_multiple_of_heads() -> None:
    with pytest.raises(ValueError, match="width 10 is not a multiple of 4 heads"):
        GalerkinBlock(10, 4)


@pytest.mark.parametrize("paper", [True, False])
def test_lifting_by_products_equals_the_definition(paper: bool) -> None:
    """The paper's samples include queries that are clamped at the image's border."""
    torch.manual_seed(3)
    operator = NeuralOperator(features=6, width=16, heads=4, hidden=8).double()
    features = random_image(4, 2, 6, 9, 7).double()
    rows, columns = (
        (paper_samples(20, 9), paper_samples(18, 7))
        if paper
        else (scene_samples(positions(1.0, 0.31, 20)), scene_samples(positions(0.5, 0.23, 18)))
    )
    pixel_size = torch.tensor((0.7, 0.9))
    expected = operator.lifted(features, rows, columns, pixel_size)
    lifted = operator.lifted_by_products(features, rows, columns, pixel_size)
    torch.testing.assert_close(lifted, expected, rtol=0, atol=1e-6)
