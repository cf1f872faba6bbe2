"""Cells lie where they should, agree with each other, and nothing leaks from invalid pixels."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from rs_superres.config import TileConfig
from rs_superres.errors import InputError
from rs_superres.grid import Grid, Lattice, Shape, Window, Zoom
from rs_superres.image.noise import normal_field
from rs_superres.image.radiometry import FILL_RADIUS
from rs_superres.nets.build import scene_network
from rs_superres.raster import Band, with_alpha
from rs_superres.scene.bands import band_groups, roles_of
from rs_superres.scene.cell import CONTINUED, compute_cell, compute_window, holds_valid, is_blank
from rs_superres.scene.inference import Inference, prepare
from rs_superres.scene.reader import ArrayReader
from rs_superres.scene.recipe import CellRecipe
from rs_superres.system.devices import ComputeSettings
from tests import models
from tests.located import Bilinear, Counted, Noise, coordinates, expected
from tests.rasters import textured

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

TRANSFORM = Affine(2.0, 0.0, 300.0, 0.0, -2.0, 900.0)
CRS = "EPSG:32633"


def band(dtype: str, interpretation: str = "undefined", nodata: float | None = None) -> Band:
    return Band(dtype=dtype, nodata=nodata, interpretation=interpretation)


def source(height: int, width: int, transform: Affine = TRANSFORM) -> Grid:
    return Grid(Shape(height, width), transform, CRS)


def make_recipe(
    zoom: Zoom,
    bands: tuple[Band, ...],
    inference: Inference,
    *,
    side: int = 64,
    value_range: tuple[float, float] = (0.0, 255.0),
) -> CellRecipe:
    roles = roles_of(bands)
    return CellRecipe(
        zoom=zoom,
        lattice=Lattice.over(zoom.output.shape, side),
        bands=bands,
        groups=tuple(band_groups(roles, bands, [], value_range)),
        linear_bands=roles.alpha,
        inference=inference,
        seed=5,
        masked=True,
    )


def compute_all(recipe: CellRecipe, values: Array, valid: Mask | None = None) -> tuple[Array, Mask]:
    """Compute an entire result, cell by cell: its values and its mask."""
    reader = ArrayReader(values, valid)
    result = compute_window(recipe, reader, recipe.zoom.output.window)
    assert result.mask is not None
    return result.values, result.mask


# Nothing is shifted


@settings(max_examples=40)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    scale=st.decimals("1.01", 6, places=2).map(str),
    inference=st.builds(Bilinear, st.integers(1, 5), st.sampled_from((0, 8))),
)
def test_located_image_by_scale(height: int, width: int, scale: str, inference: Bilinear) -> None:
    zoom = Zoom.by_scale(source(height, width), scale)
    recipe = make_recipe(zoom, (band("float32"),) * 2, inference, value_range=(0, 40))
    out, valid = compute_all(recipe, coordinates(height, width).astype(np.float32))
    assert valid.all()
    np.testing.assert_allclose(out, expected(zoom), rtol=0, atol=2e-5)


@settings(max_examples=40)
@given(
    start=st.tuples(st.floats(-15, 25), st.floats(-15, 25)),
    steps=st.tuples(st.floats(0.1, 0.95), st.floats(0.1, 0.95)),
    shape=st.builds(Shape, st.integers(1, 150), st.integers(1, 150)),
    inference=st.builds(Bilinear, st.integers(1, 5), st.sampled_from((0, 8))),
    turn=st.sampled_from((0, 30, 180)),
)
def test_located_image_on_any_grid(
    start: tuple[float, float],
    steps: tuple[float, float],
    shape: Shape,
    inference: Bilinear,
    turn: float,
) -> None:
    """On the grid of another raster, pixels lie where they should; those outside are masked."""
    grid = source(30, 34, TRANSFORM @ Affine.rotation(turn))
    assert grid.transform is not None
    transform = grid.transform @ Affine.translation(*start) @ Affine.scale(*steps)
    try:
        zoom = Zoom.by_grid(grid, Grid(shape, transform, CRS))
    except InputError:
        return  # the grid does not touch the source
    recipe = make_recipe(zoom, (band("float32"),) * 2, inference, value_range=(0, 40))
    out, valid = compute_all(recipe, coordinates(30, 34).astype(np.float32))
    rows, columns = np.mgrid[: shape.height, : shape.width] + 0.5
    x, y = start[0] + steps[0] * columns, start[1] + steps[1] * rows
    inside = (x >= 0) & (x < 34) & (y >= 0) & (y < 30)
    certain = np.minimum.reduce([abs(x), abs(x - 34), abs(y), abs(y - 30)]) > 1e-6
    np.testing.assert_array_equal(valid[certain], inside[certain])
    np.testing.assert_allclose(out[:, valid], expected(zoom)[:, valid], rtol=0, atol=2e-5)
    assert np.isnan(out[:, ~valid]).all()


@settings(max_examples=20)
@given(
    x=st.floats(0.3, 1.9),
    y=st.floats(0.3, 1.9),
    inference=st.builds(Bilinear, st.integers(1, 5), st.sampled_from((0, 8))),
)
def test_located_image_by_resolution(x: float, y: float, inference: Bilinear) -> None:
    zoom = Zoom.by_resolution(source(25, 31), x, y)
    recipe = make_recipe(zoom, (band("uint16"),) * 2, inference, value_range=(0, 40_000))
    out, valid = compute_all(recipe, (1000 * coordinates(25, 31)).astype(np.uint16))
    assert valid.all()
    # Half a digital number of rounding, on a ramp of 1000 digital numbers a source pixel.
    np.testing.assert_allclose(out, 1000 * expected(zoom), rtol=0, atol=0.52)


@pytest.mark.parametrize("margin", [0, 8])
def test_noise_is_that_of_the_absolute_pixel(margin: int) -> None:
    """This holds in each cell, and in the margin beyond the scene's first pixel."""
    zoom = Zoom.by_scale(source(20, 30), "5")
    bands = (*(band("float32", c) for c in ("red", "green", "blue")), band("float32"))
    recipe = make_recipe(zoom, bands, Noise(margin=margin), value_range=(-1, 1))
    out, _ = compute_all(recipe, np.zeros((4, 20, 30), dtype=np.float32))
    for group, members in enumerate(([0, 1, 2], [3])):
        field = normal_field((5, 0, 0, group), row=0, column=0, shape=(3, 100, 150))
        noise = field if len(members) == 3 else field.mean(axis=0, keepdims=True)
        np.testing.assert_allclose(out[members], noise, atol=1e-6)


# Cells leave no trace


@cache
def network_inference(zoom: Zoom, *, steps: int = 0, margin: int = 64) -> Inference:
    """A small scene network with random weights, prepared."""
    config = models.config(tiles=TileConfig(size=64, margin=margin))
    torch.manual_seed(0)
    network = scene_network(config).eval().requires_grad_(False)
    models.scramble(network, seed=3)
    return prepare(
        config,
        network,
        zoom,
        ComputeSettings(steps=steps, device=torch.device("cpu"), precision="fp32"),
    )


FLOAT_RGB = tuple(band("float32", c) for c in ("red", "green", "blue"))
BYTE_RGB = tuple(band("uint8", c) for c in ("red", "green", "blue"))


@settings(max_examples=12)
@given(
    scale=st.sampled_from(("1.3", "2", "3.5", "6.3")),
    seed=st.integers(0, 99),
    cells=st.lists(
        st.builds(Shape, st.integers(9, 150), st.integers(9, 150)), min_size=3, max_size=3
    ),
)
def test_cells_of_the_prior_agree_with_the_scene_in_one_cell(
    scale: str, seed: int, cells: list[Shape]
) -> None:
    zoom = Zoom.by_scale(source(22, 27), scale)
    shape = zoom.output.shape
    recipe = make_recipe(zoom, FLOAT_RGB, network_inference(zoom), value_range=(-1, 1))
    values = 2 * textured(seed, 3, 22, 27, dtype="float32", high=1) - 1
    one_cell, _ = compute_all(replace(recipe, lattice=Lattice(shape, shape)), values)
    assert np.ptp(one_cell) > 0.5
    for cell in cells:
        out, _ = compute_all(replace(recipe, lattice=Lattice(shape, cell)), values)
        np.testing.assert_allclose(out, one_cell, rtol=0, atol=1e-5)


def test_the_prior_adds_to_the_interpolation() -> None:
    """The test above therefore compares what the network computes."""
    zoom = Zoom.by_scale(source(22, 27), "2")
    values = 2 * textured(1, 3, 22, 27, dtype="float32", high=1) - 1
    network, plain = (
        compute_all(make_recipe(zoom, FLOAT_RGB, inference, value_range=(-1, 1)), values)[0]
        for inference in (network_inference(zoom), Bilinear())
    )
    assert np.abs(network - plain).mean() > 0.02


def test_cells_of_the_denoiser_agree_if_the_margin_covers_its_reach() -> None:
    """A margin of 64 pixels covers two steps of 16 pixels, and 16 for the deviations."""
    zoom = Zoom.by_scale(source(40, 44), "3")
    shape = zoom.output.shape
    inference = network_inference(zoom, steps=2, margin=64)
    recipe = make_recipe(zoom, FLOAT_RGB, inference, value_range=(-1, 1))
    values = 2 * textured(2, 3, 40, 44, dtype="float32", high=1) - 1
    one, other = (
        compute_all(replace(recipe, lattice=Lattice(shape, cell)), values)[0]
        for cell in (Shape(64, 64), Shape(128, 192))
    )
    prior, _ = compute_all(replace(recipe, inference=network_inference(zoom)), values)
    assert np.abs(one - prior).mean() > 0.01
    np.testing.assert_allclose(one, other, rtol=0, atol=2e-4)


@pytest.mark.parametrize("steps", [0, 2])
def test_the_order_of_cells_is_irrelevant(steps: int) -> None:
    zoom = Zoom.by_scale(source(40, 44), "3.5")
    recipe = make_recipe(zoom, BYTE_RGB, network_inference(zoom, steps=steps, margin=8))
    reader = ArrayReader(textured(3, 3, 40, 44))
    cells = list(recipe.lattice.cells())
    assert len(cells) > 4
    forward = {cell: compute_cell(recipe, reader, cell)[0].tobytes() for cell in cells}
    backward = {cell: compute_cell(recipe, reader, cell)[0].tobytes() for cell in cells[::-1]}
    assert forward == backward


# Masks

HOLE = np.s_[8:17, 5:18]


def holed(height: int = 30, width: int = 26) -> Mask:
    valid = np.ones((height, width), dtype=np.bool_)
    valid[HOLE] = False
    return valid


def nearest(zoom: Zoom, valid: Mask) -> Mask:
    """The source's mask under each output pixel's centre, by definition."""
    height, width = zoom.output.shape.height, zoom.output.shape.width
    rows = (2 * np.arange(height) + 1) * valid.shape[0] // (2 * height)
    columns = (2 * np.arange(width) + 1) * valid.shape[1] // (2 * width)
    return valid[np.ix_(rows, columns)]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("scale", ["2", "3.5", "6.3"])
def test_the_mask_is_that_of_the_nearest_source_pixel(dtype: str, scale: str) -> None:
    zoom = Zoom.by_scale(source(30, 26), scale)
    values = textured(4, 3, 30, 26, dtype=dtype, high=100) + np.ones(1, dtype)
    valid = np.broadcast_to(holed(), values.shape)
    bands = tuple(band(dtype, c) for c in ("red", "green", "blue"))
    out, mask = compute_all(make_recipe(zoom, bands, Bilinear()), values, valid)
    np.testing.assert_array_equal(mask, nearest(zoom, holed()))
    invalid = out[:, ~mask]
    assert np.isnan(invalid).all() if dtype == "float32" else (invalid == 0).all()
    assert (out[:, mask] >= 1 - 1e-3).all()


def test_invalid_pixels_and_no_others_are_nodata() -> None:
    zoom = Zoom.by_scale(source(30, 26), "2.5")
    values = textured(4, 2, 30, 26, high=3)  # many zeros: valid ones must not turn into nodata
    valid = np.stack((holed(), ~holed()))
    bands = (band("uint8", nodata=0),) * 2
    out, _ = compute_all(make_recipe(zoom, bands, Bilinear()), values, valid)
    for i in range(2):
        np.testing.assert_array_equal(out[i] != 0, nearest(zoom, valid[i]))


def test_zeros_are_valid() -> None:
    zoom = Zoom.by_scale(source(30, 26), "2.5")
    zeros = np.zeros((3, 30, 26), dtype=np.uint8)
    out, valid = compute_all(make_recipe(zoom, BYTE_RGB, Bilinear()), zeros)
    assert valid.all()
    assert not out.any()


def test_values_in_a_hole_do_not_matter() -> None:
    zoom = Zoom.by_scale(source(30, 26), "3")
    values = textured(5, 3, 30, 26, dtype="float32")
    valid = np.broadcast_to(holed(), values.shape)
    recipe = make_recipe(zoom, FLOAT_RGB, network_inference(zoom, steps=1, margin=8))
    results = []
    for hidden in (0.0, 1e30, np.nan, np.inf):
        values[:, *HOLE] = hidden
        results.append(compute_all(recipe, values, valid)[0].tobytes())
    assert len(set(results)) == 1


def test_a_hole_changes_nothing_beyond_its_reach() -> None:
    zoom = Zoom.by_scale(source(70, 60), "2")
    values = textured(6, 3, 70, 60)
    inference = network_inference(zoom)
    recipe = make_recipe(zoom, BYTE_RGB, inference)
    plain, _ = compute_all(recipe, values)
    valid = np.ones((70, 60), dtype=np.bool_)
    valid[:10, :10] = False
    out, mask = compute_all(recipe, values, np.broadcast_to(valid, values.shape))
    reach = 2 * (10 + inference.halo + 1)
    assert reach < 2 * (10 + FILL_RADIUS)
    np.testing.assert_array_equal(out[:, reach:], plain[:, reach:])
    np.testing.assert_array_equal(out[:, :, reach:], plain[:, :, reach:])
    assert (out[:, mask] != plain[:, mask]).any()
    np.testing.assert_array_equal(mask, nearest(zoom, valid))


BYTE_RGBA = with_alpha((*BYTE_RGB, band("uint8", "alpha")))


def feathered(height: int, width: int) -> Array:
    """An alpha band, (1, y, x), that falls from 255 to 0 within a few pixels, in two places."""
    rows, columns = np.mgrid[:height, :width]
    first = np.hypot(rows - height * 0.3, columns - width * 0.4) - min(height, width) * 0.3
    second = np.abs(rows - height * 0.8) - 4
    alpha: Array = (255 - 60 * np.minimum(first, second)).clip(0, 255).astype(np.uint8)
    return alpha[None]


def test_alpha_is_interpolated() -> None:
    zoom = Zoom.by_scale(source(30, 26), "2")
    alpha = feathered(30, 26)
    recipe = make_recipe(zoom, BYTE_RGBA, Bilinear(margin=8))
    out, valid = compute_all(recipe, np.concatenate((textured(7, 3, 30, 26), alpha)))
    assert valid.all()
    ramp, _ = compute_all(make_recipe(zoom, (band("uint8"),), Bilinear()), alpha)
    np.testing.assert_allclose(out[3], ramp[0].astype(np.int64), rtol=0, atol=1)
    assert 0 < np.isin(out[3], (0, 255), invert=True).sum() < out[3].size


@pytest.mark.parametrize("opacity", [1, 128, 255])
def test_equal_alpha_changes_no_colour(opacity: int) -> None:
    zoom = Zoom.by_scale(source(30, 26), "2")
    colours, alpha = textured(7, 3, 30, 26), np.full((1, 30, 26), opacity, dtype=np.uint8)
    inference = network_inference(zoom, steps=1, margin=8)
    out, _ = compute_all(make_recipe(zoom, BYTE_RGBA, inference), np.concatenate((colours, alpha)))
    plain, _ = compute_all(make_recipe(zoom, BYTE_RGB, inference), colours)
    np.testing.assert_array_equal(out[:3], plain)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
@pytest.mark.parametrize("scale", ["2", "3.7"])
def test_colours_under_full_transparency_do_not_matter(dtype: str, scale: str) -> None:
    zoom = Zoom.by_scale(source(50, 46), scale)
    values = np.concatenate((textured(5, 3, 50, 46), feathered(50, 46))).astype(dtype)
    bands = with_alpha(tuple(band(dtype, c) for c in ("red", "green", "blue", "alpha")))
    recipe = make_recipe(zoom, bands, network_inference(zoom, steps=1, margin=8))
    recipe = replace(recipe, consistency=True)
    hidden = values[3] == 0
    results = []
    for colour in (0, 255, 77) + ((np.nan, 1e30) if dtype == "float32" else ()):
        values[:3, hidden] = colour
        results.append(compute_all(recipe, values)[0].tobytes())
    if dtype == "float32":  # NaN is invalid, under alpha as elsewhere
        del results[3]
    assert len(set(results)) == 1


def test_visible_colours_continue_into_transparent_pixels() -> None:
    zoom = Zoom.by_scale(source(90, 30), "2")
    values = np.full((4, 90, 30), 255, dtype=np.uint8)
    values[:3, :40] = textured(5, 3, 40, 30) // 4 + 100
    values[3, 40:] = 0
    out, _ = compute_all(make_recipe(zoom, BYTE_RGBA, Bilinear()), values)
    edge = 2 * (40 + CONTINUED)
    colours = values[:3, :40]
    assert (out[:3, :edge] >= colours.min()).all()
    assert (out[:3, :edge] <= colours.max()).all()
    assert not out[:3, edge:].any()
    assert not out[3, 82:].any()


def test_transparent_cells_are_not_computed() -> None:
    zoom = Zoom.by_scale(source(90, 30), "2")
    values = np.full((4, 90, 30), 255, dtype=np.uint8)
    values[3, 20:] = 0
    counted = Counted(Bilinear())
    recipe = make_recipe(zoom, BYTE_RGBA, counted)
    cells = list(recipe.lattice.cells())
    reader = ArrayReader(values)
    assert [holds_valid(recipe, reader, cell) for cell in cells] == [True, False, False]
    results = [compute_cell(recipe, reader, cell) for cell in cells]
    assert [is_blank(recipe, r.values, r.mask) for r in results] == [False, True, True]
    assert counted.calls == 1


@pytest.mark.parametrize("scale", ["2", "3.7"])
def test_cells_agree_under_partial_alpha(scale: str) -> None:
    zoom = Zoom.by_scale(source(70, 66), scale)
    values = np.concatenate((textured(5, 3, 70, 66), feathered(70, 66)))
    recipe = make_recipe(zoom, BYTE_RGBA, Bilinear())
    out, _ = compute_all(recipe, values)
    smaller = replace(recipe, lattice=Lattice.over(zoom.output.shape, 16))
    np.testing.assert_array_equal(compute_all(smaller, values)[0], out)
    ignored, _ = compute_all(make_recipe(zoom, BYTE_RGB, Bilinear()), values[:3])
    assert (out[:3] != ignored).any()


def test_cells_without_a_valid_pixel_are_not_computed() -> None:
    zoom = Zoom.by_scale(source(20, 20), "2")
    values = np.full((3, 20, 20), 9, dtype=np.uint8)
    recipe = make_recipe(zoom, BYTE_RGB, Counted(Bilinear(), limit=0))
    out, valid = compute_all(recipe, values, values > 9)
    assert not valid.any()
    assert not out.any()


def test_pixels_of_a_cell_beyond_the_output_are_invalid() -> None:
    zoom = Zoom.by_scale(source(20, 20), "2")
    recipe = make_recipe(zoom, BYTE_RGB, Bilinear())
    _, mask, _ = compute_cell(recipe, ArrayReader(textured(8, 3, 20, 20)), Window(0, 0, 64, 64))
    assert mask is not None
    assert mask[:40, :40].all()
    assert mask.sum() == 40 * 40


def test_pixels_beyond_an_output_that_ends_within_the_source_are_invalid() -> None:
    like = Grid(Shape(30, 20), TRANSFORM @ Affine.scale(0.5), CRS)
    zoom = Zoom.by_grid(source(40, 40), like)
    recipe = make_recipe(zoom, BYTE_RGB, Bilinear())
    _, mask, _ = compute_cell(recipe, ArrayReader(textured(8, 3, 40, 40)), Window(0, 0, 64, 64))
    assert mask is not None
    assert mask[:30, :20].all()
    assert mask.sum() == 30 * 20


def test_a_result_without_a_mask_gets_none() -> None:
    zoom = Zoom.by_scale(source(20, 20), "2")
    recipe = replace(make_recipe(zoom, BYTE_RGB, Bilinear()), masked=False)
    cell = Window(0, 0, 64, 64)
    assert compute_cell(recipe, ArrayReader(textured(8, 3, 20, 20)), cell).mask is None
