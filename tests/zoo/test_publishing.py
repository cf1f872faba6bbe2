"""The check of a model before others get it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rs_superres import zoo
from rs_superres.errors import UnknownModelError
from rs_superres.zoo.publishing import Findings, check
from tests import models

CARD = "# tiny\n\n- **Licence of the weights**: CC0 1.0.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = models.write(tmp_path / "tiny", models.config())
    (path / "card.md").write_text(CARD, "utf-8")
    return path


@pytest.mark.parametrize("name", zoo.shipped())
def test_shipped_models_have_no_faults(name: str) -> None:
    assert check(name) == Findings()


def test_a_model_with_its_training_has_no_faults(folder: Path) -> None:
    (folder / "train.toml").touch()
    assert check(str(folder)) == Findings()


def test_weights_that_are_no_numbers_are_a_fault(folder: Path) -> None:
    path = folder / "weights.safetensors"
    tensors = load_file(path)
    name = min(name for name, tensor in tensors.items() if tensor.is_floating_point())
    tensors[name] = torch.full_like(tensors[name], float("nan"))
    save_file(tensors, path)
    [fault] = check(str(folder)).faults
    assert fault == f"{path}: {name} holds NaN or infinity"


@pytest.mark.parametrize("file", ["config.toml", "weights.safetensors", "card.md"])
def test_a_file_that_cannot_be_read_is_a_fault(folder: Path, file: str) -> None:
    (folder / file).write_bytes(b"\xff\xff")
    findings = check(str(folder))
    assert any(str(folder / file) in fault for fault in findings.faults)
    assert not any("\n" in fault for fault in findings.faults)


def test_a_card_needs_a_heading_and_should_name_a_licence(folder: Path) -> None:
    (folder / "card.md").write_text("tiny\n", "utf-8")
    findings = check(str(folder))
    assert "card.md: expected a heading, such as # tiny, first" in findings.faults[0]
    assert "does not name the licence" in findings.advice[0]


def test_other_files_are_named(folder: Path) -> None:
    for name in ("state.pt", "log.jsonl"):
        (folder / name).touch()
    [advice] = check(str(folder)).advice
    assert advice.endswith("files that a model does not need: log.jsonl, state.pt")


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(UnknownModelError):
        check("no-such-model")
