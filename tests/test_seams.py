"""The shipped model's result shows no tile: by its gradients and by its texture.

Each image is computed in cells and, as the reference, in one piece. What a seam would change is
the gradient across the cells' lines; what dropping too little of a cell would change is the
texture beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from rs_superres import zoo
from rs_superres.demo.synthetic_scene import render_scene
from rs_superres.grid import Grid, Lattice, Shape, Zoom
from rs_superres.image.radiometry import ValueRange
from rs_superres.raster import Band
from rs_superres.scene.bands import BandGroup
from rs_superres.scene.cell import compute_window
from rs_superres.scene.inference import prepare
from rs_superres.scene.reader import ArrayReader
from rs_superres.scene.recipe import CellRecipe
from rs_superres.system.devices import ComputeSettings

Array = npt.NDArray[Any]

SIDE, SCALE, CELL = 96, 2.5, 64


@dataclass(frozen=True)
class Pair:
    """One image enlarged in cells of 64 x 64 pixels, and in one piece."""

    cells: Array
    whole: Array


def enlarged(model: zoo.Model, values: Array, *, steps: int) -> Pair:
    """Both ways of enlarging an image (3, y, x) to 240 x 240."""
    zoom = Zoom.by_scale(Grid(Shape(*values.shape[1:]), None), SCALE)
    band = Band(dtype="uint8")
    inference = prepare(
        model.config,
        model.network,
        zoom,
        ComputeSettings(steps=steps, device=torch.device("cpu"), precision="fp32"),
    )
    out = []
    for side in (CELL, 512):
        recipe = CellRecipe(
            zoom=zoom,
            lattice=Lattice(zoom.output.shape, Shape(side, side)),
            bands=(band,) * 3,
            groups=(BandGroup((0, 1, 2), ValueRange(0.0, 255.0)),),
            inference=inference,
            seed=0,
            masked=False,
        )
        out.append(_whole(recipe, values))
    return Pair(*out)


def _whole(recipe: CellRecipe, values: Array) -> Array:
    return compute_window(recipe, ArrayReader(values), recipe.zoom.output.window).values


def smooth() -> Array:
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    bands = [120 + 90 * np.sin(3 * x + k) * np.cos(2 * y - k) for k in range(3)]
    values: Array = np.rint(np.stack(bands)).astype(np.uint8)
    return values


def nearly_constant() -> Array:
    noise = np.random.default_rng(3).normal(0, 1, (3, SIDE, SIDE))
    values: Array = np.rint(100 + noise).astype(np.uint8)
    return values


IMAGES = {
    "smooth": smooth,
    "drawn town": lambda: render_scene(160, samples=3)[:, :SIDE, 20 : 20 + SIDE],
    "nearly constant": nearly_constant,
}


@pytest.fixture(scope="module")
def model() -> zoo.Model:
    return zoo.load(zoo.DEFAULT)


@pytest.fixture(scope="module", params=IMAGES)
def pair(request: pytest.FixtureRequest, model: zoo.Model) -> Pair:
    return enlarged(model, IMAGES[request.param](), steps=model.config.sampler.steps)


def gradients(image: Array) -> list[Array]:
    """Mean absolute difference across each line between pixels, of rows and of columns."""
    values = image.astype(np.float64)
    return [
        np.abs(np.diff(values, axis=1)).mean(axis=(0, 2)),
        np.abs(np.diff(values, axis=2)).mean(axis=(0, 1)),
    ]


def high_pass(image: Array) -> list[Array]:
    """Variance of each row's and each column's second differences along itself."""
    values = image.astype(np.float64)
    return [
        np.diff(values, n=2, axis=2).var(axis=(0, 2)),
        np.diff(values, n=2, axis=1).var(axis=(0, 1)),
    ]


def on_lines(figures: list[Array], shift: int = 0) -> float:
    """The mean of a figure on the cells' lines, or on lines shifted from them."""
    return float(np.mean([f[CELL - 1 + shift : len(f) : CELL].mean() for f in figures]))


def test_the_gradient_across_cell_lines_is_that_of_the_result_in_one_piece(pair: Pair) -> None:
    # Against the same lines of the whole, since an image's own lines differ by more than a seam.
    ratio = on_lines(gradients(pair.cells)) / on_lines(gradients(pair.whole))
    assert abs(ratio - 1) < 0.02


@pytest.mark.parametrize("figure", [gradients, high_pass])
def test_cell_lines_are_like_any_other(pair: Pair, figure: Any) -> None:
    figures = figure(pair.cells)
    shifted = [on_lines(figures, shift) for shift in range(1, CELL - 1)]
    low, high = np.percentile(shifted, (1, 99))
    found, whole = on_lines(figures), on_lines(figure(pair.whole))
    # Three lines of one image may be unlike its others with no cell near: on a smooth image
    # rounding alone makes the figure. Then they must be what they are in one piece.
    assert low <= found <= high or abs(found / whole - 1) < 0.005


def test_cells_agree_with_the_whole(pair: Pair) -> None:
    difference = pair.cells.astype(np.int16) - pair.whole.astype(np.int16)
    assert np.abs(difference).max() <= 1
    assert np.mean(difference != 0) < 0.02


def test_a_constant_stays_constant(model: zoo.Model) -> None:
    for value in (0, 100, 255):
        values = np.full((3, 40, 40), value, dtype=np.uint8)  # 100 x 100: two cells each way
        made = enlarged(model, values, steps=model.config.sampler.steps).cells
        assert np.abs(made.astype(np.int16) - value).max() <= 1, value


@pytest.mark.parametrize("image", IMAGES)
def test_the_prior_alone_is_the_same_in_any_cells(model: zoo.Model, image: str) -> None:
    made = enlarged(model, IMAGES[image](), steps=0)
    assert np.abs(made.cells.astype(np.int16) - made.whole.astype(np.int16)).max() <= 1
