"""Small random priors and images for the tests of the networks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rs_superres.nets.encoders import Edsr
from rs_superres.nets.galerkin import NeuralOperator
from rs_superres.nets.prior import ScenePrior

SCALES = (1.0, 2.0, 4.0, 8.0)


def random_prior(seed: int, *, channels: int = 6, width: int = 16) -> ScenePrior:
    """Build a small prior with random weights and contexts."""
    generator = torch.Generator().manual_seed(seed)
    operator = NeuralOperator(features=channels, width=width, heads=4, hidden=12)
    prior = ScenePrior(Edsr(channels, blocks=2), operator, SCALES)
    with torch.no_grad():
        for tensor in prior.parameters():
            std = 1 / np.sqrt(max(tensor[0].numel(), 4))
            tensor.copy_(std * torch.randn(tensor.shape, generator=generator))
        prior.contexts.copy_(torch.randn(prior.contexts.shape, generator=generator))
    return prior.eval().requires_grad_(False)


def random_image(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def positions(start: float, step: float, count: int) -> Tensor:
    return start + step * torch.arange(count, dtype=torch.float64)
