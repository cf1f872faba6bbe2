"""Results of the shipped model show no seams between cells.

Each image is computed in small cells and, for comparison, in a single one. A seam would change the
gradient across the lines between cells. Too small a margin would change the texture near them.
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
    """Two results of one image: in cells of 64 x 64 pixels, and in a single cell."""

    small_cells: Array
    one_cell: Array


def upscale_twice(model: zoo.Model, values: Array, *, steps: int) -> Pair:
    """Upscale an image, (3, y, x), by 2.5 in small cells and in a single one."""
    zoom = Zoom.by_scale(Grid(Shape(*values.shape[1:]), None), SCALE)
    band = Band(dtype="uint8")
    inference = prepare(
        model.config,
        model.network,
        zoom,
        ComputeSettings(steps=steps, device=torch.device("cpu"), precision="fp32"),
    )
    results = []
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
        result = compute_window(recipe, ArrayReader(values), zoom.output.window)
        results.append(result.values)
    return Pair(*results)


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
    "synthetic scene": lambda: render_scene(160, samples=3)[:, :SIDE, 20 : 20 + SIDE],
    "nearly constant": nearly_constant,
}


@pytest.fixture(scope="module")
def model() -> zoo.Model:
    return zoo.load(zoo.DEFAULT)


@pytest.fixture(scope="module", params=IMAGES)
def pair(request: pytest.FixtureRequest, model: zoo.Model) -> Pair:
    return upscale_twice(model, IMAGES[request.param](), steps=model.config.sampler.steps)


def gradients(image: Array) -> list[Array]:
    """Mean absolute difference across each line between rows, and between columns."""
    values = image.astype(np.float64)
    return [
        np.abs(np.diff(values, axis=1)).mean(axis=(0, 2)),
        np.abs(np.diff(values, axis=2)).mean(axis=(0, 1)),
    ]


def high_pass(image: Array) -> list[Array]:
    """Variance of the second differences along each row, and along each column."""
    values = image.astype(np.float64)
    return [
        np.diff(values, n=2, axis=2).var(axis=(0, 2)),
        np.diff(values, n=2, axis=1).var(axis=(0, 1)),
    ]


def on_lines(measures: list[Array], shift: int = 0) -> float:
    """Mean of a measure on the lines between cells, or on lines shifted from them."""
    return float(np.mean([m[CELL - 1 + shift : len(m) : CELL].mean() for m in measures]))


def test_the_gradient_across_cell_lines_is_that_of_one_cell(pair: Pair) -> None:
    # The same lines are compared, because lines of one image differ by more than a seam.
    ratio = on_lines(gradients(pair.small_cells)) / on_lines(gradients(pair.one_cell))
    assert abs(ratio - 1) < 0.02


@pytest.mark.parametrize("measure", [gradients, high_pass])
def test_cell_lines_are_like_any_other(pair: Pair, measure: Any) -> None:
    measures = measure(pair.small_cells)
    shifted = [on_lines(measures, shift) for shift in range(1, CELL - 1)]
    low, high = np.percentile(shifted, (1, 99))
    value, in_one_cell = on_lines(measures), on_lines(measure(pair.one_cell))
    # Three lines of an image may differ from its other lines even without cells: in a smooth image,
    # rounding alone decides the measure. Then the lines must be as in a single cell.
    assert low <= value <= high or abs(value / in_one_cell - 1) < 0.005


def test_small_cells_agree_with_one_cell(pair: Pair) -> None:
    difference = pair.small_cells.astype(np.int16) - pair.one_cell.astype(np.int16)
    assert np.abs(difference).max() <= 1
    assert np.mean(difference != 0) < 0.02


def test_a_constant_stays_constant(model: zoo.Model) -> None:
    for value in (0, 100, 255):
        values = np.full((3, 40, 40), value, dtype=np.uint8)  # the result has 2 x 2 cells
        result = upscale_twice(model, values, steps=model.config.sampler.steps).small_cells
        assert np.abs(result.astype(np.int16) - value).max() <= 1, value


@pytest.mark.parametrize("image", IMAGES)
def test_the_prior_alone_is_the_same_in_any_cells(model: zoo.Model, image: str) -> None:
    pair = upscale_twice(model, IMAGES[image](), steps=0)
    difference = pair.small_cells.astype(np.int16) - pair.one_cell.astype(np.int16)
    assert np.abs(difference).max() <= 1
