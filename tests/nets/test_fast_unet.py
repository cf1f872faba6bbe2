"""U-Nets that sample faster are the same function of the same parameters."""

from __future__ import annotations

import torch

from rs_superres.nets.build import NeurOpDiff, paper_network, scene_network
from rs_superres.nets.fast_unet import with_fast_unet
from tests import models
from tests.nets.priors import random_image


def test_a_lean_network_is_the_same() -> None:
    for kind in ("scene", "paper"):
        torch.manual_seed(2)
        if kind == "scene":
            scene = scene_network(models.config()).eval()
            models.scramble(scene, seed=3)
            assert scene.denoiser is not None
            unet = scene.denoiser.unet
        else:
            paper = paper_network(models.config("paper")).eval()
            assert isinstance(paper, NeurOpDiff)
            unet = paper.unet
        x, prior = random_image(4, 2, 1, 3, 16, 24)
        told = torch.full((1, 2 if kind == "scene" else 1), 0.3)
        with torch.inference_mode():
            before = unet(x, prior, told)
            assert before.std() > 1e-3
            torch.testing.assert_close(
                with_fast_unet(unet)(x, prior, told), before, rtol=0, atol=1e-5
            )
            assert torch.equal(unet(x, prior, told), before)  # the plain one stays as it was


def shared_storage(a: torch.nn.Module, b: torch.nn.Module) -> set[int]:
    return {p.data_ptr() for p in a.parameters()} & {p.data_ptr() for p in b.parameters()}


def test_a_lean_network_shares_its_parameters() -> None:
    network = paper_network(models.config("paper"))
    made = with_fast_unet(network)
    kept = len(list(made.parameters()))
    assert len(shared_storage(network, made)) == kept > 20
