"""Tests of the encoders: their radius, and their evaluation without padding."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from rs_superres.nets.encoders import Edsr, Encoder, Rdn, valid_features
from tests.nets.priors import random_image

# With 8 channels, some path of open ReLUs leads to the farthest pixel.
ENCODERS: dict[str, Callable[[], Encoder]] = {
    "edsr": lambda: Edsr(8, blocks=3),
    "edsr with scaled branches": lambda: Edsr(8, blocks=3, residual_scale=0.1),
    "rdn": lambda: Rdn(8, blocks=2, layers=3, growth=8),
}


@pytest.fixture(params=ENCODERS)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    torch.manual_seed(8)
    return ENCODERS[request.param]()


def test_features_depend_on_the_pixels_within_the_radius(encoder: Encoder) -> None:
    encoder.double()
    image = random_image(8, 1, 3, 41, 41).double().requires_grad_()
    [gradient] = torch.autograd.grad(encoder(image)[:, :, 20, 20].sum(), image)
    columns = gradient.abs().sum((0, 1, 2)).nonzero().flatten()
    assert (int(columns.min()), int(columns.max())) == (20 - encoder.radius, 20 + encoder.radius)


@pytest.mark.parametrize("strip", [448, 2])
def test_valid_features_are_the_features_without_their_border(
    encoder: Encoder, strip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rs_superres.nets.encoders.STRIP", strip)
    r = encoder.radius
    image = random_image(1, 2, 3, 2 * r + 5, 2 * r + 9)
    with torch.no_grad():
        expected = encoder(image)[:, :, r:-r, r:-r]
        assert expected.std() > 1e-3
        torch.testing.assert_close(valid_features(encoder, image), expected, rtol=0, atol=1e-5)
