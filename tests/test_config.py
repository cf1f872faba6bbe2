"""Model configurations, written to and read from TOML."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs_superres.config import (
    EncoderConfig,
    ModelConfig,
    OperatorConfig,
    SamplerConfig,
    TextureConfig,
    TileConfig,
    TrainedConfig,
    read_config,
    to_toml,
)
from rs_superres.errors import ModelError

SCENE = ModelConfig(
    kind="scene",
    encoder=EncoderConfig(name="rdn", channels=32, blocks=3, layers=2, growth=8),
    operator=OperatorConfig(width=64, heads=4, hidden=32, scales=(1.0, 2.5, 8.0)),
    denoiser=None,
    texture=TextureConfig(channels=16, blocks=2),
    sampler=SamplerConfig(steps=4, beta_start=1e-6),
    tiles=TileConfig(size=256, margin=32),
    trained=TrainedConfig(scales=(1.0, 8.0), pixel_size=(0.3, 30.0)),
)
OPERATOR_ALONE = replace(SCENE, texture=None, trained=TrainedConfig(scales=(2.0, 4.0)))


@pytest.mark.parametrize("config", [SCENE, OPERATOR_ALONE])
def test_round_trip(config: ModelConfig, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    assert read_config(path) == config


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_toml(text: str) -> None:
    """Quotes, backslashes and line breaks do not break the file."""
    trained = replace(SCENE.trained, degradation=text)
    table = tomllib.loads(to_toml(replace(SCENE, trained=trained)))
    assert table["trained"]["degradation"] == text


def test_integers_are_accepted_as_floats(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(to_toml(SCENE).replace("scales = [1.0, 8.0]", "scales = [1, 8]"))
    scales = read_config(path).trained.scales
    assert scales == (1.0, 8.0)
    assert all(type(scale) is float for scale in scales)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "scene"', 'kind = "scene"\nsped = 1', "unknown key 'sped', expected one of"),
        ('kind = "scene"', 'kind = "street"', "kind: 'street', expected one of"),
        ('kind = "scene"', "", "kind"),
        ("channels = 32", 'channels = "32"', "channels: '32' is not of type int"),
        ("channels = 32", "channels = 32.0", "channels: 32.0 is not of type int"),
        ("channels = 32", "channels = true", "channels: True is not of type int"),
        ("source_aware = false", "source_aware = 1", "1 is not of type bool"),
        ("scales = [1.0, 2.5, 8.0]", "scales = 2", "scales: 2 is not an array"),
        ("scales = [1.0, 2.5, 8.0]", 'scales = [1, "2"]', "'2' is not of type float"),
        ("scales = [1.0, 8.0]", "scales = [1.0]", "scales: 1 values, expected 2"),
        ("[tiles]", "[tile]", "unknown key 'tile'"),
        ("[sampler]\nsteps = 4", "[sampler]", "steps"),
        ("kind =", "kind", "cannot read the model's config"),
    ],
)
def test_invalid_files_are_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    text = to_toml(SCENE)
    assert old in text
    path = tmp_path / "config.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ModelError, match=message) as caught:
        read_config(path)
    assert "\n" not in str(caught.value)
    assert "config.toml" in str(caught.value)


def test_value_in_place_of_a_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('kind = "scene"\nencoder = 3\n')
    with pytest.raises(ModelError, match="encoder: 3 is not a table"):
        read_config(path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read the model's config"):
        read_config(tmp_path / "config.toml")


def test_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="cannot read the model's config"):
        read_config(path)
