"""From a configuration to the network that it describes."""

from __future__ import annotations

from typing import assert_never

import torch
from torch import Tensor, nn

from rs_superres.config import EncoderConfig, ModelConfig, OperatorConfig, UNetConfig
from rs_superres.nets.denoiser import ResidualDenoiser
from rs_superres.nets.encoders import Edsr, Rdn
from rs_superres.nets.galerkin import NeuralOperator
from rs_superres.nets.prior import PaperPrior, ScenePrior
from rs_superres.nets.unet import UNet


class SceneNetwork(nn.Module):
    """The shipped kind: a local prior, and a local denoiser unless it is the prior alone."""

    def __init__(self, prior: ScenePrior, denoiser: ResidualDenoiser | None) -> None:
        super().__init__()
        self.prior = prior
        self.denoiser = denoiser


def lay_out(network: nn.Module) -> None:
    """Lay the convolutions' weights out as they are fastest, channels last.

    Theirs alone: the prior's contexts have five dimensions, and the whole network's ``to`` would
    refuse those.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data = layer.weight.contiguous(memory_format=torch.channels_last)


def encoder(config: EncoderConfig) -> Edsr | Rdn:
    """The encoder of a configuration."""
    match config.name:
        case "rdn":
            return Rdn(config.channels, config.blocks, config.layers, config.growth)
        case "edsr" | "edsr-baseline":
            return Edsr(config.channels, config.blocks, config.residual_scale)
        case _:
            assert_never(config.name)


def operator(config: OperatorConfig, features: int) -> NeuralOperator:
    """The operator of a configuration."""
    return NeuralOperator(
        features=features, width=config.width, heads=config.heads, hidden=config.hidden
    )


def unet(config: UNetConfig) -> UNet:
    """The U-Net of a configuration."""
    return UNet(
        channels=config.channels,
        multipliers=config.multipliers,
        blocks=config.blocks,
        norm_groups=config.norm_groups,
        attention_levels=config.attention_levels,
        middle_attention=config.middle_attention,
        conditions=config.conditions,
        dropout=config.dropout,
        patch=config.patch,
    )


def scene_network(config: ModelConfig) -> SceneNetwork:
    """A network of the shipped kind."""
    features = config.encoder.channels
    scales = config.operator.scales
    prior = ScenePrior(encoder(config.encoder), operator(config.operator, features), scales)
    if config.denoiser is None:
        return SceneNetwork(prior, None)
    return SceneNetwork(prior, ResidualDenoiser(unet(config.denoiser), scales))


def paper_network(config: ModelConfig) -> NeurOpDiff | PaperPrior:
    """The paper's network, or its prior where there is no denoiser."""
    features = config.encoder.channels
    prior = PaperPrior(encoder(config.encoder), operator(config.operator, features))
    return prior if config.denoiser is None else NeurOpDiff(prior, unet(config.denoiser))


class NeurOpDiff(nn.Module):
    """NeurOp-Diff (arXiv 2501.09054): an SRNO prior and the SR3 U-Net that it guides."""

    def __init__(self, prior: PaperPrior, unet: UNet) -> None:
        super().__init__()
        self.prior = prior
        self.unet = unet

    def predict_noise(self, x: Tensor, prior: Tensor, level: Tensor) -> Tensor:
        """The noise in ``x``: spec section 2.

        Args:
            x: (b, 3, h, w) noisy image.
            prior: (b, 3, h, w) in [-1, 1].
            level: (b, 1) g = sqrt(a).

        Returns:
            (b, 3, h, w).
        """
        noise: Tensor = self.unet(x, prior, level)
        return noise
