"""Both kinds of model have one interface, and refuse steps that they cannot take."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rs_superres.config import TileConfig
from rs_superres.errors import InputError
from rs_superres.grid import Grid, Shape, Zoom, axis_support
from rs_superres.image.noise import normal_field
from rs_superres.image.resampling import cubic
from rs_superres.nets.build import SceneNetwork, paper_network, scene_network
from rs_superres.scene.inference import CellInput, Inference, prepare
from rs_superres.system.devices import ComputeSettings
from rs_superres.types import Floats
from tests import models
from tests.rasters import textured

CPU = torch.device("cpu")
ZOOM = Zoom.by_scale(Grid(Shape(30, 30), None), "2")


def prepared(kind: str, *, steps: int, denoiser: bool = True, **more: Any) -> Inference:
    config = models.config(kind, denoiser=denoiser, tiles=TileConfig(size=32, margin=8))
    torch.manual_seed(1)
    network = (scene_network if kind == "scene" else paper_network)(config).eval()
    if isinstance(network, SceneNetwork):
        models.scramble(network, seed=3)
    return prepare(
        config,
        network,
        ZOOM,
        ComputeSettings(steps=steps, **{"device": CPU, "precision": "fp32", **more}),
    )


def cell_input(inference: Inference) -> CellInput:
    """What an inference computes one cell and one sample from."""
    axis = axis_support(ZOOM.rows, 16, 32, margin=inference.margin, halo=inference.halo)
    image = (2 * textured(1, 3, axis.count, axis.count, dtype="float32", high=1) - 1).astype("f4")
    shape = 3, axis.positions.size, axis.positions.size
    noise = partial(normal_field, (1,), row=0, column=0, shape=shape)
    return CellInput(image, axis, axis, [noise])


def compute(inference: Inference) -> Floats:
    side = 32 + 2 * inference.margin
    (out,) = inference(cell_input(inference)).samples
    assert out.shape == (3, side, side)
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    return out


@pytest.mark.parametrize("kind", ["scene", "paper"])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_both_kinds_have_one_interface(kind: str, steps: int) -> None:
    inference = prepared(kind, steps=steps)
    assert inference.margin == (0 if (kind, steps) == ("scene", 0) else 8)
    compute(inference)


def test_bf16_differs_little_from_fp32() -> None:
    exact, near = (compute(prepared("scene", steps=0, precision=p)) for p in ("fp32", "bf16"))
    assert 0 < np.abs(exact - near).max() < 0.05


@pytest.mark.parametrize("kind", ["scene", "paper"])
@pytest.mark.parametrize("steps", [0, 1])
def test_the_residual_is_the_output_minus_cubic_interpolation(kind: str, steps: int) -> None:
    inference = prepared(kind, steps=steps)
    cell = cell_input(inference)
    (residual,), (sample,) = inference.residual(cell).samples, inference(cell).samples
    assert np.abs(residual).max() > 1e-3
    np.testing.assert_allclose(cubic(*cell.image_on_axes) + residual, sample, atol=1e-6, rtol=1e-6)


def test_steps_that_a_model_cannot_take_are_refused() -> None:
    for kind in ("scene", "paper"):
        with pytest.raises(InputError, match="-1 steps, expected 0 or more"):
            prepared(kind, steps=-1)
        with pytest.raises(InputError, match="2 steps, but this model is a prior alone"):
            prepared(kind, steps=2, denoiser=False)
        compute(prepared(kind, steps=0, denoiser=False))


def test_a_network_of_neither_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="no inference for Linear"):
        prepare(models.config(), nn.Linear(1, 1), ZOOM, ComputeSettings(steps=0, device=CPU))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_computes_the_same_within_its_precision() -> None:
    device = torch.device("cuda")
    exact = compute(prepared("scene", steps=2))
    for precision, tolerance in (("fp32", 1e-3), ("auto", 0.1)):
        out = compute(prepared("scene", steps=2, device=device, precision=precision))
        assert np.abs(out - exact).max() < tolerance


@pytest.mark.parametrize("steps", [0, 2])
def test_an_ensemble_is_for_the_operator_of_scenes(steps: int) -> None:
    """Texture is drawn once, on the mean."""
    alone, mean = (compute(prepared("scene", steps=steps, ensemble=n)) for n in (1, 8))
    difference = np.abs(mean - alone)
    assert 1e-4 < difference.mean() < 0.2
    with pytest.raises(InputError, match="ensemble=8, but a model of the kind paper"):
        prepared("paper", steps=0, ensemble=8)
