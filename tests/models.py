"""Tiny models, made on the spot: as slow as a test can bear, as random as a network can be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from rs_superres.config import (
    EncoderConfig,
    ModelConfig,
    OperatorConfig,
    SamplerConfig,
    TileConfig,
    TrainedConfig,
    UNetConfig,
    to_toml,
)
from rs_superres.nets.build import SceneNetwork, paper_network, scene_network
from rs_superres.zoo.checkpoint import save_weights


def config(
    kind: str = "scene", *, denoiser: bool = True, tiles: TileConfig | None = None
) -> ModelConfig:
    """A tiny model of a kind; its prior reaches 8 source pixels."""
    scene = kind == "scene"
    whole = ModelConfig(
        kind="scene" if scene else "paper",
        encoder=EncoderConfig(name="edsr-baseline", channels=4, blocks=2),
        operator=OperatorConfig(width=8, heads=2, hidden=4, scales=(1.0, 8.0) if scene else ()),
        denoiser=UNetConfig(
            channels=4,
            multipliers=(1, 2),
            norm_groups=0 if scene else 2,
            middle_attention=not scene,
            conditions=2 if scene else 1,
            dropout=0.5,
        ),
        sampler=SamplerConfig(steps=4),
        tiles=tiles or TileConfig(),
        trained=TrainedConfig(scales=(1.0, 8.0)),
    )
    return whole if denoiser else replace(whole, denoiser=None)


def scramble(network: SceneNetwork, seed: int) -> None:
    """Draw all weights, contexts too, so that no part of the network is idle.

    What the operator adds stays near a tenth of the value range: the result looks like its source.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in network.parameters():
            spread = max(tensor[0].numel(), 4) ** -0.5
            tensor.copy_(spread * torch.randn(tensor.shape, generator=generator))
        contexts = network.prior.contexts
        contexts.copy_(torch.randn(contexts.shape, generator=generator))
        network.prior.operator.output.weight.mul_(0.1)
        network.prior.operator.output.bias.mul_(0.1)


def write(path: Path, made: ModelConfig, *, seed: int = 1) -> Path:
    """A model folder."""
    path.mkdir()
    (path / "config.toml").write_text(to_toml(made))
    (path / "card.md").write_text("# Made\n\nFor tests.\n")
    if made.kind == "scene":
        network = scene_network(made)
        scramble(network, seed)
        save_weights(network, path / "weights.safetensors")
    else:
        torch.manual_seed(seed)
        save_weights(paper_network(made), path / "weights.safetensors")
    return path
