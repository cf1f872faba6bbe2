"""Both kinds of networks answer one call, and say which steps they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rs_superres.config import TileConfig
from rs_superres.errors import InputError
from rs_superres.grid import AxisSupport, Grid, Shape, Zoom, axis_support
from rs_superres.image.noise import normal_field
from rs_superres.image.resampling import cubic
from rs_superres.nets.build import SceneNetwork, paper_network, scene_network
from rs_superres.scene.inference import Inference, prepare
from rs_superres.system.devices import ComputeSettings
from rs_superres.types import Floats
from tests import models
from tests.rasters import textured

CPU = torch.device("cpu")
ZOOM = Zoom.by_scale(Grid(Shape(30, 30), None), "2")


def ready(kind: str, *, steps: int, denoiser: bool = True, **more: Any) -> Inference:
    made = models.config(kind, denoiser=denoiser, tiles=TileConfig(size=32, margin=8))
    torch.manual_seed(1)
    network = (scene_network if kind == "scene" else paper_network)(made).eval()
    if isinstance(network, SceneNetwork):
        models.scramble(network, seed=3)
    return prepare(
        made,
        network,
        ZOOM,
        ComputeSettings(steps=steps, **{"device": CPU, "precision": "fp32", **more}),
    )


def asked(
    inference: Inference,
) -> tuple[Floats, AxisSupport, AxisSupport, list[Callable[[], Floats]]]:
    """What one cell asks of an inference."""
    along = axis_support(ZOOM.rows, 16, 32, margin=inference.margin, halo=inference.halo)
    image = (2 * textured(1, 3, along.count, along.count, dtype="float32", high=1) - 1).astype("f4")
    shape = 3, along.positions.size, along.positions.size
    return image, along, along, [lambda: normal_field((1,), row=0, column=0, shape=shape)]


def cell(inference: Inference) -> Floats:
    side = 32 + 2 * inference.margin
    (out,) = inference(*asked(inference))
    assert out.shape == (3, side, side)
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    return out


@pytest.mark.parametrize("kind", ["scene", "paper"])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_both_kinds_answer_the_same_call(kind: str, steps: int) -> None:
    inference = ready(kind, steps=steps)
    assert inference.margin == (0 if (kind, steps) == ("scene", 0) else 8)
    cell(inference)


def test_bf16_is_near_and_is_not_fp32() -> None:
    exact, near = (cell(ready("scene", steps=0, precision=p)) for p in ("fp32", "bf16"))
    assert 0 < np.abs(exact - near).max() < 0.05


@pytest.mark.parametrize("kind", ["scene", "paper"])
@pytest.mark.parametrize("steps", [0, 1])
def test_the_residual_is_what_stands_beside_the_cubic(kind: str, steps: int) -> None:
    made = models.config(kind, tiles=TileConfig(size=32, margin=8))
    torch.manual_seed(1)
    network = (scene_network if kind == "scene" else paper_network)(made).eval()
    if isinstance(network, SceneNetwork):
        models.scramble(network, seed=3)
    inference = prepare(
        made, network, ZOOM, ComputeSettings(steps=steps, device=CPU, precision="fp32")
    )
    call = asked(inference)
    (residual,), (drawn,) = inference.residual(*call), inference(*call)
    assert np.abs(residual).max() > 1e-3
    np.testing.assert_allclose(cubic(*call[:3]) + residual, drawn, atol=1e-6, rtol=1e-6)


def test_steps_that_a_model_does_not_take() -> None:
    for kind in ("scene", "paper"):
        with pytest.raises(InputError, match="-1 steps, expected 0 or more"):
            ready(kind, steps=-1)
        with pytest.raises(InputError, match="2 steps, but this model is a prior alone"):
            ready(kind, steps=2, denoiser=False)
        cell(ready(kind, steps=0, denoiser=False))


def test_a_network_of_neither_kind() -> None:
    made = models.config()
    with pytest.raises(TypeError, match="no inference for Linear"):
        prepare(made, nn.Linear(1, 1), ZOOM, ComputeSettings(steps=0, device=CPU))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_takes_the_same_path() -> None:
    device = torch.device("cuda")
    exact = cell(ready("scene", steps=2))
    for precision, tolerance in (("fp32", 1e-3), ("auto", 0.1)):
        ours = cell(ready("scene", steps=2, device=device, precision=precision))
        assert np.abs(ours - exact).max() < tolerance
