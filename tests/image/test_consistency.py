"""A result comes back to its source: nearly, locally, and never away from the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rs_superres.config import ConsistencyConfig, Kernel
from rs_superres.grid import AxisMapping, Grid, Shape, Zoom
from rs_superres.image.consistency import Projection, footprints, reach
from rs_superres.image.degradation import kernel_matrix
from tests.rasters import Array

KERNELS = ("bicubic", "area", "gaussian")
FIELD = 40
"""Source cells of a side."""
AROUND = 90
"""Output pixels on either side that a field goes on for."""


def zoom(scale: str, side: int = FIELD) -> Zoom:
    return Zoom.by_scale(Grid(Shape(side, side), None), scale)


def project(
    config: ConsistencyConfig, along: Zoom, made: Array, source: Array, pixels: range
) -> Array:
    """The projection of a square window of a field, as a cell of the lattice is projected."""
    around = reach(along)
    wide = range(pixels.start - around, pixels.stop + around)
    cells = range(-12, along.rows.source + 12)
    mirrored = np.pad(made, ((0, 0), (AROUND, AROUND), (AROUND, AROUND)), mode="symmetric")
    beyond = np.pad(source, ((0, 0), (12, 12), (12, 12)), mode="symmetric")
    part = np.s_[AROUND + wide.start : AROUND + wide.stop]
    projection = Projection(config, (along.rows, along.columns), (wide, wide), (cells, cells))
    out = projection(mirrored[:, part, part], beyond, width=255.0)
    return out[:, around:-around, around:-around]


def fields(scale: str, seed: int = 0) -> tuple[Zoom, Array, Array]:
    along, chance = zoom(scale), np.random.default_rng(seed)
    side = along.output.shape.height
    return along, chance.normal(size=(2, side, side)), chance.normal(size=(2, FIELD, FIELD))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("scale", ["1.25", "2", "3.7", "8"])
def test_what_comes_back_is_the_source(kernel: Kernel, scale: str) -> None:
    along, made, source = fields(scale)
    side = along.output.shape.height
    out = project(ConsistencyConfig(kernel=kernel), along, made, source, range(side))
    back = kernel_matrix(kernel, FIELD, side)
    before, after = (source - back @ y @ back.T for y in (made, out))
    allowed = 0.09 if kernel == "gaussian" else 0.02  # the Gaussian's inverse reaches farther
    assert after.std() < allowed * before.std()


def test_pillow_brings_it_back_too() -> None:
    along, made, source = fields("2.5", seed=1)
    side = along.output.shape.height
    out = project(ConsistencyConfig(), along, made, source, range(side))

    def error(image: Array) -> float:
        shrunk = Image.fromarray(image.astype(np.float32)).resize(
            (FIELD, FIELD), Image.Resampling.BICUBIC
        )
        return float(np.std(np.asarray(shrunk) - source[0]))

    assert error(made[0]) > 0.5
    assert error(out[0]) < 0.02


@pytest.mark.parametrize("kernel", KERNELS)
def test_it_never_leads_away_from_a_truth(kernel: Kernel) -> None:
    """The projection of an image on all that come back to the source: the truth is one of them."""
    along, made, truth = (*fields("3")[:2], np.random.default_rng(5).normal(size=(2, 120, 120)))
    back = kernel_matrix(kernel, FIELD, 120)
    out = project(ConsistencyConfig(kernel=kernel), along, made, back @ truth @ back.T, range(120))
    assert ((out - truth) ** 2).mean() < ((made - truth) ** 2).mean()


@settings(max_examples=25, deadline=None)
@given(
    start=st.integers(0, 90),
    size=st.integers(1, 30),
    scale=st.sampled_from(("1.3", "2", "3.7")),
    kernel=st.sampled_from(KERNELS),
)
def test_any_window_alone_is_that_of_the_whole(
    start: int, size: int, scale: str, kernel: Kernel
) -> None:
    along, made, source = fields(scale)
    side = along.output.shape.height
    first = min(start, side - 1)
    pixels = range(first, min(side, first + size))
    config = ConsistencyConfig(kernel=kernel)
    alone = project(config, along, made, source, pixels)
    whole = project(config, along, made, source, range(side))
    inside = np.s_[pixels.start : pixels.stop]
    np.testing.assert_allclose(alone, whole[:, inside, inside], rtol=0, atol=1e-12)


def test_the_noise_level_is_granted() -> None:
    along, made, source = fields("2")
    side = along.output.shape.height
    config = ConsistencyConfig(noise=0.5 / 255)
    back = kernel_matrix("bicubic", FIELD, side)
    near = back @ made @ back.T + 0.4 * np.sign(source)
    np.testing.assert_allclose(project(config, along, made, near, range(side)), made, atol=1e-12)
    far = project(config, along, made, source, range(side))
    assert np.abs(source - back @ far @ back.T).max() == pytest.approx(0.5, abs=0.1)


def test_cells_that_the_result_does_not_cover_say_nothing() -> None:
    inner = AxisMapping.stepping(20, 25, step=0.5, start=3.25)
    told = footprints(ConsistencyConfig(), inner, range(-10, 40), range(20)).any(axis=1)
    assert list(np.flatnonzero(told)) == list(inner.covered()) == list(range(4, 15))


def test_a_window_s_border_is_none_of_the_scene_s() -> None:
    axis = AxisMapping.over_extent(30, 90)
    told = footprints(ConsistencyConfig(), axis, range(30, 60), range(30)).any(axis=1)
    assert list(np.flatnonzero(told)) == list(range(12, 18))
