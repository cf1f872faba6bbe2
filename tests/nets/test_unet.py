"""Tests of the paper's U-Net."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rs_superres.nets.unet import UNet


def small_unet(**sizes: int) -> UNet:
    torch.manual_seed(0)
    unet = UNet(
        channels=4,
        multipliers=(1, 2),
        norm_groups=2,
        attention_levels=(1,),
        middle_attention=True,
        **{"blocks": 1, **sizes},
    )
    return unet.eval().requires_grad_(False)


def inputs(side: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    noisy, prior = torch.randn(2, 1, 3, side, side, generator=generator)
    return noisy, prior, torch.rand(1, 1, generator=generator)


def test_paper_configuration_has_47_5_million_parameters() -> None:
    with torch.device("meta"):
        unet = UNet(
            channels=64,
            multipliers=(1, 2, 2, 4, 4, 8),
            blocks=1,
            norm_groups=16,
            attention_levels=(4,),
            middle_attention=True,
        )
    count = sum(parameter.numel() for parameter in unet.parameters())
    assert count / 1e6 == pytest.approx(47.5, abs=0.05)
    assert unet.multiple == 32


@pytest.mark.parametrize("blocks", [1, 2])
def test_output_depends_on_every_input(blocks: int) -> None:
    unet = small_unet(blocks=blocks)
    arguments = inputs(16)
    out = unet(*arguments)
    assert out.shape == (1, 3, 16, 16)
    for i in range(3):
        changed = [t + 0.5 if i == j else t for j, t in enumerate(arguments)]
        assert not torch.allclose(unet(*changed), out, atol=1e-4)
    assert torch.equal(unet(*arguments), out)
