"""Compare the networks with results of the public implementation, from an imported checkpoint."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from rs_superres import zoo
from rs_superres.nets.build import NeurOpDiff
from rs_superres.nets.prior import PaperPrior
from rs_superres.zoo.checkpoint import import_checkpoint


@pytest.fixture(scope="module")
def official(shared: Path) -> Path:
    return shared / "fixtures" / "official"


@pytest.fixture(scope="module")
def golden(official: Path) -> dict[str, Tensor]:
    with np.load(official / "small.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def import_network(official: Path, out: Path, weights: Literal["ema", "raw"]) -> NeurOpDiff:
    import_checkpoint(official / "small.pth", out, weights=weights, norm_groups=4)
    network = zoo.load(str(out)).network
    assert isinstance(network, NeurOpDiff)
    return network


@pytest.fixture(scope="module")
def network(official: Path, tmp_path_factory: pytest.TempPathFactory) -> NeurOpDiff:
    return import_network(official, tmp_path_factory.mktemp("golden") / "ema", "ema")


def test_features_match(network: NeurOpDiff, golden: dict[str, Tensor]) -> None:
    features = network.prior.encoder(golden["lr"])
    torch.testing.assert_close(features, golden["features"], rtol=0, atol=1e-4)


def test_prior_matches(network: NeurOpDiff, golden: dict[str, Tensor]) -> None:
    prior = network.prior(golden["lr"], (64, 96))
    torch.testing.assert_close(prior, golden["prior"], rtol=0, atol=1e-4)


def test_noise_prediction_matches(network: NeurOpDiff, golden: dict[str, Tensor]) -> None:
    noise = network.predict_noise(golden["noise"], golden["prior"], golden["noise_level"])
    torch.testing.assert_close(noise, golden["eps"], rtol=0, atol=1e-4)


def test_raw_weights_differ(official: Path, golden: dict[str, Tensor], tmp_path: Path) -> None:
    prior = import_network(official, tmp_path / "raw", "raw").prior(golden["lr"], (64, 96))
    assert (prior - golden["prior"]).abs().max() > 1e-3


def formula_parameter(name: str, shape: list[int]) -> Tensor:
    """Compute a parameter of ``rdn_formula`` as the fixtures' README defines it."""
    size = int(np.prod(shape))
    values = np.sin(1 + 0.7 * np.arange(size) + zlib.crc32(name.encode()) % 1000)
    if len(shape) > 1 and "kln" not in name and "vln" not in name:
        values /= np.sqrt(np.prod(shape[1:]))
    else:
        values = 0.1 * values + name.endswith("ln.weight")
    return torch.from_numpy(values.reshape(shape).astype(np.float32))


def test_rdn_prior_matches(official: Path, tmp_path: Path) -> None:
    sizes = json.loads((official / "rdn_formula.json").read_text())
    state = {name: formula_parameter(name, shape) for name, shape in sizes["parameters"]}
    torch.save({"model": state}, tmp_path / "rdn.pth")
    import_checkpoint(tmp_path / "rdn.pth", tmp_path / "rdn")
    model = zoo.load(str(tmp_path / "rdn"))
    assert isinstance(model.network, PaperPrior)
    assert (model.config.encoder.name, model.config.operator.heads) == ("rdn", sizes["blocks"])
    with np.load(official / "rdn_formula.npz") as arrays:
        prior = model.network(torch.from_numpy(arrays["lr"]), tuple(sizes["hr"]))
        torch.testing.assert_close(prior, torch.from_numpy(arrays["prior"]), rtol=0, atol=1e-4)
