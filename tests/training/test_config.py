"""A run's configuration: read, checked, and turned into a model's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rs_superres.config import ConsistencyConfig, EncoderConfig, to_toml
from rs_superres.errors import InputError, ModelError
from rs_superres.training.config import TUNING, DegradationConfig, TrainConfig, read_train_config
from tests import models
from tests.training.data import config


@pytest.mark.parametrize("made", [TrainConfig(), TUNING, config(), config(denoiser=None)])
def test_round_trip(made: TrainConfig, tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text(to_toml(made))
    found = read_train_config(path)
    # No denoiser is no table: TOML has no word for nothing, and the run adds it back.
    assert replace(found, denoiser=made.denoiser) == made


def test_only_what_differs_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('seed = 7\n[encoder]\nname = "rdn"\n[degradation]\nbicubic = 0.5\narea = 0.5\n')
    found = read_train_config(path)
    assert found == TrainConfig(
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
        ("[degradation]\nbicubic = 2\narea = -1", InputError, "none below 0 and 1 in all"),
        ('[prior_phase]\nsteps = 1\nloss = "l2"', ModelError, "loss: 'l2', expected one of"),
    ],
)
def test_mistakes_are_named(
    text: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(error, match=message):
        read_train_config(path)
    with pytest.raises(ModelError, match="cannot read the configuration"):
        read_train_config(tmp_path / "none.toml")


def test_the_model_says_what_it_was_trained_on() -> None:
    made = config().model((15.0, 25.0))
    assert made.kind == "scene"
    assert made.trained.scales == (1.5, 2.5)
    assert made.trained.pixel_size == (15.0, 25.0)
    assert made.trained.degradation == (
        "antialiased bicubic (50%), Gaussian with an MTF of 0.1 to 0.4 (50%), "
        "noise up to 2.0% of the range (50%)"
    )
    assert (made.encoder, made.denoiser) == (config().encoder, config().denoiser)


def test_continuing_takes_the_model_s_sizes() -> None:
    model = models.config(denoiser=False)
    found = TUNING.continued(model)
    assert (found.encoder, found.operator, found.denoiser) == (model.encoder, model.operator, None)
    assert (found.sampler, found.tiles) == (model.sampler, model.tiles)
    assert found.prior_phase == TUNING.prior_phase
    with pytest.raises(ModelError, match="an imported paper model cannot be trained on"):
        TUNING.continued(models.config("paper"))


def test_least_crop_leaves_something_to_learn_from() -> None:
    assert (
        TrainConfig().least_crop == 96
    )  # 6 cells at x16; 64 pixels and two cells of x7.9 on a side
    assert config().least_crop == 26
    assert config(denoiser=None).least_crop == 18


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
def test_results_are_brought_back_as_low_resolution_was_made(
    degradation: DegradationConfig, consistency: ConsistencyConfig
) -> None:
    made = TrainConfig(degradation=degradation).model(None).consistency
    assert made.kernel == consistency.kernel
    assert made.noise == pytest.approx(consistency.noise)
    if made.kernel == "gaussian":
        assert made.mtf == pytest.approx(consistency.mtf)
