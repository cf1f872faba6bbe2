"""LPIPS agrees with its authors' package, and its weights with those of torchmetrics."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch

from rs_superres.errors import ModelError
from rs_superres.evaluation.lpips import Lpips
from tests.models import Intruder


def test_lpips_agrees_with_its_authors_package(shared: Path) -> None:
    lpips = Lpips.read(shared / "data" / "lpips" / "squeeze.backbone.pth")
    torch.manual_seed(123)
    one, two = torch.rand(10, 3, 100, 100) * 2 - 1, torch.rand(10, 3, 100, 100) * 2 - 1
    assert float(lpips(one, two).mean()) == pytest.approx(0.1008, abs=5e-5)
    a, b = one[0].numpy(), two[0].numpy()
    assert lpips.distance(a, b) == pytest.approx(float(lpips(one, two)[0]), abs=1e-6)
    assert lpips.distance(a, a) == 0
    assert np.isnan(lpips.distance(a[:, :20], b[:, :20]))


def test_the_weights_equal_those_of_torchmetrics() -> None:
    file = resources.files("torchmetrics").joinpath(
        "functional", "image", "lpips_models", "squeeze.pth"
    )
    theirs = torch.load(Path(str(file)), map_location="cpu", weights_only=True)
    ours = dict(Lpips().named_buffers())
    for number in range(7):
        expected = theirs[f"lin{number}.model.1.weight"].flatten()
        assert torch.equal(ours[f"head{number}"], expected)


def test_files_without_a_backbone_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"nothing")
    torch.save({"0.weight": torch.zeros(1)}, tmp_path / "b.pth")
    for path in (tmp_path / "a.pth", tmp_path / "b.pth", tmp_path / "c.pth"):
        with pytest.raises(ModelError, match=r"cannot read the LPIPS backbone .*SqueezeNet"):
            Lpips.read(path)


def test_code_in_a_backbone_is_not_executed(tmp_path: Path) -> None:
    torch.save({"0.weight": Intruder(tmp_path / "executed")}, tmp_path / "evil.pth")
    with pytest.raises(ModelError, match="cannot read the LPIPS backbone"):
        Lpips.read(tmp_path / "evil.pth")
    assert not (tmp_path / "executed").exists()
