"""Training: a few iterations of each phase, by a clock that the tests turn."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from rs_superres import train, zoo
from rs_superres.config import to_toml
from rs_superres.dataset import Crops
from rs_superres.errors import InputError
from rs_superres.nets.build import SceneNetwork, scene_network
from rs_superres.nets.prior import cubic, scene_samples
from rs_superres.train import Phase, calibrate, denoiser_loss, fit, measure_residual, prior_loss
from tests import models
from tests.rasters import Array, textured


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second goes by at each look: so many seconds, so many iterations."""
    ticks = itertools.count()
    monkeypatch.setattr(train, "time", SimpleNamespace(monotonic=lambda: float(next(ticks))))


@pytest.fixture(scope="module")
def images() -> list[Array]:
    return [textured(i, 3, 270, 300) for i in range(2)]


@pytest.fixture
def network() -> SceneNetwork:
    torch.manual_seed(1)
    return scene_network(models.config())


def phase(folder: Path, seconds: float, **more: Any) -> Phase:
    return Phase(folder=folder, seconds=seconds, **{"learning_rate": 1e-2, "warmup": 1, **more})


def states(network: nn.Module) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in network.state_dict().items()}


# Fitting


class Line(nn.Module):
    """y = w x, to be fitted to y = 3 x."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))

    def loss(self) -> Tensor:
        return (self.w - 3).square().sum()


def test_fit_minimises_and_logs(tmp_path: Path) -> None:
    line = Line()
    fit(line, line.loss, phase(tmp_path / "run", 400, learning_rate=0.1))
    assert line.w.item() == pytest.approx(3, abs=0.05)
    log = [json.loads(row) for row in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in log] == list(range(50, 401, 50))
    assert log[-1]["loss"] < log[0]["loss"]
    assert log[-1]["rate"] < log[0]["rate"] / 20  # falls to nothing


def test_fit_goes_on_from_its_state(tmp_path: Path) -> None:
    first = Line()
    fit(first, first.loss, phase(tmp_path, 6))
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert (state["step"], state["spent"]) == (6, 6)
    assert first.w.item() == state["average"]["w"].item() != state["network"]["w"].item()
    # The time is up: another start adds nothing, and finds the averaged weights.
    again = Line()
    fit(again, again.loss, phase(tmp_path, 6))
    assert torch.equal(again.w, first.w)
    # More time: it goes on, from the weights as they were trained.
    seen: list[float] = []
    more = Line()

    def loss() -> Tensor:
        seen.append(float(more.w.detach()))
        return more.loss()

    fit(more, loss, phase(tmp_path, 9))
    assert len(seen) == 3
    assert seen[0] == state["network"]["w"].item() != 0
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 9
    assert not (tmp_path / "state.part").exists()


def test_a_stopped_fit_loses_no_more_than_its_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", 4.0)
    line, left = Line(), iter(range(13))

    def loss() -> Tensor:
        next(left)
        return line.loss()

    with pytest.raises(StopIteration):
        fit(line, loss, phase(tmp_path, 100))
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 10
    # Gone on with, it ends as if it had never stopped: the optimiser's memory is kept too.
    fit(line, line.loss, phase(tmp_path, 100))
    undisturbed = Line()
    fit(undisturbed, undisturbed.loss, phase(tmp_path / "other", 100))
    assert torch.equal(line.w, undisturbed.w)


# Losses


def test_prior_loss_of_the_cubic_is_its_error(network: SceneNetwork, images: list[Array]) -> None:
    """With nothing added, the loss over all inner pixels is the cubic's mean absolute error."""
    nn.init.zeros_(network.prior.operator.output.weight)
    nn.init.zeros_(network.prior.operator.output.bias)
    batch = Crops(images, np.random.default_rng(1)).batch(2, 12, 2.0)
    loss = prior_loss(network.prior, batch, np.random.default_rng(1), side=999)
    places = scene_samples(batch.positions[5:-5])  # two low-resolution cells on either side
    error = cubic(batch.low, places, places) - batch.high[:, :, 5:-5, 5:-5]
    assert loss.item() == pytest.approx(error.abs().mean().item(), rel=1e-5)


@pytest.mark.parametrize("scale", [1.3, 3.5, 7.9])
def test_prior_loss_reaches_every_weight(
    network: SceneNetwork, images: list[Array], scale: float
) -> None:
    models.scramble(network, 2)
    batch = Crops(images, np.random.default_rng(1)).batch(2, 24, scale)
    loss = prior_loss(network.prior, batch, np.random.default_rng(1), side=16)
    assert loss.isfinite()
    loss.backward()  # type: ignore[no-untyped-call]  # torch's stub
    for name, weight in network.prior.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.abs().sum() > 0, name


def test_denoiser_loss_reaches_every_weight(network: SceneNetwork) -> None:
    models.scramble(network, 2)
    assert network.denoiser is not None
    torch.manual_seed(2)
    truth, prior = torch.randn(2, 4, 3, 16, 16) * 0.3
    loss = denoiser_loss(network.denoiser, truth, prior, 3.0)
    assert loss.isfinite()
    loss.backward()  # type: ignore[no-untyped-call]  # torch's stub
    for name, weight in network.denoiser.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name


def test_scales_are_drawn_from_the_whole_range() -> None:
    chance = np.random.default_rng(1)
    drawn = np.array([train.draw_scale(chance) for _ in range(2000)])
    assert 1.25 <= drawn.min() < 1.3
    assert 7.8 < drawn.max() <= 7.9
    assert 0.7 < (drawn < 4.5).mean() < 0.8


# Phases


def test_the_prior_phase_learns(tmp_path: Path, network: SceneNetwork, images: list[Array]) -> None:
    prior = network.prior
    before = states(prior)
    batch = Crops(images, np.random.default_rng(9)).batch(4, 24, 3.0)

    def error() -> float:
        with torch.no_grad():
            return prior_loss(prior, batch, np.random.default_rng(1), side=32).item()

    train.train_prior(prior, images, phase(tmp_path, 1, learning_rate=0.0), seed=1)
    cubic_error = error()
    (tmp_path / "state.pt").unlink()
    train.train_prior(prior, images, phase(tmp_path, 25), seed=1)
    assert error() < cubic_error
    assert all(bool(v.isfinite().all()) for v in prior.state_dict().values())
    after = states(prior)
    assert not torch.equal(before["encoder.head.weight"], after["encoder.head.weight"])


def test_calibration_sets_the_contexts(network: SceneNetwork, images: list[Array]) -> None:
    models.scramble(network, 2)
    prior = network.prior
    prior.contexts.zero_()
    calibrate(prior, images, seed=1)
    first = prior.contexts.clone()
    assert first.isfinite().all()
    assert all(context.abs().sum() > 0 for context in first.flatten(0, 1))
    assert not torch.equal(first[0], first[1])
    calibrate(prior, images, seed=1)
    assert torch.equal(prior.contexts, first)
    # What they stand for: the operator with contexts of the image at hand, in the mean.
    batch, places = train._calibration_batch(images, 8.0, 1)
    samples = scene_samples(batch.positions[places])
    cell = torch.full((2,), 2 / batch.scale)
    with torch.no_grad():
        own = prior.residual(batch.low, samples, samples, cell)
        stored = prior.residual(batch.low, samples, samples, cell, prior.contexts_at(8.0))
        none = prior.residual(batch.low, samples, samples, cell, torch.zeros_like(first[0]))
    assert (stored - own).abs().mean() < 0.3 * (none - own).abs().mean()


def test_the_residual_is_measured(network: SceneNetwork, images: list[Array]) -> None:
    nn.init.zeros_(network.prior.operator.output.weight)
    nn.init.zeros_(network.prior.operator.output.bias)
    assert network.denoiser is not None
    measure_residual(network, images, seed=1)
    for scale, found in zip((1.0, 8.0), network.denoiser.deviations.tolist(), strict=True):
        batch, places = train._calibration_batch(images, scale, 1)
        samples = scene_samples(batch.positions[places])
        error = batch.high[:, :, places][:, :, :, places] - cubic(batch.low, samples, samples)
        assert found == pytest.approx(error.square().mean().sqrt().item(), rel=1e-4)
    assert network.denoiser.deviations[1] > 2 * network.denoiser.deviations[0]


def test_the_denoiser_phase_leaves_the_prior_alone(
    tmp_path: Path, network: SceneNetwork, images: list[Array]
) -> None:
    models.scramble(network, 2)
    before = states(network)
    train.train_denoiser(network, images, phase(tmp_path, 3), seed=1, side=16)
    after = states(network)
    changed = {name.split(".")[0] for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"denoiser"}
    assert all(bool(v.isfinite().all()) for v in after.values())


def test_a_prior_alone_has_no_denoiser_to_train(tmp_path: Path, images: list[Array]) -> None:
    alone = scene_network(models.config(denoiser=False))
    measure_residual(alone, images, seed=1)
    with pytest.raises(InputError, match="has no denoiser to train"):
        train.train_denoiser(alone, images, phase(tmp_path, 1), seed=1)


def test_both_phases_from_the_command_line(tmp_path: Path, images: list[Array]) -> None:
    (tmp_path / "data").mkdir()
    Image.fromarray(images[0].transpose(1, 2, 0)).save(tmp_path / "data" / "a.png")
    (tmp_path / "config.toml").write_text(to_toml(models.config()))
    run = tmp_path / "run"
    common = ["--data", str(tmp_path / "data"), "--config", str(tmp_path / "config.toml")]
    common += ["--out", str(run), "--minutes", "0.02"]
    train.main(["prior", *common])
    prior = zoo.load(str(run))
    assert isinstance(prior.network, SceneNetwork)
    assert prior.network.prior.contexts.abs().sum() > 0
    assert prior.config == models.config()
    train.main(["denoiser", *common, "--start", str(run / "weights.safetensors")])
    whole = zoo.load(str(run))
    assert isinstance(whole.network, SceneNetwork)
    for name, tensor in prior.network.prior.state_dict().items():
        assert torch.equal(tensor, whole.network.prior.state_dict()[name])
    assert whole.network.denoiser is not None
    assert (whole.network.denoiser.deviations != 0.15).all()
    assert {p.name for p in run.iterdir()} >= {"prior", "denoiser", "config.toml"}
