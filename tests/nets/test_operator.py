"""The operator: its folded form is its definition, and the shipped prior is local."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rs_superres.nets.encoders import Edsr
from rs_superres.nets.operator import GalerkinBlock, HeadNorm, NeuralOperator, paper_samples
from rs_superres.nets.prior import ScenePrior, cubic, interpolated, scene_samples

SCALES = (1.0, 2.0, 4.0, 8.0)


def random_prior(seed: int, *, channels: int = 6, width: int = 16) -> ScenePrior:
    """A small prior whose weights and contexts are all random."""
    generator = torch.Generator().manual_seed(seed)
    operator = NeuralOperator(features=channels, width=width, heads=4, hidden=12)
    prior = ScenePrior(Edsr(channels, blocks=2), operator, SCALES)
    with torch.no_grad():
        for tensor in prior.parameters():
            spread = 1 / np.sqrt(max(tensor[0].numel(), 4))
            tensor.copy_(spread * torch.randn(tensor.shape, generator=generator))
        prior.contexts.copy_(torch.randn(prior.contexts.shape, generator=generator))
    return prior.eval().requires_grad_(False)


def random_image(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def positions(start: float, step: float, count: int) -> Tensor:
    return start + step * torch.arange(count, dtype=torch.float64)


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
    for chunk in (1, 13, 40):
        monkeypatch.setattr("rs_superres.nets.folded.CHUNK", chunk)
        torch.testing.assert_close(prior.grid(image, rows, columns, folded), whole)


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("side", [-1, 1])
def test_scene_prior_is_local(axis: int, side: int) -> None:
    prior, image = random_prior(2), random_image(2, 1, 3, 40, 40)
    assert prior.halo == 2 * 2 + 2 + 2
    samples = scene_samples(torch.tensor([20.0, 20.4, 20.9], dtype=torch.float64))
    folded = prior.folded(3.0, torch.tensor((0.5, 0.5)))
    before = prior.grid(image, samples, samples, folded)
    # The cells within the halo of a query at 20.x are 20 - halo + 1 to 20 + halo, and one more
    # on each side may be asked for.
    edge = 20 - prior.halo - 1 if side < 0 else 20 + prior.halo + 1
    far = image.clone()
    far.narrow(axis, 0 if side < 0 else edge, edge + 1 if side < 0 else 40 - edge).add_(5)
    assert torch.equal(prior.grid(far, samples, samples, folded), before)


def test_scene_prior_reaches_as_far_as_the_encoder_sees() -> None:
    prior = random_prior(3)
    image = random_image(3, 1, 3, 40, 40).double().requires_grad_()
    prior.double()
    samples = scene_samples(torch.tensor([20.5], dtype=torch.float64))
    cell = torch.tensor((0.5, 0.5))
    residual = prior.residual(image, samples, samples, cell, prior.contexts_at(2.0))
    [gradient] = torch.autograd.grad(residual.sum(), image)
    reached = gradient.abs().sum((0, 1, 2)).nonzero().flatten()
    radius = prior.encoder.radius
    assert (int(reached.min()), int(reached.max())) == (20 - radius, 21 + radius)


def test_tiles_of_the_prior_agree() -> None:
    """A window with the halo gives what the whole image gives."""
    prior, image = random_prior(4), random_image(4, 1, 3, 60, 50)
    folded = prior.folded(2.7, torch.tensor((0.7, 0.7)))
    rows, columns = positions(20.1, 0.35, 20), positions(21.3, 0.35, 9)
    whole = prior.grid(image, scene_samples(rows), scene_samples(columns), folded)
    top, left = 20 - prior.halo, 21 - prior.halo
    bottom, right = int(rows[-1]) + prior.halo + 1, int(columns[-1]) + prior.halo + 1
    window = image[:, :, top:bottom, left:right]
    part = prior.grid(window, scene_samples(rows, top), scene_samples(columns, left), folded)
    torch.testing.assert_close(part, whole, rtol=0, atol=1e-5)


def keys(distance: float) -> float:
    """Keys 1981, eq. 15."""
    d = abs(distance)
    if d < 1:
        return 1.5 * d**3 - 2.5 * d**2 + 1
    return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0


def test_cubic_is_a_sum_over_all_cells() -> None:
    image = random_image(5, 1, 2, 9, 11).double()
    y, x = positions(2.0, 0.37, 9), positions(1.2, 0.61, 11)
    down = torch.tensor([[keys(float(p) - i) for i in range(9)] for p in y], dtype=torch.float64)
    across = torch.tensor([[keys(float(p) - i) for i in range(11)] for p in x], dtype=torch.float64)
    ours = cubic(image, scene_samples(y), scene_samples(x))
    torch.testing.assert_close(ours, down @ image @ across.T, rtol=0, atol=1e-5)


def test_cubic_reproduces_quadratics() -> None:
    i, j = torch.arange(12.0, dtype=torch.float64)[:, None], torch.arange(14.0).double()
    y, x = positions(2.0, 0.31, 20), positions(3.0, 0.23, 22)
    image = 0.1 * i**2 - 0.2 * i * j + 0.05 * j**2 + j - 3
    y_, x_ = y[:, None], x
    truth = 0.1 * y_**2 - 0.2 * y_ * x_ + 0.05 * x_**2 + x_ - 3
    ours = cubic(image[None, None], scene_samples(y), scene_samples(x))
    torch.testing.assert_close(ours[0, 0], truth, rtol=0, atol=1e-4)


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


@pytest.mark.parametrize(
    ("scale", "value"), [(0.5, 0.0), (1.0, 0.0), (2.0, 1.0), (2**1.5, 1.5), (8.0, 3.0), (20.0, 3.0)]
)
def test_interpolation_is_linear_in_log_scale(scale: float, value: float) -> None:
    table, scales = torch.arange(4.0), torch.tensor(SCALES)
    assert interpolated(table, scales, scale).item() == pytest.approx(value)
