"""Train a model of the shipped kind: the prior, its contexts, then the denoiser on it.

Run as ``python -m rs_superres.train --help``. Each phase can be stopped at any time and goes on
from its last checkpoint when it is started again.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rs_superres.checkpoint import load_weights, save_weights
from rs_superres.config import ModelConfig, read_config, to_toml
from rs_superres.dataset import Batch, Crops, Pixels, read_images
from rs_superres.diffusion.preconditioning import Preconditioning, training_sigmas
from rs_superres.errors import InputError
from rs_superres.nets.build import SceneNetwork, scene_network
from rs_superres.nets.denoiser import ResidualDenoiser
from rs_superres.nets.prior import ScenePrior, cubic, scene_samples

CHECKPOINT_SECONDS = 120.0
"""How often a run's state is written."""

BORDER = 2
"""Low-resolution cells at a crop's border whose features are spoiled by padding: not trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """How one phase is run."""

    folder: Path
    """Where its state and its log stand."""
    seconds: float
    """How long it takes: the learning rate falls to nothing over this time."""
    learning_rate: float
    """The highest."""
    warmup: int = 200
    """Iterations over which it rises."""
    ema: float = 0.999
    """How slowly the averaged weights follow."""


def fit(network: nn.Module, loss_of: Callable[[], Tensor], phase: Phase) -> None:
    """Minimise a loss; leaves the averaged weights in the network.

    Args:
        network: what is trained.
        loss_of: draws a batch and computes its loss.
        phase: how.
    """
    phase.folder.mkdir(parents=True, exist_ok=True)
    state_path = phase.folder / "state.pt"
    optimizer = torch.optim.Adam(network.parameters(), phase.learning_rate, betas=(0.9, 0.99))
    average = {k: v.clone() for k, v in network.state_dict().items()}
    step, spent = 0, 0.0
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        average, step, spent = state["average"], state["step"], state["spent"]
    losses: list[float] = []
    tick = saved = time.monotonic()
    with (phase.folder / "log.jsonl").open("a") as log:
        while spent < phase.seconds:
            rate = phase.learning_rate * min(1, (step + 1) / phase.warmup)
            rate *= 0.5 * (1 + math.cos(math.pi * spent / phase.seconds)) + 0.002
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = loss_of()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's stub
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            step += 1
            losses.append(float(loss.detach()))
            keep = min(phase.ema, (step + 1) / (step + 10))
            for name, value in network.state_dict().items():
                average[name].lerp_(value, 1 - keep)
            now = time.monotonic()
            spent, tick = spent + now - tick, now
            if step % 50 == 0:
                line = {"step": step, "seconds": round(spent), "loss": float(np.mean(losses))}
                print(json.dumps(line | {"rate": rate}), file=log, flush=True)
                losses = []
            if now - saved > CHECKPOINT_SECONDS or spent >= phase.seconds:
                state = {
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "average": average,
                    "step": step,
                    "spent": spent,
                }
                temporary = state_path.with_suffix(".part")
                torch.save(state, temporary)
                temporary.replace(state_path)
                saved = now
    network.load_state_dict(average)


def draw_scale(chance: np.random.Generator) -> float:
    """A magnification: mostly up to 4.5, where detail can be had, a quarter up to 7.9."""
    return chance.uniform(1.25, 4.5) if chance.random() < 0.75 else chance.uniform(4.5, 7.9)


def prior_loss(prior: ScenePrior, batch: Batch, chance: np.random.Generator, side: int) -> Tensor:
    """Mean absolute error at side x side random rows and columns of the crops."""
    cells = batch.low.shape[-1]
    positions = batch.positions
    inside = np.flatnonzero((positions >= BORDER) & (positions < cells - 1 - BORDER))
    rows, columns = (np.sort(chance.permutation(inside)[:side]) for _ in range(2))
    samples = scene_samples(positions[rows]), scene_samples(positions[columns])
    cell = torch.full((2,), 2 / batch.scale)
    low = batch.low.contiguous(memory_format=torch.channels_last)
    made = cubic(low, *samples) + prior.residual(low, *samples, cell)
    return (made - batch.high[:, :, rows][:, :, :, columns]).abs().mean()


def train_prior(prior: ScenePrior, images: list[Pixels], phase: Phase, *, seed: int) -> None:
    """Train the prior with contexts from the crops themselves."""
    torch.manual_seed(seed)
    crops = Crops(images, np.random.default_rng(seed))

    def loss() -> Tensor:
        batch = crops.batch(10, 32, draw_scale(crops.generator))
        return prior_loss(prior, batch, crops.generator, side=40)

    fit(prior, loss, phase)


@torch.no_grad()
def calibrate(prior: ScenePrior, images: list[Pixels], *, seed: int) -> None:
    """Set the stored contexts: their means over training crops at each stored scale."""
    for i, scale in enumerate(prior.context_scales.tolist()):
        batch, places = _calibration_batch(images, scale, seed)
        samples = scene_samples(batch.positions[places])
        cell = torch.full((2,), 2 / batch.scale)
        x = prior.operator.lifted(prior.encoder(batch.low), samples, samples, cell)
        for j, block in enumerate(prior.operator.blocks):
            prior.contexts[i, j] = block.context(x).mean(0)
            x = block(x, prior.contexts[i, j])


@torch.no_grad()
def measure_residual(network: SceneNetwork, images: list[Pixels], *, seed: int) -> None:
    """Set the stored deviations of truth less prior at each scale."""
    if network.denoiser is None:
        return
    for i, scale in enumerate(network.denoiser.deviation_scales.tolist()):
        batch, places = _calibration_batch(images, scale, seed)
        prior = _prior_at(network.prior, batch, places)
        truth = batch.high[:, :, places][:, :, :, places]
        network.denoiser.deviations[i] = (truth - prior).square().mean().sqrt()


def _calibration_batch(images: list[Pixels], scale: float, seed: int) -> tuple[Batch, Tensor]:
    """64 crops at a scale, and up to 32 rows (or columns) of them away from the border."""
    cells = min(40, int(248 / scale))
    batch = Crops(images, np.random.default_rng(seed), grey=0.0).batch(64, cells, scale)
    inside = (batch.positions >= BORDER) & (batch.positions < cells - 1 - BORDER)
    places = inside.nonzero()[:, 0]
    return batch, places[:: max(1, len(places) // 32)]


def _prior_at(prior: ScenePrior, batch: Batch, places: Tensor) -> Tensor:
    """The prior, with the stored contexts, at some rows and columns of the crops."""
    samples = scene_samples(batch.positions[places])
    cell = torch.full((2,), 2 / batch.scale)
    low = batch.low.contiguous(memory_format=torch.channels_last)
    return prior.grid(low, samples, samples, prior.folded(batch.scale, cell))


def denoiser_loss(denoiser: ResidualDenoiser, truth: Tensor, prior: Tensor, scale: float) -> Tensor:
    """The squared error of the clean residual, weighted by 1 / c_out^2 (Karras et al. 2022).

    Args:
        denoiser: what is trained.
        truth: (b, 3, h, w) in network values.
        prior: the same place.
        scale: the magnification.
    """
    clean = (truth - prior) / denoiser.deviation(scale)
    sigma = training_sigmas(torch.randn(len(clean)))
    wide = sigma[:, None, None, None]
    estimate = denoiser.denoise(clean + wide * torch.randn_like(clean), prior, sigma, scale)
    weight = 1 / Preconditioning.at(wide).out ** 2
    return (weight * (estimate - clean) ** 2).mean()


def train_denoiser(
    network: SceneNetwork, images: list[Pixels], phase: Phase, *, seed: int, side: int = 64
) -> None:
    """Train the denoiser on the frozen prior, on side x side pixels."""
    denoiser = network.denoiser
    if denoiser is None:
        raise InputError("this model has no denoiser to train")
    torch.manual_seed(seed)
    crops = Crops(images, np.random.default_rng(seed))

    def loss() -> Tensor:
        scale = float(np.exp(crops.generator.uniform(math.log(1.5), math.log(7.9))))
        # Cells for the pixels, and 8 on either side that the prior sees.
        batch = crops.batch(8, math.ceil(side / scale) + 16, scale)
        first = (batch.high.shape[-1] - side) // 2
        places = torch.arange(first, first + side)
        with torch.no_grad():
            prior = _prior_at(network.prior, batch, places)
        truth = batch.high[:, :, places][:, :, :, places]
        return denoiser_loss(denoiser, truth, prior, batch.scale)

    fit(denoiser, loss, phase)


def main(arguments: list[str] | None = None) -> None:
    """Train one phase of a model from the command line."""
    parser = argparse.ArgumentParser(prog="python -m rs_superres.train", description=__doc__)
    parser.add_argument("phase", choices=["prior", "denoiser"])
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of images")
    parser.add_argument("--config", type=Path, required=True, help="the model's config.toml")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--start", type=Path, help="weights to start from")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    config = read_config(given.config)
    network = scene_network(config)
    network.prior.encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if given.start:
        load_weights(network, given.start)
    images = read_images(given.data)
    phase = Phase(
        folder=given.out / given.phase, seconds=given.minutes * 60, learning_rate=given.rate
    )
    if given.phase == "prior":
        train_prior(network.prior, images, phase, seed=given.seed)
        calibrate(network.prior, images, seed=given.seed)
    else:
        network.prior.requires_grad_(False)
        measure_residual(network, images, seed=given.seed)
        train_denoiser(network, images, phase, seed=given.seed)
    save_model(network, config, given.out)


def save_model(network: SceneNetwork, config: ModelConfig, folder: Path) -> None:
    """Write a model folder; its card is written by hand from what was measured."""
    (folder / "config.toml").write_text(to_toml(config), encoding="utf-8")
    save_weights(network, folder / "weights.safetensors")


if __name__ == "__main__":
    main(sys.argv[1:])
