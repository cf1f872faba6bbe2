"""Tests of finding and loading models, of shipped ones and of a tiny one."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from rs_superres import zoo
from rs_superres.errors import InputError, ModelError, UnknownModelError
from rs_superres.nets.build import NeurOpDiff, SceneNetwork
from rs_superres.system.memory import forget_peak, peak
from rs_superres.training.config import read_train_config
from tests import models

TINY = "tiny test model"
"""Selects the model of :func:`folder`, so that there is one to test even if none is shipped."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return models.write(tmp_path / "tiny", models.config())


@pytest.mark.parametrize("name", [*zoo.names(), TINY])
def test_every_model_loads(name: str, folder: Path) -> None:
    model = zoo.load(str(folder) if name == TINY else name)
    assert model.name == (folder.name if name == TINY else name)
    assert model.network.training is False
    assert not any(parameter.requires_grad for parameter in model.network.parameters())
    assert all(bool(t.isfinite().all()) for t in model.network.state_dict().values())
    assert re.fullmatch("[0-9a-f]{64}", model.checksum)
    low, high = model.config.trained.scales
    assert 1 <= low < high
    assert zoo.card(str(model.path)).startswith("# ")


@pytest.mark.parametrize("name", zoo.names() or [TINY])
def test_weights_are_readable_by_all(name: str, folder: Path) -> None:
    path = folder if name == TINY else zoo.find(name)
    assert all(entry.stat().st_mode & 0o444 == 0o444 for entry in path.iterdir())


def test_models_are_found_in_the_folders_of_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for path in (first / "mine", second / "mine", second / "other", second / ".hidden"):
        models.write(path, models.config())
    (first / "empty").mkdir()
    monkeypatch.setenv("RS_SR_MODELS", os.pathsep.join(["", str(first), str(second), "/nowhere"]))
    assert zoo.names() == sorted({*zoo.shipped(), "mine", "other"})
    assert (zoo.find("mine"), zoo.find("other")) == (first / "mine", second / "other")
    assert zoo.load("mine").name == "mine"
    assert not zoo.is_shipped(zoo.find("mine"))
    for name in ("empty", ".hidden", "first/mine"):
        with pytest.raises(UnknownModelError, match="RS_SR_MODELS names /nowhere, which is no f"):
            zoo.find(name)
    assert zoo.find(str(second / "mine")) == second / "mine"


def test_the_variable_comes_before_the_package_and_a_path_before_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, here = (models.write(tmp_path / n / zoo.DEFAULT, models.config()) for n in ("own", "here"))
    monkeypatch.chdir(here.parent)
    assert zoo.is_shipped(zoo.find(zoo.DEFAULT))  # a name is no path: no folder here changes it
    assert zoo.found_anywhere(zoo.DEFAULT) == zoo.DEFAULT
    monkeypatch.setenv("RS_SR_MODELS", str(own.parent))
    assert zoo.find(zoo.DEFAULT) == own
    assert zoo.found_anywhere(zoo.DEFAULT) == str(own)
    assert zoo.find(f"./{zoo.DEFAULT}").absolute() == here
    assert zoo.found_anywhere(f"./{zoo.DEFAULT}") == str(here)
    assert zoo.found_anywhere("no-such-model") == "no-such-model"


def test_a_link_in_a_folder_of_the_variable_gives_the_model_its_name(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "current").symlink_to(folder)
    monkeypatch.setenv("RS_SR_MODELS", str(tmp_path / "links"))
    assert zoo.load("current").name == "current"
    monkeypatch.chdir(folder)
    assert zoo.load(".").name == folder.name


def test_load_scene_model(folder: Path) -> None:
    model = zoo.load(str(folder))
    assert isinstance(model.network, SceneNetwork)
    assert (model.path, model.config) == (folder, models.config())
    weights = (folder / "weights.safetensors").read_bytes()
    assert model.checksum == hashlib.sha256(weights).hexdigest() == zoo.checksum(str(folder))
    convolutions = [m for m in model.network.modules() if isinstance(m, nn.Conv2d)]
    assert convolutions
    for layer in convolutions:
        assert layer.weight.is_contiguous(memory_format=torch.channels_last)


def test_load_paper_model(tmp_path: Path) -> None:
    model = zoo.load(str(models.write(tmp_path / "paper", models.config("paper"))))
    assert isinstance(model.network, NeurOpDiff)
    assert model.config.kind == "paper"


def test_loading_twice_gives_the_same_weights(folder: Path) -> None:
    first, second = (zoo.load(str(folder)).network.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("name", ["no-such-model", "", "../models", "/"])
def test_unknown_models_are_refused(name: str) -> None:
    with pytest.raises(UnknownModelError, match=f"no model {name!r}: expected one of") as caught:
        zoo.find(name)
    assert "\n" not in str(caught.value)
    assert all(shipped in str(caught.value) for shipped in zoo.names())


def test_a_folder_without_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="or a folder with a config"):
        zoo.load(str(tmp_path))


def test_incomplete_folders_are_refused(folder: Path) -> None:
    (folder / "card.md").unlink()
    with pytest.raises(ModelError, match=r"card\.md: cannot be read"):
        zoo.card(str(folder))
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match=r"weights\.safetensors: no such file"):
        zoo.load(str(folder))
    with pytest.raises(ModelError, match=r"weights\.safetensors: cannot be read"):
        zoo.checksum(str(folder))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("heads = 2", "heads = 3"),
        ("heads = 2", "heads = 0"),
        ("width = 8", "width = -8"),
        ("patch = 4", "patch = 0"),
        ("scales = [1.0, 8.0]\n\n[sampler]", "scales = []\n\n[sampler]"),
    ],
)
def test_sizes_that_fit_no_network_are_refused(old: str, new: str, folder: Path) -> None:
    path = folder / "config.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ModelError, match=r"config\.toml|weights\.safetensors") as caught:
        zoo.load(str(folder))
    assert "\n" not in str(caught.value)


STRANGE = [
    ("channels = 4", "channels = 60000"),  # 30 TB, of which torch would fill what there is
    ("width = 8", "width = 60000"),
    ("spread_channels = 4", "spread_channels = 60000"),
    ("blocks = 2", "blocks = 1000000000"),  # would be built one by one
    ("channels = 4", f"channels = {'9' * 5000}"),
    ("scales = [1.0, 8.0]", f"scales = [{'1.5, ' * 2000}]"),
    ("steps = 4", "steps = 1000000000"),
    ("size = 512", "size = 0"),
    ("margin = 64", "margin = 60000"),
    ("texture = 1.0", "texture = nan"),
    ("mtf = 0.25", "mtf = 7.0"),
    ("noise = 0.0", "noise = nan"),
    ('name = "edsr-baseline"', 'name = "../../secret"'),
    ('kind = "scene"', 'kind = "scene"\nweights = "/etc/passwd"'),
    ('kind = "scene"', f"kind = {'[' * 100_000}"),
]
"""Configurations that a stranger could write: keys of a sound one, and what replaces them."""


@pytest.mark.parametrize(("old", "new"), STRANGE, ids=[new[:30] for _, new in STRANGE])
def test_a_strange_configuration_is_refused_at_once(old: str, new: str, folder: Path) -> None:
    path = folder / "config.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    forget_peak()
    before, started = peak(), time.monotonic()
    with pytest.raises(ModelError, match=r"config\.toml|weights\.safetensors") as caught:
        zoo.load(str(folder))
    assert "\n" not in str(caught.value)
    assert peak() - before < 500e6
    assert time.monotonic() - started < 20


def test_weights_that_do_not_fit_into_memory_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with holes may claim any size."""
    monkeypatch.setattr("rs_superres.system.memory.memory", lambda: 1000)
    with pytest.raises(InputError, match=r"weights\.safetensors would take"):
        zoo.load(str(folder))


def test_a_pickle_in_place_of_weights_is_not_read(folder: Path, tmp_path: Path) -> None:
    for save in (torch.save, lambda evil, path: path.write_bytes(pickle.dumps(evil))):
        save(models.Intruder(tmp_path / "executed"), folder / "weights.safetensors")
        with pytest.raises(ModelError, match=r"weights\.safetensors: not safetensors"):
            zoo.load(str(folder))
    assert not (tmp_path / "executed").exists()


def test_listing_models_does_not_import_torch() -> None:
    code = "import sys; from rs_superres import zoo; zoo.names(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", zoo.shipped())
def test_shipped_configurations_match_their_training(name: str) -> None:
    """Every run can be repeated; the last one trained the model as it is shipped."""
    model = zoo.load(name)
    runs = {
        file.name: read_train_config(file)
        for file in model.path.glob("*.toml")
        if file.name != "config.toml"
    }
    last = runs["train.toml"]
    assert len(runs) > 1
    for table in ("encoder", "operator", "texture", "tiles"):
        assert getattr(model.config, table) == getattr(last, table)
    # Measured after the run.
    factor = model.config.sampler.uncertainty_factor
    assert model.config.sampler == replace(last.sampler, uncertainty_factor=factor)


def test_loading_a_model_does_not_import_the_compiler() -> None:
    """It takes seconds, and nothing is compiled."""
    script = (
        "import sys; from rs_superres import zoo; zoo.load(zoo.DEFAULT); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
