"""Contexts taken piece by piece are those of the whole image."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rs_superres.nets.build import paper_network
from rs_superres.nets.contexts import contexts_of, paper_grid
from rs_superres.nets.operator import AxisSamples
from rs_superres.nets.prior import PaperPrior, linear, scene_samples
from tests import models
from tests.nets.priors import random_image


def samples(start: float, step: float, count: int) -> AxisSamples:
    return scene_samples(start + step * torch.arange(count, dtype=torch.float64))


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


@pytest.mark.parametrize("count", [1, 2, 40])
def test_in_half_precision_fewer_queries_make_the_context(count: int) -> None:
    torch.manual_seed(7)
    network = paper_network(models.config("paper", denoiser=False)).eval()
    assert isinstance(network, PaperPrior)
    network.requires_grad_(False)
    image = random_image(6, 1, 3, 14, 12)
    rows, columns = samples(1.1, 0.25, count), samples(0.4, 0.25, count)
    cell = torch.tensor((0.5, 0.5), dtype=torch.float64)
    plain = network.grid(image, rows, columns, cell)
    drawn = plain - linear(image, rows, columns)
    made = paper_grid(network, image, rows, columns, cell, torch.bfloat16)
    assert made.dtype == torch.float32
    # bf16 rounds to 0.4 %.
    assert (made - plain).norm() < 0.02 * drawn.norm()
