"""The networks of a model as one module each, and how to build them from a configuration.

:class:`SceneNetwork` holds the networks of the shipped models, :class:`NeurOpDiff` those of the
paper. The functions build networks with random weights; :func:`rs_superres.zoo.load` reads the
weights of a model.
"""

from __future__ import annotations

from typing import assert_never

import torch
from torch import Tensor, nn

from rs_superres.config import EncoderConfig, ModelConfig, OperatorConfig, UNetConfig
from rs_superres.nets.encoders import Edsr, Encoder, Rdn
from rs_superres.nets.galerkin import NeuralOperator
from rs_superres.nets.prior import PaperPrior, ScenePrior
from rs_superres.nets.texture import TextureDenoiser
from rs_superres.nets.unet import UNet


class SceneNetwork(nn.Module):
    """The networks of a shipped model, all local: a value depends on a limited neighbourhood.

    Args:
        prior: the neural operator with stored contexts.
        denoiser: what draws detail by diffusion; None for a model that is a prior alone.
    """

    def __init__(self, prior: ScenePrior, denoiser: TextureDenoiser | None) -> None:
        super().__init__()
        self.prior = prior
        self.denoiser = denoiser


class NeurOpDiff(nn.Module):
    """The networks of NeurOp-Diff (arXiv 2501.09054).

    Args:
        prior: the SRNO prior.
        unet: the SR3 U-Net that the prior guides.
    """

    def __init__(self, prior: PaperPrior, unet: UNet) -> None:
        super().__init__()
        self.prior = prior
        self.unet = unet

    def predict_noise(self, x: Tensor, prior: Tensor, level: Tensor) -> Tensor:
        """Predict the noise e in x = g x_0 + sqrt(1 - g^2) e.

        Args:
            x: (b, 3, h, w) noisy image.
            prior: (b, 3, h, w) result of the prior, about [-1, 1].
            level: (b, 1) noise level g = sqrt(a_t), a_t the product of 1 - beta up to step t.

        Returns:
            (b, 3, h, w) noise, of about unit standard deviation.
        """
        noise: Tensor = self.unet(x, prior, level)
        return noise


def scene_network(config: ModelConfig) -> SceneNetwork:
    """Build the networks of a model of the kind ``scene``, with random weights."""
    features = config.encoder.channels
    scales = config.operator.scales
    prior = ScenePrior(encoder(config.encoder), operator(config.operator, features), scales)
    texture = None if config.texture is None else TextureDenoiser(config.texture, scales)
    return SceneNetwork(prior, texture)


def paper_network(config: ModelConfig) -> NeurOpDiff | PaperPrior:
    """Build the networks of a model of the kind ``paper``, with random weights.

    Returns:
        The prior alone if the configuration has no denoiser.
    """
    features = config.encoder.channels
    prior = PaperPrior(encoder(config.encoder), operator(config.operator, features))
    return prior if config.denoiser is None else NeurOpDiff(prior, unet(config.denoiser))


def encoder(config: EncoderConfig) -> Encoder:
    """Build an encoder."""
    match config.name:
        case "rdn":
            return Rdn(config.channels, config.blocks, config.layers, config.growth)
        case "edsr" | "edsr-baseline":
            return Edsr(
                config.channels,
                config.blocks,
                config.residual_scale,
                source_aware=config.source_aware,
            )
        case _:
            assert_never(config.name)


def operator(config: OperatorConfig, features: int) -> NeuralOperator:
    """Build a neural operator for an encoder with ``features`` channels."""
    return NeuralOperator(
        features=features, width=config.width, heads=config.heads, hidden=config.hidden
    )


def unet(config: UNetConfig) -> UNet:
    """Build a U-Net."""
    return UNet(
        channels=config.channels,
        multipliers=config.multipliers,
        blocks=config.blocks,
        norm_groups=config.norm_groups,
        attention_levels=config.attention_levels,
        middle_attention=config.middle_attention,
    )


def to_channels_last(network: nn.Module) -> None:
    """Store the weights of all convolutions in the channels-last format, which is fastest.

    Only those: ``network.to(memory_format=...)`` would fail on the prior's contexts, which have
    five dimensions.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data = layer.weight.contiguous(memory_format=torch.channels_last)
