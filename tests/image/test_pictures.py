"""Pictures: the stretch to 8 bits, images side by side, and PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rs_superres.errors import WriteError
from rs_superres.image.pictures import limits_of, save, side_by_side, stretched


def test_one_band_becomes_grey() -> None:
    values = np.array([[[100, 120, 200, 250, 50]]], dtype=np.uint16)
    assert stretched(values, (100, 200)).tolist() == [[[v] * 3 for v in (0, 51, 255, 255, 0)]]


def test_three_bands_become_red_green_and_blue() -> None:
    image = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    np.testing.assert_array_equal(stretched(image, (0, 255)), image.transpose(1, 2, 0))


def test_nan_and_equal_limits_are_drawn() -> None:
    assert stretched(np.array([[[np.nan, 1.0]]]), (0, 1)).tolist() == [[[0] * 3, [255] * 3]]
    assert stretched(np.full((1, 1, 1), 7.0), (7, 7)).tolist() == [[[0] * 3]]


def test_limits_are_percentiles_of_valid_values() -> None:
    values = np.arange(10_001, dtype=np.uint16)[None, None]
    valid = np.ones(values.shape, dtype=np.bool_)
    assert limits_of(values, valid) == (100, 9900)
    valid[..., 5001:] = False
    assert limits_of(values, valid) == (50, 4950)
    assert limits_of(values, np.zeros_like(valid)) == (0, 1)


def test_limits_of_bytes_are_fixed() -> None:
    values = np.full((1, 2, 2), 7, dtype=np.uint8)
    assert limits_of(values, np.ones(values.shape, dtype=np.bool_)) == (0, 255)


def test_pictures_are_joined_with_a_white_gap() -> None:
    pictures = np.full((4, 5, 3), 10, dtype=np.uint8), np.full((4, 6, 3), 20, dtype=np.uint8)
    columns = np.asarray(side_by_side(*pictures))[0, :, 0].tolist()
    assert columns == [10] * 5 + [255] * 8 + [20] * 6


def test_save_writes_png_and_says_why_it_cannot(tmp_path: Path) -> None:
    picture = Image.new("RGB", (3, 2), "red")
    path = tmp_path / "picture.png"
    save(picture, path)
    with Image.open(path) as saved:
        assert (saved.format, saved.size) == ("PNG", (3, 2))
    with pytest.raises(WriteError, match=r"cannot write .*missing.picture\.png: No such file"):
        save(picture, tmp_path / "missing" / "picture.png")
