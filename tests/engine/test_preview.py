"""Pictures of before and after: stretched alike, at the same place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rs_superres.engine.preview import SIDE, preview_of
from rs_superres.errors import WriteError
from rs_superres.grid import Window, Zoom
from rs_superres.image.degradation import bicubic
from rs_superres.image.pictures import limits_of, save, side_by_side, stretched
from rs_superres.raster import read_grid
from tests import rasters
from tests.rasters import RGB, Array, textured


def test_stretching_maps_limits_to_black_and_white() -> None:
    values = np.array([[[100, 120, 200, 50, 250]]], dtype=np.uint16)
    assert stretched(values, (100, 200)).tolist() == [
        [[0] * 3, [51] * 3, [255] * 3, [0] * 3, [255] * 3]
    ]
    rgb = textured(1, 3, 4, 5)
    np.testing.assert_array_equal(stretched(rgb, (0, 255)), rgb.transpose(1, 2, 0))
    assert stretched(np.array([[[np.nan, 1.0]]]), (0, 1)).tolist() == [[[0] * 3, [255] * 3]]
    assert stretched(np.full((1, 1, 1), 7.0), (7, 7)).shape == (1, 1, 3)


def test_limits_are_percentiles_of_valid_pixels() -> None:
    values = np.arange(10_001, dtype=np.uint16).reshape(1, 73, 137)
    valid = np.ones(values.shape, dtype=np.bool_)
    assert limits_of(values, valid) == (100, 9900)
    valid[values > 5000] = False
    assert limits_of(values, valid) == (50, 4950)
    assert limits_of(values.astype(np.uint8), valid) == (0, 255)
    assert limits_of(values, ~(values >= 0)) == (0, 1)


def test_side_by_side() -> None:
    sheet = np.asarray(
        side_by_side(np.full((4, 5, 3), 10, np.uint8), np.full((4, 6, 3), 20, np.uint8))
    )
    assert sheet.shape == (4, 5 + 8 + 6, 3)
    assert (sheet[:, :5] == 10).all()
    assert (sheet[:, 5:13] == 255).all()
    assert (sheet[:, 13:] == 20).all()


def test_a_picture_is_saved_completely_or_not_at_all(tmp_path: Path) -> None:
    image = Image.new("RGB", (3, 2), "red")
    save(image, tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as back:
        assert back.size == (3, 2)
    with pytest.raises(WriteError, match="cannot write"):
        save(image, tmp_path / "none" / "p.png")
    (tmp_path / "folder").mkdir()
    with pytest.raises(WriteError, match="cannot write"):
        save(image, tmp_path / "folder")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "p.png"]


@pytest.mark.parametrize("scale", ["2", "2.5"])
@pytest.mark.parametrize("window", [None, Window(7, 11, 40, 30)])
def test_source_and_result_show_the_same_ground(
    tmp_path: Path, scale: str, window: Window | None
) -> None:
    """The result here is the source by nearest neighbour: the two must be equal."""
    source = rasters.write(tmp_path / "a.tif", textured(1, 3, 30, 34), colours=RGB)
    zoom = Zoom.by_scale(read_grid(source), scale)
    place = window or zoom.output.window
    result = nearest(rasters.read(source), zoom, place)
    out = rasters.write(tmp_path / "out.tif", result, colours=RGB)
    sheet = np.asarray(preview_of(source, None, out, zoom, place))
    assert sheet.shape == (place.height, 3 * place.width + 16, 3)
    np.testing.assert_array_equal(sheet[:, : place.width], sheet[:, -place.width :])
    np.testing.assert_array_equal(sheet[:, : place.width], result.transpose(1, 2, 0))


def test_colour_bands_are_shown_as_colours(tmp_path: Path) -> None:
    pixels = textured(1, 4, 30, 34)
    source = rasters.write(
        tmp_path / "a.tif", pixels, colours=("blue", "green", "red", "undefined")
    )
    zoom = Zoom.by_scale(read_grid(source), "2")
    window = zoom.output.window
    out = rasters.write(tmp_path / "out.tif", nearest(pixels, zoom, window))
    sheet = np.asarray(preview_of(source, None, out, zoom, window, (2, 1, 0)))
    assert (sheet[::2, :68:2] == pixels[[2, 1, 0]].transpose(1, 2, 0)).all()
    assert (sheet[:, :68] == sheet[:, -68:]).all()


@pytest.mark.parametrize(
    ("scale", "window"), [("2", None), ("2.5", None), ("3", Window(7, 11, 40, 30))]
)
def test_cubic_is_that_of_the_source(tmp_path: Path, scale: str, window: Window | None) -> None:
    pixels = textured(1, 3, 30, 34)
    source = rasters.write(tmp_path / "a.tif", pixels, colours=RGB)
    zoom = Zoom.by_scale(read_grid(source), scale)
    place = window or zoom.output.window
    out = rasters.write(tmp_path / "out.tif", nearest(pixels, zoom, place), colours=RGB)
    sheet = np.asarray(preview_of(source, None, out, zoom, place)).astype(int)
    cubic = sheet[:, place.width + 8 : 2 * place.width + 8].transpose(2, 0, 1)
    shape = (zoom.output.shape.height, zoom.output.shape.width)
    inner = np.s_[..., 9:-9, 9:-9]  # at the border, Pillow leaves pixels out
    expected = bicubic(pixels, shape)[
        :, place.row : place.row + place.height, place.column : place.column + place.width
    ]
    assert np.abs(cubic - expected)[inner].max() <= 1


def test_beyond_the_source_its_outermost_pixels_are_shown(tmp_path: Path) -> None:
    pixels = textured(1, 1, 20, 20)
    source = rasters.write(tmp_path / "a.tif", pixels, colours=("gray",))
    zoom = Zoom.by_scale(read_grid(source), "2")
    out = rasters.write(tmp_path / "out.tif", np.zeros((1, 60, 40), np.uint8), colours=("gray",))
    sheet = np.asarray(preview_of(source, None, out, zoom, Window(-10, 0, 60, 40)))
    np.testing.assert_array_equal(
        sheet[:10, :40, 0], np.repeat(pixels[:, :1], 20, 1)[0].repeat(2, 1)[:10]
    )


def nearest(pixels: Array, zoom: Zoom, window: Window) -> Array:
    rows = zoom.rows.under(window.row, window.height)
    columns = zoom.columns.under(window.column, window.width)
    enlarged: Array = pixels[:, rows][:, :, columns]
    return enlarged


@pytest.mark.parametrize("colours", [("gray",), (*RGB, "alpha"), ("gray", "undefined")])
def test_large_results_show_their_middle(tmp_path: Path, colours: tuple[str, ...]) -> None:
    pixels = textured(2, len(colours), 300, 400, dtype="uint16", high=4000)
    source = rasters.write(tmp_path / "a.tif", pixels, colours=colours)
    zoom = Zoom.by_scale(read_grid(source), "3")
    window = zoom.output.window
    result = nearest(pixels, zoom, window)
    out = rasters.write(tmp_path / "out.tif", result, colours=colours)
    sheet = np.asarray(preview_of(source, None, out, zoom, window))
    assert sheet.shape == (SIDE, 3 * SIDE + 16, 3)
    np.testing.assert_array_equal(sheet[:, :SIDE], sheet[:, -SIDE:])
    assert np.ptp(sheet[:, :SIDE]) == 255
    middle = result[0, 130 : 130 + SIDE, 280 : 280 + SIDE].astype(float)
    assert np.corrcoef(middle.ravel(), sheet[:, :SIDE, 0].ravel())[0, 1] > 0.99
    if len(colours) < 4:
        assert (sheet[..., 0] == sheet[..., 2]).all()
