"""Contexts taken piece by piece are those of the whole image."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from rs_superres.nets.build import paper_network
from rs_superres.nets.galerkin import AxisSamples, NeuralOperator
from rs_superres.nets.paper_contexts import contexts_of, paper_grid, thinned
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
    for block in operator.blocks:
        for tensor in (*block.key_norm.parameters(), *block.value_norm.parameters()):
            tensor.normal_()
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


def paper_prior() -> PaperPrior:
    torch.manual_seed(7)
    network = paper_network(models.config("paper", denoiser=False)).eval()
    assert isinstance(network, PaperPrior)
    return network.requires_grad_(False)


@pytest.mark.parametrize("count", [1, 2, 3, 256])
@pytest.mark.parametrize("step", [1 / 4, 1 / 3, 2 / 3, 1 / 1.01])
def test_fewer_queries_lie_like_all(count: int, step: float) -> None:
    """Among the image, and among the places in a cell, whatever the scale."""
    whole = samples(0.2, step, count)
    few = thinned(whole)
    assert 1 <= len(few.index) <= max(1, count / 3)
    if count < 256:
        return
    for made, every in (
        (few.relative[:, 0], whole.relative[:, 0]),
        (few.index[:, 0], whole.index[:, 0]),
    ):
        wide = float(every.max() - every.min())
        assert abs(made.double().mean() - every.double().mean()) < 0.05 * wide + 0.02
        assert made.double().std() == pytest.approx(every.double().std(), rel=0.25)


@pytest.mark.parametrize("step", [1 / 4, 1 / 3, 2 / 3])
def test_in_half_precision_fewer_queries_make_the_context(
    step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def counted(operator: NeuralOperator, features: Tensor, *places: Any) -> list[Tensor]:
        asked.append((len(places[0].index), len(places[1].index)))
        return contexts_of(operator, features, *places)

    monkeypatch.setattr("rs_superres.nets.paper_contexts.contexts_of", counted)
    network, image = paper_prior(), random_image(6, 1, 3, 14, 12)
    rows, columns = samples(1.1, step, 12), samples(0.4, step, 13)
    cell = torch.full((2,), 2 * step, dtype=torch.float64)
    plain = network.grid(image, rows, columns, cell)
    share = (plain - linear(image, rows, columns)).norm()
    for dtype, few, apart in ((torch.float32, (12, 13), 1e-5), (torch.bfloat16, (3, 4), 0.05)):
        made = paper_grid(network, image, rows, columns, cell, dtype)
        assert made.dtype == torch.float32
        assert asked.pop() == few
        assert (made - plain).norm() < apart * share
