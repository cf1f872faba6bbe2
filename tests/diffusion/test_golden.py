"""DDIM compared with the public implementation, with the same network and noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rs_superres import zoo
from rs_superres.diffusion.samplers import NoisePredictor, ddim
from rs_superres.diffusion.schedule import LinearSchedule
from rs_superres.nets.build import NeurOpDiff
from rs_superres.zoo.checkpoint import import_checkpoint

STEPS = 10


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, Tensor]:
    with np.load(shared / "fixtures" / "official" / "small.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@pytest.fixture(scope="module")
def predict(
    shared: Path, golden: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory
) -> NoisePredictor:
    """The network, conditioned on its own prior of the low-resolution image."""
    out = tmp_path_factory.mktemp("golden") / "small"
    import_checkpoint(shared / "fixtures" / "official" / "small.pth", out, norm_groups=4)
    network = zoo.load(str(out)).network
    assert isinstance(network, NeurOpDiff)
    prior = network.prior(golden["lr"], (64, 96))

    def predict(x: Tensor, level: Tensor) -> Tensor:
        return network.predict_noise(x, prior, level)

    return predict


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


def test_ddim_agrees_with_the_public_implementation(
    predict: NoisePredictor, golden: dict[str, Tensor]
) -> None:
    ours = ddim(predict, golden["noise"], LinearSchedule(), STEPS)
    assert relative_error(ours, golden["ddim"]) < 1e-3
