"""Faster U-Nets compute the same function with the same parameters."""

from __future__ import annotations

import torch

from rs_superres.nets.build import NeurOpDiff, paper_network
from rs_superres.nets.fast_unet import with_fast_unet
from tests import models
from tests.nets.priors import random_image


def test_fast_unet_gives_the_same_result() -> None:
    torch.manual_seed(2)
    paper = paper_network(models.config("paper")).eval()
    assert isinstance(paper, NeurOpDiff)
    unet = paper.unet
    x, prior = random_image(4, 2, 1, 3, 16, 24)
    level = torch.full((1, 1), 0.3)
    with torch.inference_mode():
        expected = unet(x, prior, level)
        assert expected.std() > 1e-3
        fast = with_fast_unet(unet)(x, prior, level)
        torch.testing.assert_close(fast, expected, rtol=0, atol=1e-5)
        assert torch.equal(unet(x, prior, level), expected)  # the copy changed nothing


def shared_storage(a: torch.nn.Module, b: torch.nn.Module) -> set[int]:
    return {p.data_ptr() for p in a.parameters()} & {p.data_ptr() for p in b.parameters()}


def test_fast_unet_shares_all_parameters() -> None:
    network = paper_network(models.config("paper"))
    fast = with_fast_unet(network)
    count = len(list(fast.parameters()))
    assert len(shared_storage(network, fast)) == count > 20
