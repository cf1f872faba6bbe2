"""Source-aware networks: blur and noise change their features; folding changes nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from rs_superres.config import UNKNOWN, EncoderConfig, SourceQuality
from rs_superres.errors import ModelError
from rs_superres.nets.build import scene_network
from rs_superres.nets.prior import scene_samples
from rs_superres.nets.source import Estimator, Qualities
from tests import models

CONFIG = models.config(denoiser=False)
AWARE = replace(CONFIG, encoder=replace(CONFIG.encoder, source_aware=True))


def images(count: int = 2, side: int = 30) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(2)) / 3


def test_an_untrained_modulation_changes_nothing() -> None:
    network = scene_network(AWARE)
    models.scramble(network, 3)
    prior = network.prior
    assert prior.source_aware
    last = prior.get_submodule("encoder.modulation.second")
    for parameter in last.parameters():
        torch.nn.init.zeros_(parameter)
    given = Qualities(torch.tensor([0.2, math.nan]), torch.tensor([0.01, 0.03]))
    torch.testing.assert_close(prior.features(images(), 2.0, given), prior.encoder(images()))


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("quality", [UNKNOWN, SourceQuality(mtf=0.25, noise=0.02)])
def test_a_folded_prior_computes_the_same(quality: SourceQuality, padded: bool) -> None:
    network = scene_network(AWARE)
    models.scramble(network, 3)
    prior, image = network.prior, images(1)
    first = 5 if padded else prior.halo
    positions = torch.arange(first + 0.3, 30 - first, 0.5, dtype=torch.float64)
    samples, size = scene_samples(positions), torch.tensor([1.0, 1.0])
    folded = prior.grid(image, samples, samples, prior.folded(2.0, size, quality))
    detail = prior.residual(
        image, samples, samples, size, prior.contexts_at(2.0), Qualities.of(quality)
    )
    plain = prior.residual(image, samples, samples, size, prior.contexts_at(2.0))
    inner = prior.grid(image, samples, samples, prior.folded(2.0, size, UNKNOWN)) - plain
    torch.testing.assert_close(folded - detail, inner, atol=1e-4, rtol=0)
    assert torch.equal(detail, plain) is (quality == UNKNOWN)


def test_each_image_has_its_own_quality() -> None:
    network = scene_network(AWARE)
    models.scramble(network, 3)
    prior, image = network.prior, images(1)
    both = image.expand(2, -1, -1, -1)
    given = Qualities(torch.tensor([0.2, 0.4]), torch.tensor([0.01, 0.01]))
    first, second = prior.features(both, 3.0, given)
    alone = Qualities(torch.tensor([0.4]), torch.tensor([0.01]))
    torch.testing.assert_close(second, prior.features(image, 3.0, alone)[0])
    assert not torch.allclose(first, second)
    assert not torch.allclose(second, prior.features(image, 2.0, alone)[0])  # another scale


def test_an_rdn_cannot_be_source_aware() -> None:
    with pytest.raises(ModelError, match="source_aware = true needs an EDSR"):
        EncoderConfig(name="rdn", source_aware=True)


def test_an_estimator_learns_blur_and_noise() -> None:
    """From images that are one of two kinds."""
    torch.manual_seed(0)
    estimator = Estimator(8)
    optimizer = torch.optim.Adam(estimator.parameters(), 3e-3)
    chance = torch.Generator().manual_seed(1)

    def batch() -> tuple[torch.Tensor, Qualities]:
        image = torch.randn(16, 3, 32, 32, generator=chance)
        kind = torch.rand(16, generator=chance) < 0.5
        smooth = torch.nn.functional.avg_pool2d(image, 3, 1, 1)
        image = torch.where(kind[:, None, None, None], smooth, image * 0.1)
        return image, Qualities(kind * 0.5 + 0.2, torch.where(kind, 0.05, 0.005))

    for _ in range(250):
        loss = estimator.loss(*batch())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    image, true = batch()
    for i in range(4):
        mtf, noise = estimator.pooled([image[i : i + 1]])
        assert mtf == pytest.approx(float(true.mtf[i]), abs=0.12)  # 0.2 or 0.7
        assert noise == pytest.approx(float(true.noise[i]), rel=0.6)  # 0.005 or 0.05


def test_windows_count_by_their_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = Estimator(4)
    answers = iter(
        (torch.tensor([[estimate, estimate]]), torch.tensor([[variance, variance]]).log())
        for estimate, variance in ((1.0, 1e-4), (-1.0, 1e4))
    )
    monkeypatch.setattr(estimator, "forward", lambda _: next(answers))
    mtf, noise = estimator.pooled([images(1), images(1)])
    assert mtf == pytest.approx(1.0, rel=1e-3)
    assert noise == pytest.approx(0.004 * math.expm1(2), rel=1e-3)
