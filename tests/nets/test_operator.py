"""The parts of the operator: contexts, heads, and the paper's samples."""

from __future__ import annotations

import pytest
import torch

from rs_superres.nets.operator import GalerkinBlock, HeadNorm, paper_samples
from tests.nets.priors import random_image


def test_context_comes_from_the_queries() -> None:
    torch.manual_seed(6)
    block, x = GalerkinBlock(16, 4), torch.randn(2, 30, 16)
    torch.testing.assert_close(block(x, block.context(x)), block(x))
    weight, bias = block.folded(block.context(x)[0])
    attended = x[:1] @ weight.T + bias
    torch.testing.assert_close(block.finish(x[:1], attended), block(x)[:1])


def test_head_norm_is_unbiased() -> None:
    x = random_image(7, 1, 2, 5, 8)
    expected = (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-5)
    torch.testing.assert_close(HeadNorm(2, 8)(x), expected)


def test_paper_samples_stay_inside() -> None:
    samples = paper_samples(13, 5)
    assert samples.index.min() == 0
    assert samples.index.max() == 4
    assert samples.index[0].tolist() == [0, 0]
    assert samples.index[-1].tolist() == [4, 4]


def test_width_must_be_a_multiple_of_heads() -> None:
    with pytest.raises(ValueError, match="width 10 is not a multiple of 4 heads"):
        GalerkinBlock(10, 4)
