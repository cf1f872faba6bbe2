"""Tests of weight files, and of the import of good and bad paper checkpoints."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rs_superres.config import EncoderConfig, OperatorConfig, UNetConfig, read_config
from rs_superres.errors import ModelError
from rs_superres.nets.build import scene_network
from rs_superres.zoo import checkpoint
from rs_superres.zoo.checkpoint import import_checkpoint, load_weights, save_weights
from tests import models

HEADS, WIDTH, FEATURES, BLOCKS = 2, 8, 4, 2


def convolution(name: str, inputs: int, outputs: int, kernel: int = 1) -> dict[str, Tensor]:
    shape = (outputs, inputs, kernel, kernel)
    return {f"{name}.weight": torch.randn(shape), f"{name}.bias": torch.randn(outputs)}


def prior_state(prefix: str = "") -> dict[str, Tensor]:
    """Return a small prior (EDSR and operator) under the names of the paper's public code."""
    state = convolution("encoder.head.0", 3, FEATURES, 3)
    state |= convolution("encoder.sub_mean", 3, 3) | convolution("encoder.add_mean", 3, 3)
    for i in range(BLOCKS):
        for j in (0, 2):
            state |= convolution(f"encoder.body.{i}.body.{j}", FEATURES, FEATURES, 3)
    state |= convolution(f"encoder.body.{BLOCKS}", FEATURES, FEATURES, 3)
    state |= convolution("conv00", 4 * FEATURES + 10, WIDTH)
    for i in range(2):
        state |= convolution(f"conv{i}.qkv_proj", WIDTH, 3 * WIDTH)
        state |= convolution(f"conv{i}.o_proj1", WIDTH, WIDTH)
        state |= convolution(f"conv{i}.o_proj2", WIDTH, WIDTH)
        for norm in ("kln", "vln"):
            for leaf in ("weight", "bias"):
                state[f"conv{i}.{norm}.{leaf}"] = torch.randn(HEADS, 1, WIDTH // HEADS)
    state |= convolution("fc1", WIDTH, 6) | convolution("fc2", 6, 3)
    return {prefix + name: tensor for name, tensor in state.items()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "prior.pth"
    torch.save({"model": prior_state()}, path)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "models" / "imported"


def assert_refused(source: Path, out: Path, message: str, **options: Any) -> None:
    """Check that the import fails with one line about the file, and leaves nothing behind."""
    before = sorted(out.parent.iterdir()) if out.parent.exists() else []
    with pytest.raises(ModelError, match=message) as caught:
        import_checkpoint(source, out, **options)
    assert "\n" not in str(caught.value)
    assert source.name in str(caught.value) or str(out) in str(caught.value)
    assert (sorted(out.parent.iterdir()) if out.parent.exists() else []) == before


# Weight files.


def test_weights_round_trip_in_any_memory_format(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    layer = nn.Conv2d(2, 3, 3)
    module = nn.Sequential(layer, nn.BatchNorm2d(3))
    save_weights(module, path)
    plain = path.read_bytes()
    weight = layer.weight
    weight.data = weight.contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()
    save_weights(module, path)
    assert path.read_bytes() == plain
    other = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    load_weights(other, path)
    state = other.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in module.state_dict().items())
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.safetensors"]


def test_tables_for_other_scales_are_refused(tmp_path: Path) -> None:
    """They would be read at the wrong scales."""
    network = scene_network(models.config())
    network.prior.context_scales[1] = 9.0
    save_weights(network, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"context_scales are 1, 9, expected .*config.toml: 1, 8$"):
        load_weights(scene_network(models.config()), tmp_path / "w.safetensors")


def test_weights_have_the_usual_file_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    save_weights(nn.Linear(1, 1), tmp_path / "w.safetensors")
    assert (tmp_path / "w.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Linear(3, 2, bias=False), "has an unknown tensor bias"),
        (nn.Linear(4, 2), r"weight has the shape \(2, 3\), expected \(2, 4\)"),
        (nn.Sequential(nn.Linear(3, 2)), "lacks tensor 0.bias and 1 more"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    module: nn.Module, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(nn.Linear(3, 2), path)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(ModelError, match=message) as caught:
        load_weights(module, path)
    assert str(path) in str(caught.value)
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("keep", [0, 4, 60, -1])
def test_truncated_weights_are_refused(keep: int, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(nn.Linear(3, 2), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match=re.escape(str(path))) as caught:
        load_weights(nn.Linear(3, 2), path)
    assert "\n" not in str(caught.value)


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        load_weights(nn.Linear(3, 2), tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match="not safetensors"):
        load_weights(nn.Linear(3, 2), tmp_path)


# Import of valid checkpoints.


@pytest.mark.parametrize("prefix", ["", "srno."])
def test_prior_alone_is_imported(prefix: str, tmp_path: Path, out: Path) -> None:
    torch.save({"model": prior_state(prefix), "epoch": 3}, tmp_path / "prior.pth")
    assert import_checkpoint(tmp_path / "prior.pth", out) == out
    config = read_config(out / "config.toml")
    assert config.kind == "paper"
    assert config.encoder == EncoderConfig(name="edsr-baseline", channels=FEATURES, blocks=BLOCKS)
    assert config.operator == OperatorConfig(width=WIDTH, heads=HEADS, hidden=6)
    assert (config.denoiser, config.sampler.steps) == (None, 0)
    assert config.trained.scales == (1.0, 8.0)
    card = (out / "card.md").read_text()
    assert "prior.pth" in card
    assert str(tmp_path) not in card
    assert "Scores: not measured" in card
    assert sorted(entry.name for entry in out.parent.iterdir()) == ["imported"]


def test_complete_model_is_imported(shared: Path, out: Path) -> None:
    source = shared / "fixtures" / "official" / "small.pth"
    import_checkpoint(source, out, norm_groups=4)
    config = read_config(out / "config.toml")
    assert config.encoder == EncoderConfig(name="edsr-baseline")
    assert config.operator == OperatorConfig(width=32, heads=4, hidden=256)
    assert config.denoiser == UNetConfig(
        channels=8,
        multipliers=(1, 2, 2, 4, 4, 8),
        norm_groups=4,
        attention_levels=(4,),
        middle_attention=True,
    )
    assert (config.sampler.steps, config.tiles.size, config.tiles.margin) == (20, 192, 32)
    assert "Weights: EMA" in (out / "card.md").read_text()
    ema = (out / "weights.safetensors").read_bytes()
    import_checkpoint(source, out, norm_groups=4, weights="raw", overwrite=True)
    assert (out / "weights.safetensors").read_bytes() != ema
    assert "Weights: raw" in (out / "card.md").read_text()


def test_norm_groups_must_divide_the_channels(shared: Path, out: Path) -> None:
    source = shared / "fixtures" / "official" / "small.pth"
    assert_refused(source, out, "16 norm groups do not divide 8 channels")
    assert_refused(source, out, "3 norm groups do not divide", norm_groups=3)
    assert_refused(source, out, "0 norm groups do not divide", norm_groups=0)


# Existing targets.


def test_existing_folder_is_kept(source: Path, out: Path) -> None:
    import_checkpoint(source, out)
    (out / "card.md").write_text("edited")
    assert_refused(source, out, "exists; overwrite=True replaces it")
    assert (out / "card.md").read_text() == "edited"
    import_checkpoint(source, out, overwrite=True)
    assert "Imported from" in (out / "card.md").read_text()
    assert sorted(entry.name for entry in out.parent.iterdir()) == ["imported"]


def test_a_folder_with_other_files_is_never_replaced(source: Path, out: Path) -> None:
    out.mkdir(parents=True)
    (out / "thesis.odt").write_text("years")
    assert_refused(source, out, "holds more than a model", overwrite=True)
    assert (out / "thesis.odt").read_text() == "years"


def test_a_file_is_never_replaced(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "file"
    out.write_text("text")
    assert_refused(source, out, "is not a folder", overwrite=True)


def test_a_failed_import_keeps_the_old_model(
    source: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_checkpoint(source, out)
    before = {entry.name: entry.read_bytes() for entry in out.iterdir()}

    def save_to_full_disk(_: nn.Module, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_weights", save_to_full_disk)
    assert_refused(source, out, "No space left on device", overwrite=True)
    assert {entry.name: entry.read_bytes() for entry in out.iterdir()} == before


def test_a_folder_that_cannot_be_created_is_an_error(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot write the model folder"):
        import_checkpoint(source, tmp_path / "file" / "imported")


# Import of other files.


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "system"])
def test_code_is_not_executed(form: str, tmp_path: Path, out: Path) -> None:
    path, trace = tmp_path / "evil.pth", tmp_path / "executed"
    content: list[Any] = [prior_state(), models.Intruder(trace), 1, 1, {}]
    if form == "pickle":
        path.write_bytes(pickle.dumps(content[1], protocol=2))
    elif form == "system":
        path.write_bytes(b"cposix\nsystem\n(S'touch " + os.fsencode(trace) + b"'\ntR.")
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    assert_refused(path, out, "nothing was executed")
    assert not trace.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00", b"hello, world\n" * 40, bytes(range(256)) * 20, b"PK\x03\x04" + bytes(100)],
)
def test_other_files_are_refused(content: bytes, tmp_path: Path, out: Path) -> None:
    path = tmp_path / "other.pth"
    path.write_bytes(content)
    assert_refused(path, out, "not a checkpoint, or a damaged or truncated one")


@pytest.mark.parametrize("form", ["zip", "legacy"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_truncated_files_are_refused(form: str, share: float, tmp_path: Path, out: Path) -> None:
    path = tmp_path / "cut.pth"
    torch.save({"model": prior_state()}, path, _use_new_zipfile_serialization=form == "zip")
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    assert_refused(path, out, "not a checkpoint, or a damaged or truncated one")


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path, out: Path) -> None:
    assert_refused(tmp_path / "none.pth", out, "no such file")
    assert_refused(tmp_path, out, "cannot be read: Is a directory")


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        3,
        torch.zeros(3),
        {"state_dict": {}},
        {"model": 3},
        [{}, {}, 1, 2],
        [{}, {}, 1, 2, 3],
    ],
)
def test_other_containers_are_refused(content: Any, tmp_path: Path, out: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save(content, path)
    assert_refused(path, out, "not a NeurOp-Diff checkpoint: expected a list of 5")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("fc2.bias", None, "lacks tensor operator.output.bias"),
        ("conv00.weight", None, "lacks operator.lift.weight"),
        ("encoder.head.0.weight", None, "lacks head.weight"),
        ("conv0.kln.weight", None, "lacks operator.attention.0.key_norm.weight"),
        ("fc2.bias", torch.zeros(4), r"operator.output.bias has the shape \(4,\), expected \(3,\)"),
        ("conv00.weight", torch.zeros(8), "has 1 dimensions, expected 2"),
        ("conv0.kln.weight", torch.zeros(3, 1, 2), "3 heads do not divide the width 8"),
        ("fc3.weight", torch.zeros(3), "'fc3.weight' does not belong to a NeurOp-Diff checkpoint"),
        ("fc1.running_mean", torch.zeros(3), "'fc1.running_mean' does not belong to"),
        ("Unet.later.3.weight", torch.zeros(3), "'Unet.later.3.weight' does not belong to"),
        ("encoder.body.7.weight", torch.zeros(3), "'encoder.body.7.weight' does not belong to"),
        ("fc1.bias", "text", "'fc1.bias' is not a dense tensor"),
        ("fc1.bias", torch.zeros(6, dtype=torch.int32), "'fc1.bias' is not a dense tensor"),
        ("fc1.bias", torch.zeros(6, device="meta"), "'fc1.bias' is not a dense tensor"),
        ("fc1.weight", torch.zeros(1).expand(10**9, 8, 1, 1), "'fc1.weight' is not a dense"),
        ("fc1.bias", torch.zeros(0), "'fc1.bias' is not a dense tensor"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    name: str, value: Any, message: str, tmp_path: Path, out: Path
) -> None:
    state: dict[str, Any] = prior_state()
    if value is None:
        del state[name]
    else:
        state[name] = value
    path = tmp_path / "odd.pth"
    torch.save({"model": state}, path)
    assert_refused(path, out, message)
