"""Tests of the U-Net's size and locality, and of the residual denoiser."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from rs_superres.nets.denoiser import ResidualDenoiser, detail_kept
from rs_superres.nets.unet import UNet


def local_unet(
    multipliers: Sequence[int] = (1, 2), blocks: int = 1, conditions: int = 2, patch: int = 1
) -> UNet:
    torch.manual_seed(0)
    unet = UNet(
        channels=4,
        multipliers=multipliers,
        blocks=blocks,
        norm_groups=0,
        conditions=conditions,
        dropout=0.5,
        patch=patch,
    )
    return unet.eval().requires_grad_(False)


def inputs(side: int, conditions: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    noisy, prior = torch.randn(2, 1, 3, side, side, generator=generator)
    return noisy, prior, torch.randn(1, conditions, generator=generator)


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


@pytest.mark.parametrize(
    ("multipliers", "blocks", "patch"),
    [((1,), 1, 1), ((1, 2), 1, 1), ((1, 2), 2, 1), ((1, 1, 2), 1, 1), ((1,), 1, 2), ((1, 2), 1, 2)],
)
def test_radius_is_the_exact_reach(multipliers: Sequence[int], blocks: int, patch: int) -> None:
    """No output depends on pixels beyond the radius, and at some alignment one reaches it."""
    unet = local_unet(multipliers, blocks, patch=patch).double()
    side = (2 * unet.radius // unet.multiple + 4) * unet.multiple
    noisy, prior, conditions = (t.double() for t in inputs(side))
    reach = 0
    for centre in range(side // 2, side // 2 + unet.multiple):
        x = noisy.clone().requires_grad_()
        unet(x, prior, conditions)[:, :, centre, centre].sum().backward()
        assert x.grad is not None
        pixels = x.grad.abs().sum((0, 1, 2)).nonzero().flatten()
        reach = max(reach, centre - int(pixels.min()), int(pixels.max()) - centre)
    assert reach == unet.radius


@pytest.mark.parametrize("patch", [1, 2])
def test_shifting_the_input_by_the_multiple_shifts_the_output(patch: int) -> None:
    unet = local_unet((1, 2), patch=patch)
    noisy, prior, conditions = inputs(4 * unet.radius)
    out = unet(noisy, prior, conditions)
    step = unet.multiple
    moved = unet(noisy[..., step:, step:], prior[..., step:, step:], conditions)
    inner = slice(unet.radius, -unet.radius)
    torch.testing.assert_close(
        moved[..., inner, inner], out[..., step:, step:][..., inner, inner], rtol=0, atol=1e-5
    )


def test_output_depends_on_every_input() -> None:
    unet = local_unet()
    arguments = inputs(16)
    out = unet(*arguments)
    for i in range(3):
        changed = [t + 0.5 if i == j else t for j, t in enumerate(arguments)]
        assert not torch.allclose(unet(*changed), out, atol=1e-4)
    assert torch.equal(unet(*arguments), out)


@pytest.mark.parametrize("groups", [0, 2])
def test_attention_works_with_either_normalisation(groups: int) -> None:
    unet = UNet(
        channels=4,
        multipliers=(1, 2),
        blocks=2,
        norm_groups=groups,
        attention_levels=(1,),
        middle_attention=True,
    ).eval()
    noisy, prior, conditions = inputs(8, conditions=1)
    assert unet(noisy, prior, conditions).shape == (1, 3, 8, 8)


def test_denoiser_scales_detail_by_the_stored_std() -> None:
    denoiser = ResidualDenoiser(local_unet(), (1.0, 8.0))
    denoiser.deviations.copy_(torch.tensor((0.0, 0.3)))
    noise, prior, _ = inputs(8)
    kept = torch.ones(1, 1, 8, 8)
    kept[..., :4, :] = 0
    without_detail = denoiser.sample(prior, noise, (4.0, 1.0, 0.0), 1.0, kept)
    torch.testing.assert_close(without_detail, prior)
    with_detail = denoiser.sample(prior, noise, (4.0, 1.0, 0.0), 8.0, kept)
    assert (with_detail - prior)[..., 4:, :].std() > 1e-3
    torch.testing.assert_close(with_detail[..., :4, :], prior[..., :4, :])
    assert denoiser.deviation(8.0).item() == pytest.approx(0.3)


def test_sampling_starts_at_the_std_of_the_first_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In training, the network saw a residual of unit std plus noise at this level."""
    denoiser = ResidualDenoiser(local_unet(), (1.0, 8.0))
    received: list[Tensor] = []

    def denoise(x: Tensor, *_: object) -> Tensor:
        received.append(x)
        return 0 * x

    monkeypatch.setattr(denoiser, "denoise", denoise)
    torch.manual_seed(1)
    noise, prior = torch.randn(2, 1, 3, 64, 64)
    denoiser.sample(prior, noise, (2.0, 0.5, 0.0), 4.0, torch.ones(1, 1, 64, 64))
    assert received[0].std().item() == pytest.approx(5**0.5, rel=0.03)
    torch.testing.assert_close(received[1], received[0] / 4)


def test_denoiser_returns_an_input_without_noise() -> None:
    denoiser = ResidualDenoiser(local_unet(), (1.0, 8.0))
    x, prior, _ = inputs(8)
    clean = denoiser.denoise(x, prior, torch.tensor([1e-6]), 2.0)
    torch.testing.assert_close(clean, x, rtol=0, atol=1e-4)


def test_no_detail_is_kept_on_constant_ground() -> None:
    generator = torch.Generator().manual_seed(4)
    image = torch.full((1, 3, 40, 40), 0.3)
    assert detail_kept(image, 0.016).max() == 0
    # White noise with a contrast of `flat` keeps half of the detail.
    image[..., 20:] += 0.016 * torch.randn((1, 3, 40, 20), generator=generator)
    kept = detail_kept(image, 0.016)
    assert kept[..., :17].max() == 0
    assert kept[..., 24:].mean().item() == pytest.approx(0.5, abs=0.05)
    assert detail_kept(100 * image, 0.016)[..., 24:].min() > 0.99
