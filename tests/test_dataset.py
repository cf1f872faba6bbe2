"""Training images: read as they are, cut into crops whose low resolution lies where it should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rs_superres.dataset import Batch, Crops, read_images
from rs_superres.degrade import bicubic
from rs_superres.errors import InputError, RasterError
from tests import rasters
from tests.rasters import Array, textured


def crops(*images: Array, seed: int = 1, grey: float = 0.0) -> Crops:
    return Crops(list(images), np.random.default_rng(seed), grey=grey)


def test_read_images(tmp_path: Path) -> None:
    for name in ("one", "two", "empty"):
        (tmp_path / name).mkdir()
    first, second = textured(1, 4, 9, 12), textured(2, 3, 5, 6)
    rasters.write(tmp_path / "one" / "b.tif", first)
    Image.fromarray(second.transpose(1, 2, 0)).save(tmp_path / "one" / "A.PNG")
    rasters.write(tmp_path / "two" / "c.tiff", second)
    (tmp_path / "one" / "notes.txt").write_text("not an image")
    found = read_images([tmp_path / "one", tmp_path / "two"])
    for image, wanted in zip(found, (second, first[:3], second), strict=True):
        np.testing.assert_array_equal(image, wanted)
    with pytest.raises(InputError, match=r"no images in .*empty, expected"):
        read_images([tmp_path / "empty"])
    rasters.write(tmp_path / "empty" / "d.tif", textured(1, 2, 5, 5))
    with pytest.raises(InputError, match="has 2 bands of uint8, expected 3 of uint8"):
        read_images([tmp_path / "empty"])
    (tmp_path / "empty" / "d.tif").write_bytes(b"no raster")
    with pytest.raises(RasterError, match="cannot open"):
        read_images([tmp_path / "empty"])


@pytest.mark.parametrize("scale", [1.7, 2.0, 3.5, 6.3])
def test_batch(scale: float) -> None:
    batch = crops(textured(1, 3, 130, 140)).batch(5, 18, scale)
    pixels = round(18 * scale)
    assert batch.low.shape == (5, 3, 18, 18)
    assert batch.high.shape == (5, 3, pixels, pixels)
    assert batch.scale == pixels / 18
    for values in (batch.low, batch.high):
        assert values.dtype == torch.float32
        numbers = (values.double() + 1) * 127.5
        assert (numbers - numbers.round()).abs().max() < 1e-4  # as an 8-bit file holds it
        assert 0 <= numbers.min() < numbers.max() <= 255.0001
    # Low resolution is Pillow's antialiased bicubic of the crop, to one digital number.
    for high, low in zip(batch.high, batch.low, strict=True):
        image = ((high + 1) * 127.5).round().numpy().astype(np.uint8)
        theirs = bicubic(image, (18, 18)).astype(float)
        assert np.abs(theirs - ((low + 1) * 127.5).numpy()).max() <= 1.001


@given(cells=st.integers(2, 60), pixels=st.integers(2, 400))
def test_positions_are_those_of_one_extent(cells: int, pixels: int) -> None:
    batch = Batch(low=torch.zeros(1, 3, cells, cells), high=torch.zeros(1, 3, pixels, pixels))
    edges = (np.arange(pixels) + 0.5) * cells / pixels
    np.testing.assert_allclose(batch.positions.numpy(), edges - 0.5, atol=1e-9)


def test_crops_are_parts_of_the_images() -> None:
    """Turned and mirrored, every one of the eight ways, from anywhere."""
    rows, columns = np.mgrid[:40, :50]
    image = np.stack((rows, columns, rows + columns)).astype(np.uint8)
    ways, corners = set(), set()
    for crop in _drawn(crops(image), 300):
        down, across = (crop[:2, 1, 0].astype(int) - crop[:2, 0, 0]).tolist()
        ways.add((down, across, *(crop[:2, 0, 1].astype(int) - crop[:2, 0, 0]).tolist()))
        top, left = int(crop[0].min()), int(crop[1].min())
        corners.add((top, left))
        np.testing.assert_array_equal(
            np.sort(crop[2], axis=None),
            np.sort(image[2, top : top + 8, left : left + 8], axis=None),
        )
    assert len(ways) == 8
    assert {min(c) for c in zip(*corners, strict=True)} == {0}
    assert tuple(max(c) for c in zip(*corners, strict=True)) == (32, 42)


def _drawn(source: Crops, count: int) -> list[Array]:
    batch = source.batch(count, 4, 2.0)
    return list(((batch.high + 1) * 127.5).round().numpy().astype(np.uint8))


def test_large_images_are_drawn_more_often_and_small_ones_never() -> None:
    images = [np.full((3, h, w), v, np.uint8) for h, w, v in ((20, 20, 1), (40, 40, 2), (7, 90, 3))]
    values = [int(c[0, 0, 0]) for c in _drawn(crops(*images), 500)]
    assert set(values) == {1, 2}
    assert 0.72 < values.count(2) / 500 < 0.88


def test_no_image_is_large_enough() -> None:
    with pytest.raises(InputError, match="as large as the crops of 32 x 32 pixels"):
        crops(textured(1, 3, 31, 90)).batch(1, 8, 4.0)


@settings(max_examples=5)
@given(seed=st.integers(0, 99))
def test_chance_is_the_generator_s(seed: int) -> None:
    one, other = (
        crops(textured(1, 3, 50, 50), seed=seed, grey=0.5).batch(4, 8, 2.0) for _ in range(2)
    )
    assert torch.equal(one.high, other.high)


def test_colours_are_shuffled_and_repeated_now_and_then() -> None:
    image = np.stack([np.full((20, 20), v, np.uint8) for v in (10, 20, 30)])
    found = {tuple(c[:, 0, 0].tolist()) for c in _drawn(crops(image, grey=1.0), 200)}
    assert {(10, 10, 10), (20, 20, 20), (30, 30, 30), (30, 20, 10)} <= found
    assert {tuple(c[:, 0, 0].tolist()) for c in _drawn(crops(image), 50)} == {(10, 20, 30)}
