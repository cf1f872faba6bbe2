"""A synthetic scene shows the same ground at every pixel size."""

from __future__ import annotations

import numpy as np
import pytest

from cli.demo import command
from rs_superres.demo.synthetic_scene import (
    ORIGIN,
    SCENES,
    SyntheticScene,
    render_scene,
    scene_grid,
)
from tests import rasters


def block_means(pixels: rasters.Array, times: int) -> rasters.Array:
    """Means over blocks of ``times`` x ``times`` pixels."""
    bands, side, _ = pixels.shape
    blocks = pixels.astype(np.float64).reshape(bands, side // times, times, side // times, times)
    means: rasters.Array = blocks.mean(axis=(2, 4))
    return means


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest) -> SyntheticScene:
    return SCENES[request.param]


def test_a_pixel_is_the_mean_of_its_area(scene: SyntheticScene) -> None:
    """Large and small pixels are the means of the same points."""
    coarse = render_scene(40, samples=6, scene=scene)
    fine = render_scene(120, samples=2, scene=scene)
    assert coarse.shape == (3, 40, 40)
    assert coarse.dtype == np.uint8
    # Nine values are rounded on one side, and one on the other.
    assert np.abs(block_means(fine, 3) - coarse).max() <= 1


def test_more_samples_show_the_same_ground(scene: SyntheticScene) -> None:
    one = render_scene(30, samples=16, scene=scene)
    other = render_scene(30, samples=32, scene=scene)
    assert np.abs(one.astype(int) - other).mean() < 2


def test_chunks_of_rows_leave_no_trace(scene: SyntheticScene) -> None:
    """Rows beyond the first chunk of 64 are those of a scene rendered at once."""
    points = (np.arange(100) + 0.5) * (scene.extent / 100)
    y, x = np.meshgrid(points, points, indexing="ij")
    at_once = np.rint(scene.radiance(x, y)).clip(0, 255).astype(np.uint8)
    np.testing.assert_array_equal(render_scene(100, samples=1, scene=scene), at_once)


def test_a_scene_has_contrast(scene: SyntheticScene) -> None:
    pixels = render_scene(scene.side, samples=2, scene=scene).astype(np.float64)
    assert (pixels.std(axis=(1, 2)) > 20).all()
    assert np.abs(np.diff(pixels, axis=2)).mean() > 4


def test_the_corners_are_the_same_at_every_size(scene: SyntheticScene) -> None:
    left, top = ORIGIN
    for side in (40, 160, 560):
        grid = scene_grid(side, scene)
        assert grid.transform is not None
        assert grid.transform @ (0, 0) == ORIGIN
        corner = (left + scene.extent, top - scene.extent)
        assert grid.transform @ (side, side) == pytest.approx(corner)


def test_pixels_have_the_size_that_the_help_states() -> None:
    sizes = {name: scene.extent / scene.side for name, scene in SCENES.items()}
    assert sizes == {"town": 0.75, "country": 10}
    help_text = next(o.to_info_dict()["help"] for o in command.params if o.name == "scene")
    assert all(f"{size:g} m" in help_text for size in sizes.values())
