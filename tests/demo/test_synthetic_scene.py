"""The drawn town: the same place at every pixel size."""

from __future__ import annotations

import numpy as np
import pytest

from rs_superres.demo.synthetic_scene import EXTENT, ORIGIN, radiance, render_scene, scene_grid
from tests import rasters


def box(pixels: rasters.Array, times: int) -> rasters.Array:
    """Means over times x times pixels."""
    bands, side, _ = pixels.shape
    cut = pixels.astype(np.float64).reshape(bands, side // times, times, side // times, times)
    means: rasters.Array = cut.mean(axis=(2, 4))
    return means


def test_a_pixel_is_the_mean_of_its_area() -> None:
    """The same sample points as coarse pixels and as fine ones."""
    coarse, fine = (
        render_scene(40, samples=6),
        render_scene(120, samples=2),
    )
    assert coarse.shape == (3, 40, 40)
    assert coarse.dtype == np.uint8
    # Nine roundings, and one.
    assert np.abs(box(fine, 3) - coarse).max() <= 1


def test_more_samples_are_the_same_place() -> None:
    one, other = (
        render_scene(30, samples=8),
        render_scene(30, samples=16),
    )
    assert np.abs(one.astype(int) - other).mean() < 2


def test_rows_are_drawn_alike_whatever_the_chunk() -> None:
    """Rows beyond the first chunk of 64 lie where the first ones say."""
    points = (np.arange(100) + 0.5) * (EXTENT / 100)
    y, x = np.meshgrid(points, points, indexing="ij")
    whole = np.rint(radiance(x, y)).clip(0, 255).astype(np.uint8)
    np.testing.assert_array_equal(render_scene(100, samples=1), whole)


def test_there_is_something_to_see() -> None:
    pixels = render_scene(60, samples=4).astype(np.float64)
    assert (pixels.std(axis=(1, 2)) > 20).all()
    assert np.abs(np.diff(pixels, axis=2)).mean() > 5


def test_its_corners_are_the_same_at_every_size() -> None:
    for side in (40, 160, 560):
        grid = scene_grid(side)
        assert grid.transform is not None
        assert grid.transform @ (0, 0) == ORIGIN
        assert grid.transform @ (side, side) == pytest.approx((ORIGIN[0] + 120, ORIGIN[1] - 120))
