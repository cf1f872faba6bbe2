"""Consistency: results downsample to their source, locally, and never move away from a truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rs_superres.config import ConsistencyConfig, Kernel
from rs_superres.grid import AxisMapping, Grid, Shape, WindowAxis, Zoom
from rs_superres.image.consistency import Projection, footprints, reach
from rs_superres.image.degradation import kernel_matrix
from tests.rasters import Array

KERNELS = ("bicubic", "area", "gaussian")
SIDE = 40
"""Source pixels of a side of the test images."""
PADDING = 90
"""Mirrored output pixels on either side of the test images."""


def zoom(scale: str, side: int = SIDE) -> Zoom:
    return Zoom.by_scale(Grid(Shape(side, side), None), scale)


def project(
    config: ConsistencyConfig, along: Zoom, result: Array, source: Array, pixels: range
) -> Array:
    """Correct a square window of a result, as a cell of the lattice is corrected."""
    margin = reach(along)
    wide = range(pixels.start - margin, pixels.stop + margin)
    source_pixels = range(-12, along.rows.source + 12)
    padding = (0, 0), (PADDING, PADDING), (PADDING, PADDING)
    mirrored = np.pad(result, padding, mode="symmetric")
    mirrored_source = np.pad(source, ((0, 0), (12, 12), (12, 12)), mode="symmetric")
    part = np.s_[PADDING + wide.start : PADDING + wide.stop]
    rows, columns = (WindowAxis(m, wide, source_pixels) for m in (along.rows, along.columns))
    projection = Projection(config, rows, columns)
    bands = zip(mirrored[:, part, part], mirrored_source, strict=True)
    out = np.stack([projection(y, x, tolerance=255.0 * config.noise) for y, x in bands])
    return out[:, margin:-margin, margin:-margin]


def images(scale: str, seed: int = 0) -> tuple[Zoom, Array, Array]:
    """Draw a result and an unrelated source, two bands of normal noise each."""
    along, generator = zoom(scale), np.random.default_rng(seed)
    side = along.output.shape.height
    return along, generator.normal(size=(2, side, side)), generator.normal(size=(2, SIDE, SIDE))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("scale", ["1.25", "2", "3.7", "8"])
def test_corrected_results_downsample_to_the_source(kernel: Kernel, scale: str) -> None:
    along, result, source = images(scale)
    side = along.output.shape.height
    out = project(ConsistencyConfig(kernel=kernel), along, result, source, range(side))
    down = kernel_matrix(kernel, SIDE, side)
    before, after = (source - down @ y @ down.T for y in (result, out))
    # What a Gaussian leaves little of is corrected in part.
    remaining = 0.35 if kernel == "gaussian" else 0.02
    assert after.std() < remaining * before.std()


@pytest.mark.parametrize("mtf", [0.05, 0.12, 0.3, 0.5])
@pytest.mark.parametrize("scale", ["2", "3.7"])
def test_no_blur_turns_small_differences_into_large_dots(mtf: float, scale: str) -> None:
    """The finest pattern of a source, a chessboard of 1 and -1, is what a blur leaves least of."""
    along, result, _ = images(scale)
    side = along.output.shape.height
    config = ConsistencyConfig(kernel="gaussian", mtf=mtf)
    board = np.indices((SIDE, SIDE)).sum(axis=0) % 2 * 2.0 - 1
    flat = np.zeros_like(result)
    out = project(config, along, flat, np.stack([board, board]), range(side))
    assert np.abs(out).max() < 10  # 29 to 270 for the two smallest, if they were undone entirely
    constant = project(config, along, flat, np.ones((2, SIDE, SIDE)), range(side))
    down = kernel_matrix("gaussian", SIDE, side, mtf=mtf)
    inside = np.s_[:, 4:-4, 4:-4]
    np.testing.assert_allclose((down @ constant @ down.T)[inside], 1, atol=0.02)


def test_pillow_downsamples_corrected_results_to_the_source() -> None:
    along, result, source = images("2.5", seed=1)
    side = along.output.shape.height
    out = project(ConsistencyConfig(), along, result, source, range(side))

    def error(image: Array) -> float:
        shrunk = Image.fromarray(image.astype(np.float32)).resize(
            (SIDE, SIDE), Image.Resampling.BICUBIC
        )
        return float(np.std(np.asarray(shrunk) - source[0]))

    assert error(result[0]) > 0.5
    assert error(out[0]) < 0.02


@pytest.mark.parametrize("kernel", KERNELS)
def test_corrected_results_are_nearer_to_a_truth_of_the_source(kernel: Kernel) -> None:
    """Truth downsamples to the source, and projection approaches all images that do."""
    along, result, _ = images("3")
    truth = np.random.default_rng(5).normal(size=(2, 120, 120))
    down = kernel_matrix(kernel, SIDE, 120)
    source = down @ truth @ down.T
    out = project(ConsistencyConfig(kernel=kernel), along, result, source, range(120))
    assert ((out - truth) ** 2).mean() < ((result - truth) ** 2).mean()


@settings(max_examples=25, deadline=None)
@given(
    start=st.integers(0, 90),
    size=st.integers(1, 30),
    scale=st.sampled_from(("1.3", "2", "3.7")),
    kernel=st.sampled_from(KERNELS),
)
def test_a_window_is_corrected_as_in_the_complete_scene(
    start: int, size: int, scale: str, kernel: Kernel
) -> None:
    along, result, source = images(scale)
    side = along.output.shape.height
    first = min(start, side - 1)
    pixels = range(first, min(side, first + size))
    config = ConsistencyConfig(kernel=kernel)
    window = project(config, along, result, source, pixels)
    scene = project(config, along, result, source, range(side))
    inside = np.s_[pixels.start : pixels.stop]
    np.testing.assert_allclose(window, scene[:, inside, inside], rtol=0, atol=1e-12)


def test_differences_within_the_noise_level_are_left() -> None:
    along, result, source = images("2")
    side = along.output.shape.height
    config = ConsistencyConfig(noise=0.5 / 255)
    down = kernel_matrix("bicubic", SIDE, side)
    near = down @ result @ down.T + 0.4 * np.sign(source)
    unchanged = project(config, along, result, near, range(side))
    np.testing.assert_allclose(unchanged, result, atol=1e-12)
    corrected = project(config, along, result, source, range(side))
    assert np.abs(source - down @ corrected @ down.T).max() == pytest.approx(0.5, abs=0.1)


def test_footprints_are_zero_where_the_result_covers_no_source_pixel() -> None:
    axis = AxisMapping.stepping(20, 25, step=0.5, start=3.25)
    used = footprints(ConsistencyConfig(), axis, range(-10, 40), range(20)).any(axis=1)
    assert list(np.flatnonzero(used)) == list(axis.covered()) == list(range(4, 15))


def test_footprints_are_zero_where_the_window_cuts_the_kernel() -> None:
    """Only the scene's edge truncates a kernel, not a window's border."""
    axis = AxisMapping.over_extent(30, 90)
    used = footprints(ConsistencyConfig(), axis, range(30, 60), range(30)).any(axis=1)
    assert list(np.flatnonzero(used)) == list(range(12, 18))
