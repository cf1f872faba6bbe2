"""Tiny models with random weights, for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from rs_superres.config import (
    EncoderConfig,
    ModelConfig,
    OperatorConfig,
    SamplerConfig,
    TextureConfig,
    TileConfig,
    TrainedConfig,
    UNetConfig,
    to_toml,
)
from rs_superres.nets.build import SceneNetwork, paper_network, scene_network
from rs_superres.zoo.checkpoint import save_weights

TEXTURE = TextureConfig(channels=6, blocks=1, spread_channels=4, spread_blocks=1)
"""A tiny network for texture."""


class Intruder:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


def config(
    kind: str = "scene",
    *,
    denoiser: bool = True,
    tiles: TileConfig | None = None,
) -> ModelConfig:
    """Configure a tiny model of a kind; its prior depends on 8 source pixels around a query.

    Args:
        kind: ``scene`` or ``paper``.
        denoiser: False for a prior alone.
        tiles: the sizes of cells; the default ones otherwise.
    """
    scene = kind == "scene"
    unet = UNetConfig(channels=4, multipliers=(1, 2), norm_groups=2, middle_attention=True)
    return ModelConfig(
        kind="scene" if scene else "paper",
        encoder=EncoderConfig(name="edsr-baseline", channels=4, blocks=2),
        operator=OperatorConfig(width=8, heads=2, hidden=4, scales=(1.0, 8.0) if scene else ()),
        denoiser=unet if denoiser and not scene else None,
        texture=TEXTURE if denoiser and scene else None,
        sampler=SamplerConfig(steps=4),
        tiles=tiles or TileConfig(),
        trained=TrainedConfig(scales=(1.0, 8.0)),
    )


def scramble(network: SceneNetwork, seed: int) -> None:
    """Draw all weights and contexts at random, so that every part of the network has an effect.

    The operator adds about a tenth of the value range, and texture less, so results look like
    their sources.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in network.parameters():
            std = max(tensor[0].numel(), 4) ** -0.5
            tensor.copy_(std * torch.randn(tensor.shape, generator=generator))
        contexts = network.prior.contexts
        contexts.copy_(torch.randn(contexts.shape, generator=generator))
        network.prior.operator.output.weight.mul_(0.1)
        network.prior.operator.output.bias.mul_(0.1)
        if network.denoiser is not None:
            for tensor in network.denoiser.spread.tail.parameters():
                tensor.mul_(0.1)


def write(path: Path, model: ModelConfig, *, seed: int = 1) -> Path:
    """Write a model folder with random weights, and return its path."""
    path.mkdir(parents=True)
    (path / "config.toml").write_text(to_toml(model))
    (path / "card.md").write_text("# Tiny\n\nFor tests.\n")
    if model.kind == "scene":
        network = scene_network(model)
        scramble(network, seed)
        save_weights(network, path / "weights.safetensors")
    else:
        torch.manual_seed(seed)
        save_weights(paper_network(model), path / "weights.safetensors")
    return path
