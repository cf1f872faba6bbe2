"""LPIPS agrees with its authors' package, and its weights with those of torchmetrics."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch

from rs_superres.errors import ModelError
from rs_superres.evaluation import lpips as module
from rs_superres.evaluation.lpips import Lpips, backbone, download_backbone
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


def test_the_backbone_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file has torchvision's names, and the weights of the classifier too."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    features = Lpips().features.state_dict()
    state = {f"features.{name}": value for name, value in features.items()}
    calls = []

    def download(url: str, path: str, hash_prefix: str, *, progress: bool) -> None:
        calls.append((url, hash_prefix, progress))
        torch.save(state | {"classifier.1.weight": torch.zeros(1)}, path)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert backbone() == tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    for _ in range(2):
        lpips = Lpips.read(download_backbone())
        assert torch.equal(lpips.features.state_dict()["0.weight"], features["0.weight"])
    assert calls == [(module.URL, "b8a52dc0", False)]


@pytest.mark.parametrize(
    "error",
    [OSError("<urlopen error\nno route>"), RuntimeError('invalid hash value (expected "a")')],
)
def test_a_failed_download_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def download(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(
        ModelError, match=r"cannot download .*; download https.* lpips_backbone="
    ) as c:
        download_backbone()
    assert "\n" not in str(c.value)
