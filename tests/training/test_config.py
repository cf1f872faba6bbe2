"""Test the configuration of a run: reading, checking, and conversion to that of a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rs_superres.config import ConsistencyConfig, EncoderConfig, to_toml
from rs_superres.errors import InputError, ModelError
from rs_superres.training.config import TUNING, DegradationConfig, TrainConfig, read_train_config
from tests import models
from tests.training.data import config


@pytest.mark.parametrize("written", [TrainConfig(), TUNING, config(), config(texture=None)])
def test_toml_round_trip(written: TrainConfig, tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text(to_toml(written))
    assert read_train_config(path) == written


def test_missing_keys_have_defaults(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('seed = 7\n[encoder]\nname = "rdn"\n[degradation]\nbicubic = 0.5\narea = 0.5\n')
    assert read_train_config(path) == TrainConfig(
        seed=7,
        encoder=EncoderConfig(name="rdn"),
        degradation=DegradationConfig(bicubic=0.5, area=0.5),
    )


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("sed = 1", ModelError, r"c\.toml: unknown key 'sed', expected one of"),
        ("[run]\nlog_evry = 1", ModelError, r"run: unknown key 'log_evry'"),
        ('seed = "one"', ModelError, r"seed: 'one' is not of type int"),
        ("seed = ", ModelError, "cannot read the configuration"),
        ("[degradation]\narea = 0.5", InputError, r"bicubic, area and gaussian are 1, 0\.5 and 0"),
        (
            "[degradation]\nbicubic = 2\narea = -1",
            InputError,
            "none may be below 0, and they must add up to 1",
        ),
        ('[prior_phase]\nsteps = 1\nloss = "l2"', ModelError, "loss: 'l2', expected one of"),
    ],
)
def test_invalid_configurations_are_refused(
    text: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(error, match=message):
        read_train_config(path)
    with pytest.raises(ModelError, match="cannot read the configuration"):
        read_train_config(tmp_path / "none.toml")


def test_model_states_what_it_was_trained_on() -> None:
    model = config().model((15.0, 25.0))
    assert model.kind == "scene"
    assert model.trained.scales == (1.5, 2.5)
    assert model.trained.pixel_size == (15.0, 25.0)
    assert model.trained.degradation == (
        "antialiased bicubic (50%), Gaussian with an MTF of 0.1 to 0.4 (50%), "
        "noise up to 2.0% of the range (50%)"
    )
    assert (model.encoder, model.texture) == (config().encoder, config().texture)


def test_continued_configuration_has_the_sizes_of_the_model() -> None:
    model = models.config(denoiser=False)
    tuning = TUNING.continued(model)
    assert (tuning.encoder, tuning.operator, tuning.texture) == (
        model.encoder,
        model.operator,
        None,
    )
    assert (tuning.sampler, tuning.tiles) == (model.sampler, model.tiles)
    assert tuning.prior_phase == TUNING.prior_phase
    with pytest.raises(ModelError, match="an imported paper model cannot be trained further"):
        TUNING.continued(models.config("paper"))


def test_least_crop_has_pixels_away_from_the_border() -> None:
    # 6 low-resolution pixels at x16; or 64 pixels and 2 low-resolution pixels of x7.9 on each side
    assert TrainConfig().least_crop == 96
    assert config().least_crop == 26
    alone = replace(config().denoiser_phase, steps=0)
    assert config(denoiser_phase=alone).least_crop == 18


@pytest.mark.parametrize(
    ("degradation", "consistency"),
    [
        (DegradationConfig(), ConsistencyConfig()),
        (DegradationConfig(bicubic=0, area=1), ConsistencyConfig(kernel="area")),
        (
            DegradationConfig(bicubic=0.2, area=0.2, gaussian=0.6, mtf=(0.2, 0.4), noise=0.02),
            ConsistencyConfig(kernel="gaussian", mtf=0.3),
        ),
        (DegradationConfig(noise=0.02, noisy=0.5), ConsistencyConfig(noise=0.005)),
    ],
)
def test_consistency_uses_the_degradation_of_training(
    degradation: DegradationConfig, consistency: ConsistencyConfig
) -> None:
    trained = TrainConfig(degradation=degradation).model(None).consistency
    assert trained.kernel == consistency.kernel
    assert trained.noise == pytest.approx(consistency.noise)
    if trained.kernel == "gaussian":
        assert trained.mtf == pytest.approx(consistency.mtf)
