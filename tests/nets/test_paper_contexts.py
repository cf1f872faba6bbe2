"""Contexts computed piece by piece equal those of the definition."""

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
def test_contexts_by_pieces_equal_the_definition(
    step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    pixel_size = torch.full((2,), 2 * step, dtype=torch.float64)
    features = network.encoder(image)
    x = operator.lifted(features, rows, columns, pixel_size)
    expected: list[Tensor] = []
    for block in operator.blocks:
        expected.append(block.context(x)[0])
        x = block(x)
    definition = network.grid(image, rows, columns, pixel_size)
    for chunk in (8, 65536):
        monkeypatch.setattr("rs_superres.nets.folded.CHUNK", chunk)
        contexts = contexts_of(operator, features[0].permute(1, 2, 0), rows, columns, pixel_size)
        torch.testing.assert_close(contexts, expected, rtol=0, atol=1e-5)
        result = paper_grid(network, image, rows, columns, pixel_size)
        torch.testing.assert_close(result, definition, rtol=0, atol=1e-5)


def paper_prior() -> PaperPrior:
    torch.manual_seed(7)
    network = paper_network(models.config("paper", denoiser=False)).eval()
    assert isinstance(network, PaperPrior)
    return network.requires_grad_(False)


@pytest.mark.parametrize("count", [1, 2, 3, 256])
@pytest.mark.parametrize("step", [1 / 4, 1 / 3, 2 / 3, 1 / 1.01])
def test_thinned_queries_are_distributed_like_all(count: int, step: float) -> None:
    """Compare positions in the image and positions between feature pixels, at any scale."""
    all_queries = samples(0.2, step, count)
    few = thinned(all_queries)
    assert 1 <= len(few.index) <= max(1, count / 3)
    if count < 256:
        return
    for values, expected in (
        (few.relative[:, 0], all_queries.relative[:, 0]),
        (few.index[:, 0], all_queries.index[:, 0]),
    ):
        width = float(expected.max() - expected.min())
        assert abs(values.double().mean() - expected.double().mean()) < 0.05 * width + 0.02
        assert values.double().std() == pytest.approx(expected.double().std(), rel=0.25)


@pytest.mark.parametrize("step", [1 / 4, 1 / 3, 2 / 3])
def test_half_precision_takes_contexts_from_thinned_queries(
    step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[tuple[int, int]] = []

    def counting(operator: NeuralOperator, features: Tensor, *grid: Any) -> list[Tensor]:
        counts.append((len(grid[0].index), len(grid[1].index)))
        return contexts_of(operator, features, *grid)

    monkeypatch.setattr("rs_superres.nets.paper_contexts.contexts_of", counting)
    network, image = paper_prior(), random_image(6, 1, 3, 14, 12)
    rows, columns = samples(1.1, step, 12), samples(0.4, step, 13)
    pixel_size = torch.full((2,), 2 * step, dtype=torch.float64)
    definition = network.grid(image, rows, columns, pixel_size)
    detail = (definition - linear(image, rows, columns)).norm()
    for dtype, count, tolerance in (
        (torch.float32, (12, 13), 1e-5),
        (torch.bfloat16, (3, 4), 0.05),
    ):
        result = paper_grid(network, image, rows, columns, pixel_size, dtype)
        assert result.dtype == torch.float32
        assert counts.pop() == count
        assert (result - definition).norm() < tolerance * detail
