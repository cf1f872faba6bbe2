"""Texture: sub-bands, their standard deviations, and samples that fit their power."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from scipy.fft import dctn

from rs_superres.config import UNKNOWN, SourceQuality, TextureConfig
from rs_superres.diffusion.samplers import rotate
from rs_superres.errors import ModelError
from rs_superres.nets.source import Qualities
from rs_superres.nets.texture import Conditions, Sampler, SubBands, TextureDenoiser
from tests import models
from tests.models import TEXTURE

SCALES = (1.0, 2.0, 8.0)


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def conditions(count: int = 1, scale: float = 4.0) -> Conditions:
    return Conditions(
        Qualities(torch.linspace(0.2, 0.8, count), torch.linspace(0.01, 0.03, count)), scale
    )


def drawn(sampler: Sampler, prior: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """A sample around a prior."""
    draw, _ = sampler(prior)
    return draw(start)


def denoiser(seed: int = 3) -> TextureDenoiser:
    """A tiny network with random weights everywhere."""
    network = TextureDenoiser(TEXTURE, SCALES)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in network.parameters():
            std = max(tensor[0].numel(), 4) ** -0.5
            tensor.copy_(std * torch.randn(tensor.shape, generator=generator))
        shape = network.deviations.shape
        network.deviations.copy_(torch.rand(shape, generator=generator) / 10 + 0.01)
    return network


def test_sub_bands_are_cosines_of_luminance_and_colour_differences() -> None:
    image = noise(2, 3, 8, 12)
    bands = SubBands(4)(image)
    assert bands.shape == (2, 48, 2, 3)
    red, green, blue = image[1, :, 4:8, 8:12].numpy()
    luminance = dctn((red + green + blue) / math.sqrt(3), norm="ortho")
    difference = dctn((red - blue) / math.sqrt(2), norm="ortho")
    torch.testing.assert_close(bands[1, :16, 1, 2], torch.tensor(luminance).flatten())
    torch.testing.assert_close(bands[1, 16:32, 1, 2], torch.tensor(difference).flatten())


def test_sub_bands_give_the_image_back_and_keep_noise_white() -> None:
    transform, image = SubBands(4), noise(1, 3, 12, 8)
    torch.testing.assert_close(transform.image(transform(image)), image)
    torch.testing.assert_close(transform.matrix @ transform.matrix.T, torch.eye(48))


def test_the_deviation_of_pixels_is_that_of_independent_sub_bands() -> None:
    transform = SubBands(4)
    deviations = torch.rand(1, 48, 1, 1, generator=torch.Generator().manual_seed(2))
    samples = transform.image(deviations * noise(20_000, 48, 1, 1))
    torch.testing.assert_close(
        transform.deviation(deviations)[0], samples.std(0), rtol=0.03, atol=0
    )


def test_the_deviations_at_a_scale_lie_between_the_stored_ones() -> None:
    network = denoiser()
    torch.testing.assert_close(network.stored(2.0)[:, 0, 0], network.deviations[1])
    middle = (network.deviations[1] * network.deviations[2]).sqrt()  # 4 is halfway in log(scale)
    torch.testing.assert_close(network.stored(4.0)[:, 0, 0], middle)


def test_an_untrained_network_draws_noise_of_the_stored_deviations() -> None:
    network = TextureDenoiser(TEXTURE, SCALES)
    network.deviations.copy_(torch.linspace(0.01, 0.2, 48).expand(3, -1))
    prior = noise(1, 3, 400, 400) / 4
    for steps in (1, 3):
        start = noise(1, 3, 400, 400, seed=2)
        sample = drawn(network.sampler(4.0, steps, 1.0), prior, start)
        found = network.bands(sample - prior).std((0, 2, 3))
        torch.testing.assert_close(found, network.deviations[0], rtol=0.05, atol=0)
        half = drawn(network.sampler(4.0, steps, 0.5), prior, start)
        share = 0.5 ** (1 + 8 * network.coherence(prior) ** 2)
        expected = share * network.bands(sample - prior)
        torch.testing.assert_close(network.bands(half - prior), expected, rtol=1e-4, atol=1e-6)


def test_no_texture_is_the_prior_if_nothing_is_learnt() -> None:
    prior = noise(1, 3, 16, 16)
    network = TextureDenoiser(TEXTURE, SCALES)
    sample = drawn(network.sampler(4.0, 2, 0.0), prior, noise(1, 3, 16, 16))
    torch.testing.assert_close(sample, prior)


@pytest.mark.parametrize("quality", [UNKNOWN, SourceQuality(mtf=0.3, noise=0.02)])
def test_the_sampler_equals_the_complete_networks(quality: SourceQuality) -> None:
    network, prior, start = denoiser(), noise(1, 3, 24, 16) / 4, noise(1, 3, 24, 16, seed=2)
    given = Conditions(Qualities.of(quality), 3.0)
    guide = network.guide(prior, given)

    def velocity(x: torch.Tensor, angle: float) -> torch.Tensor:
        coded = torch.tensor([[(angle - 0.8) / 0.45]])
        found: torch.Tensor = network.body(
            torch.cat((x, guide.inputs, guide.spread), dim=1), given, coded
        )
        return found

    detail = rotate(velocity, network.bands(start), [1.2, 0.6, 0.0])
    share = 0.7 ** (1 + 8 * network.coherence(prior) ** 2)
    expected = prior + network.bands.image(share * guide.deviations * detail)
    torch.testing.assert_close(drawn(network.sampler(3.0, 2, 0.7, quality), prior, start), expected)


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 2, 2.0])
@pytest.mark.parametrize("contrast", [0.01, 1.0])
def test_a_straight_edge_has_one_direction(angle: float, contrast: float) -> None:
    y, x = torch.meshgrid(torch.arange(36.0), torch.arange(36.0), indexing="ij")
    across = (x - 17.5) * math.cos(angle) + (y - 17.5) * math.sin(angle)
    edge = contrast * torch.tanh(across).expand(1, 3, -1, -1)
    coherence = denoiser().coherence(edge)
    assert coherence.shape == (1, 1, 9, 9)
    assert coherence[0, 0, 3:6, 3:6].min() > 0.9


def test_a_line_and_its_double_have_one_direction_and_corners_have_two() -> None:
    network, image = denoiser(), torch.zeros(1, 3, 36, 36)
    image[..., 16:19, :] = 1.0
    assert network.coherence(image)[0, 0, 4, 4] > 0.99
    image[..., 16:19] = 1.0
    assert network.coherence(image)[0, 0, 4, 4] < 0.05


def test_an_edge_between_two_colours_of_one_luminance_is_an_edge() -> None:
    image = torch.zeros(1, 3, 36, 36)
    image[:, 0, :, 18:], image[:, 2, :, 18:] = 0.4, -0.4
    assert denoiser().coherence(image)[0, 0, 4, 4] > 0.99


def test_ground_without_direction_has_little_coherence() -> None:
    network = denoiser()
    assert network.coherence(noise(1, 3, 400, 400) / 4).mean() < 0.2
    assert not network.coherence(torch.full((1, 3, 16, 16), 0.7)).any()


def test_little_is_drawn_along_edges_but_a_complete_sample_is_complete() -> None:
    network, start = denoiser(), noise(1, 3, 64, 64, seed=2)
    prior = noise(1, 3, 64, 64) / 20
    prior[..., 32:] += 2.0
    detail = {
        texture: drawn(network.sampler(4.0, 2, texture), prior, start) - prior
        for texture in (0.5, 1.0)
    }
    share = (detail[0.5].square().mean((0, 1, 2)) / detail[1.0].square().mean((0, 1, 2))).sqrt()
    assert share[28:36].max() < 0.02
    assert share[:20].mean() > 0.3
    assert share[44:].mean() > 0.3


def test_nothing_is_drawn_on_constant_ground() -> None:
    network, prior = denoiser(), torch.full((1, 3, 16, 40), 0.3)
    prior[..., 20:] += 0.004 * noise(1, 3, 16, 20)
    draw, deviation = network.sampler(4.0, 2, 1.0)(prior)
    detail = draw(noise(1, 3, 16, 40)) - prior
    assert detail[..., :16].abs().max() < 1e-4
    assert network.bands.deviation(deviation)[..., :16].max() < 1e-4
    kept = network._kept(network.bands(prior))
    assert kept[..., 7:].mean().item() == pytest.approx(0.5**0.5, abs=0.06)
    assert network._kept(network.bands(100 * prior))[..., 7:].min() > 0.99


def test_the_predicted_error_does_not_depend_on_the_steps() -> None:
    network, prior = denoiser(), noise(1, 3, 24, 16) / 4
    guide = network.guide(prior, Conditions(Qualities.of(UNKNOWN), 3.0))
    for steps in (0, 2):
        _, deviation = network.sampler(3.0, steps, 0.7)(prior)
        torch.testing.assert_close(deviation, guide.deviations)


def test_rotation_reaches_known_data() -> None:
    """With the exact velocity of a single image, many steps end at that image."""
    data, start = noise(1, 3, 4, 4), noise(1, 3, 4, 4, seed=2)

    def velocity(x: torch.Tensor, angle: float) -> torch.Tensor:
        unit = (x - math.cos(angle) * data) / math.sin(angle)
        return math.cos(angle) * unit - math.sin(angle) * data

    angles = [math.pi / 2 * (1 - i / 400) for i in range(401)]
    torch.testing.assert_close(rotate(velocity, start, angles), data, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("known", [True, False])
def test_several_draws_of_an_image_are_those_of_a_repeated_image(known: bool) -> None:
    network = denoiser()
    given = conditions(2) if known else Conditions(Qualities.of(UNKNOWN), 4.0)
    error, prior = noise(2, 3, 16, 16) / 10, noise(2, 3, 16, 16, seed=3) / 4
    loss = network.losses(error, prior, given, torch.Generator().manual_seed(5), 3)
    error, prior = (image.repeat_interleave(3, 0) for image in (error, prior))
    if known:
        mtf, level = (q.repeat_interleave(3) for q in given.qualities)
        given = Conditions(Qualities(mtf, level), 4.0)
    expected = network.losses(error, prior, given, torch.Generator().manual_seed(5))
    torch.testing.assert_close(loss, expected)


def test_the_loss_reaches_every_weight_and_trains_the_deviations() -> None:
    network, generator = denoiser(), torch.Generator().manual_seed(5)
    prior, error = noise(2, 3, 16, 16) / 4, noise(2, 3, 16, 16, seed=3) / 10
    loss = network.losses(error, prior, conditions(2), generator)
    loss.backward()  # type: ignore[no-untyped-call]  # torch's stub
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_deviations_learn_where_detail_is_missing() -> None:
    """Left half without error, right half with: the prediction finds it by the prior's texture."""
    torch.manual_seed(0)
    config = TextureConfig(channels=4, blocks=1, spread_channels=16, spread_blocks=1)
    network = TextureDenoiser(config, SCALES)
    optimizer = torch.optim.Adam(network.spread.parameters(), 0.001)
    mask = torch.cat((torch.full((16,), 0.02), torch.ones(16)))
    generator = torch.Generator().manual_seed(1)
    for step in range(150):
        error = noise(4, 3, 32, 32, seed=step) * mask / 20
        prior = noise(4, 3, 32, 32, seed=1000 + step) * mask / 20
        optimizer.zero_grad()
        network.losses(error, prior, conditions(4), generator).backward()  # type: ignore[no-untyped-call]  # torch's stub
        optimizer.step()
    deviations = network.guide(noise(1, 3, 32, 32) * mask / 20, conditions()).deviations
    found = deviations.log().mean((0, 1, 2)).exp()
    assert found[:2].max() < 0.2 * found[5:7].min()
    assert found[5:7].mean().item() == pytest.approx(0.05, rel=0.5)


def test_texture_belongs_to_scenes_and_a_u_net_to_the_papers_model() -> None:
    config, paper = models.config(), models.config("paper")
    assert not config.is_prior_alone
    assert config.steps == 4
    assert config.prior_alone().is_prior_alone
    with pytest.raises(ModelError, match=r'kind "paper" cannot have \[texture\]; remove'):
        replace(paper, texture=TEXTURE)
    with pytest.raises(ModelError, match=r'kind "scene" cannot have \[denoiser\], a U-Net that'):
        replace(config, denoiser=paper.denoiser)
