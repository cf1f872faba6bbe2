"""The fast paths against the plain modules that they stand for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rs_superres.nets.build import paper_network, scene_network
from rs_superres.nets.contexts import contexts_of, paper_grid
from rs_superres.nets.lean import lean
from rs_superres.nets.neurop import NeurOpDiff
from rs_superres.nets.operator import AxisSamples
from rs_superres.nets.prior import PaperPrior, scene_samples
from tests import models
from tests.nets.test_operator import random_image


def samples(start: float, step: float, count: int) -> AxisSamples:
    return scene_samples(start + step * torch.arange(count, dtype=torch.float64))


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
            torch.testing.assert_close(lean(unet)(x, prior, told), before, rtol=0, atol=1e-5)
            assert torch.equal(unet(x, prior, told), before)  # the plain one stays as it was


def shared_storage(a: torch.nn.Module, b: torch.nn.Module) -> set[int]:
    return {p.data_ptr() for p in a.parameters()} & {p.data_ptr() for p in b.parameters()}


def test_a_lean_network_shares_its_parameters() -> None:
    network = paper_network(models.config("paper"))
    made = lean(network)
    kept = len(list(made.parameters()))
    assert len(shared_storage(network, made)) == kept > 20


@pytest.mark.parametrize("step", [0.25, 0.37, 1.0])
def test_contexts_piece_by_piece(step: float, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(5)
    network = paper_network(models.config("paper", denoiser=False)).eval()
    assert isinstance(network, PaperPrior)
    network.requires_grad_(False)
    operator = network.operator
    image = random_image(6, 1, 3, 14, 12)
    rows, columns = samples(1.1, step, 9), samples(0.4, step, 10)
    cell = torch.tensor((2 * step, 2 * step), dtype=torch.float64)
    features = network.encoder(image)
    x = operator.lifted(features, rows, columns, cell)
    expected: list[Tensor] = []
    for block in operator.blocks:
        expected.append(block.context(x)[0])
        x = block(x)
    plain = network.grid(image, rows, columns, cell)
    for chunk in (8, 65536):
        monkeypatch.setattr("rs_superres.nets.folded.CHUNK", chunk)
        found = contexts_of(operator, features[0].permute(1, 2, 0), rows, columns, cell)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        ours = paper_grid(network, image, rows, columns, cell)
        torch.testing.assert_close(ours, plain, rtol=0, atol=1e-5)
