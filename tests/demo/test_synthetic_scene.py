"""The synthetic scene shows the same ground at every pixel size."""

from __future__ import annotations

import numpy as np
import pytest

from rs_superres.demo.synthetic_scene import EXTENT, ORIGIN, radiance, render_scene, scene_grid
from tests import rasters


def block_means(pixels: rasters.Array, times: int) -> rasters.Array:
    """Means over blocks of ``times`` x ``times`` pixels."""
    bands, side, _ = pixels.shape
    blocks = pixels.astype(np.float64).reshape(bands, side // times, times, side // times, times)
    means: rasters.Array = blocks.mean(axis=(2, 4))
    return means


def test_a_pixel_is_the_mean_of_its_area() -> None:
    """Large and small pixels are the means of the same points."""
    coarse, fine = render_scene(40, samples=6), render_scene(120, samples=2)
    assert coarse.shape == (3, 40, 40)
    assert coarse.dtype == np.uint8
    # Nine values are rounded on one side, and one on the other.
    assert np.abs(block_means(fine, 3) - coarse).max() <= 1


def test_more_samples_show_the_same_ground() -> None:
    one, other = render_scene(30, samples=8), render_scene(30, samples=16)
    assert np.abs(one.astype(int) - other).mean() < 2


def test_chunks_of_rows_leave_no_trace() -> None:
    """Rows beyond the first chunk of 64 are those of a scene rendered at once."""
    points = (np.arange(100) + 0.5) * (EXTENT / 100)
    y, x = np.meshgrid(points, points, indexing="ij")
    at_once = np.rint(radiance(x, y)).clip(0, 255).astype(np.uint8)
    np.testing.assert_array_equal(render_scene(100, samples=1), at_once)


def test_the_scene_has_contrast() -> None:
    pixels = render_scene(60, samples=4).astype(np.float64)
    assert (pixels.std(axis=(1, 2)) > 20).all()
    assert np.abs(np.diff(pixels, axis=2)).mean() > 5


def test_the_corners_are_the_same_at_every_size() -> None:
    for side in (40, 160, 560):
        grid = scene_grid(side)
        assert grid.transform is not None
        assert grid.transform @ (0, 0) == ORIGIN
        assert grid.transform @ (side, side) == pytest.approx((ORIGIN[0] + 120, ORIGIN[1] - 120))
