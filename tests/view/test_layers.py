"""The layers of a part lie where they belong, and hold what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from rs_superres.errors import InputError
from rs_superres.grid import AxisSupport, Shape, Window
from rs_superres.image.resampling import cubic
from rs_superres.raster import read_grid
from rs_superres.verify.comparison import SourceResultPair
from rs_superres.view.layers import (
    CUBIC,
    RESULT,
    SOURCE,
    UNCERTAINTY,
    Layer,
    full_layers,
    reduced_layers,
)
from rs_superres.view.pair import MOST_BANDS, opened
from tests import products, rasters
from tests.rasters import NORTH_UP, RGB, textured
from tests.view.scenes import SCALE, write_pair

PART = Window(7, 10, 30, 25)


def places(layer: Layer) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a layer by the ramps in it, in result's pixels."""
    rows, columns = layer.values[0] / 10 * SCALE, layer.values[1] / 10 * SCALE
    half = [(r[-1] - r[0]) / (len(r) - 1) / 2 for r in (rows[:, 0], columns[0])]
    return (
        columns[0, 0] - half[1],
        rows[0, 0] - half[0],
        columns[0, -1] + half[1],
        rows[-1, 0] + half[0],
    )


def test_each_layer_lies_in_its_box(tmp_path: Path) -> None:
    out, source = write_pair(tmp_path, dtype="float32")
    with opened(str(out), source) as pair:
        layers = full_layers(pair, PART)
    assert list(layers) == [SOURCE, CUBIC, RESULT]
    for name, layer in layers.items():
        # float32 and rounded: a ramp of 10 a source pixel.
        assert places(layer) == pytest.approx(layer.box, abs=0.35), name
        assert layer.valid.all()
    assert layers[RESULT].box == layers[CUBIC].box == (10, 7, 35, 37)
    assert layers[SOURCE].box == (9, 6, 36, 39)
    # Cubic convolution of a ramp is the ramp, inside the scene.
    fine = rasters.read(out)[:, PART.row : PART.row + 30, PART.column : PART.column + 25]
    np.testing.assert_allclose(layers[CUBIC].values.astype(float), fine, atol=1)
    np.testing.assert_array_equal(layers[RESULT].values, fine)


def test_the_overview_lies_where_the_parts_lie(tmp_path: Path) -> None:
    out, source = write_pair(tmp_path, 60, 80, dtype="float32")
    with opened(str(out), source) as pair:
        layers = reduced_layers(pair, Shape(30, 40))
        own = reduced_layers(pair, Shape(100, 100))[SOURCE]
    assert layers[SOURCE].box == layers[RESULT].box == (0, 0, 240, 180)
    for layer in layers.values():
        assert layer.values.shape == (3, 30, 40)
        # The pixel under the middle may be half a pixel of the source away from it.
        assert places(layer) == pytest.approx(layer.box, abs=SCALE)
    assert own.values.shape == (3, 60, 80)


def test_a_result_may_be_a_window_of_its_source(tmp_path: Path) -> None:
    out, source = write_pair(tmp_path, dtype="float32")
    moved = rasters.transform_of(out) @ Affine.translation(8, 5)
    part = rasters.write(tmp_path / "part.tif", rasters.read(out)[:, 5:45, 8:50], transform=moved)
    with opened(str(part), source) as pair:
        layers = full_layers(pair, Window(0, 0, 40, 42))
    assert layers[SOURCE].box == pytest.approx((-2, -2, 43, 40))
    after, before = (layers[name].values.astype(float) for name in (RESULT, CUBIC))
    np.testing.assert_allclose(before, after, atol=1)


def test_holes_are_transparent_and_leak_nowhere(tmp_path: Path) -> None:
    """In cubic as in the source; the values in a hole reach no other pixel."""
    out, source = write_pair(tmp_path, dtype="float32")
    pixels = rasters.read(source)
    pixels[:, 8:11, 9:13] = -9999
    holes = rasters.write(tmp_path / "holes.tif", pixels, nodata=-9999.0)
    window = Window(0, 0, 60, 72)
    with opened(str(out), holes) as pair:
        layers = full_layers(pair, window)
    hole = np.zeros((60, 72), np.bool_)
    hole[24:33, 27:39] = True
    for band in range(3):
        np.testing.assert_array_equal(layers[CUBIC].valid[band], ~hole)
        assert layers[CUBIC].values[band][~hole].min() >= 0
    assert (~layers[SOURCE].valid).sum() == 3 * 12


def test_transparent_pixels_are_left_out(tmp_path: Path) -> None:
    pixels = textured(1, 4, 20, 20)
    pixels[3] = 255
    pixels[3, :5] = 0
    colours = (*RGB, "alpha")
    source = rasters.write(tmp_path / "s.tif", pixels, colours=colours)
    out = rasters.write(
        tmp_path / "o.tif",
        pixels.repeat(2, 1).repeat(2, 2),
        colours=colours,
        transform=NORTH_UP @ Affine.scale(0.5),
    )
    with opened(str(out), source) as pair:
        assert pair.numbers == (1, 2, 3)
        layers = full_layers(pair, Window(0, 0, 40, 40))
    for name, first in ((SOURCE, 5), (CUBIC, 10), (RESULT, 10)):
        assert not layers[name].valid[:, :first].any()
        assert layers[name].valid[:, first:].all()
        assert len(layers[name].values) == 3


def test_cubic_weighs_colours_by_their_alpha(tmp_path: Path) -> None:
    """It is the interpolation that the audit compares results with."""
    pixels = textured(1, 4, 30, 30)
    pixels[3] = np.random.default_rng(1).integers(1, 255, (30, 30))
    source = rasters.write(tmp_path / "s.tif", pixels, colours=(*RGB, "alpha"))
    half = NORTH_UP @ Affine.scale(0.5)
    out = rasters.write(
        tmp_path / "o.tif",
        pixels.repeat(2, 1).repeat(2, 2),
        colours=(*RGB, "alpha"),
        transform=half,
    )
    with opened(str(out), source) as pair:
        both = SourceResultPair(
            source=pair.source, result=pair.result, zoom=pair.zoom, bands=(0, 1, 2)
        )
        block = both.read(Window(4, 4, 20, 20))
        layers = full_layers(pair, block.pixels)
    for band in range(3):
        expected = block.reference(band, "uint8")
        np.testing.assert_array_equal(layers[CUBIC].values[band].astype(float), expected)


def test_a_result_may_reach_beyond_its_source(tmp_path: Path) -> None:
    """As with ``--like``: pixels whose centre lies outside the source show nothing of it."""
    out, source = write_pair(tmp_path, dtype="float32")
    moved = rasters.transform_of(out) @ Affine.translation(-6, -4)
    wide = np.pad(rasters.read(out), ((0, 0), (4, 9), (6, 8)), constant_values=-1)
    beyond = rasters.write(tmp_path / "b.tif", wide, transform=moved, nodata=-1.0)
    with opened(str(beyond), source) as pair:
        layers = full_layers(pair, Window(0, 0, 73, 86))
    np.testing.assert_array_equal(layers[CUBIC].valid, layers[RESULT].valid)
    assert layers[SOURCE].box == pytest.approx((6, 4, 78, 64))


def test_the_uncertainty_is_a_layer(tmp_path: Path) -> None:
    out, source = write_pair(tmp_path)
    error = rasters.read(out).astype(np.float32) / 100
    one = rasters.write(tmp_path / "one.tif", error[:1], transform=rasters.transform_of(out))
    all_bands = rasters.write(tmp_path / "all.tif", error, transform=rasters.transform_of(out))
    for path, count in ((one, 1), (all_bands, 3)):
        with opened(str(out), source, uncertainty=str(path)) as pair:
            layer = full_layers(pair, PART)[UNCERTAINTY]
        np.testing.assert_array_equal(layer.values, error[:count, 7:37, 10:35])
    for pixels in (error[:2], error[:, :-1]):
        wrong = rasters.write(tmp_path / "wrong.tif", pixels)
        with (
            pytest.raises(InputError, match=r"the uncertainty .*wrong.tif has .*, expected"),
            opened(str(out), source, uncertainty=str(wrong)),
        ):
            pass


def test_classes_are_not_interpolated(tmp_path: Path) -> None:
    classes = np.random.default_rng(1).integers(0, 5, (1, 20, 20)).astype(np.uint8)
    source = rasters.write(tmp_path / "s.tif", classes)
    with rasters.opened(source, "r+") as dataset:
        dataset.write_colormap(1, {n: (50 * n, 0, 0, 255) for n in range(5)})
    fine = classes.repeat(2, 1).repeat(2, 2)
    out = rasters.write(tmp_path / "o.tif", fine, transform=NORTH_UP @ Affine.scale(0.5))
    with opened(str(out), source) as pair:
        layers = full_layers(pair, Window(0, 0, 40, 40))
    np.testing.assert_array_equal(layers[CUBIC].values, fine)


def test_bands_with_larger_pixels_are_interpolated_from_their_own(tmp_path: Path) -> None:
    """A band of 20 m is not interpolated from its repeated pixels of 10 m."""
    product = products.sentinel2(tmp_path, side=60)
    grid = read_grid(product)
    assert grid.transform is not None
    out = rasters.write(
        tmp_path / "o.tif",
        np.zeros((2, 120, 120), np.uint16),
        transform=grid.transform @ Affine.scale(0.5),
        crs=grid.crs,
    )
    with opened(str(out), product, bidx=("B02", "B05")) as pair:
        assert [band.factor for band in pair.source.description.bands] == [1, 2]
        layers = full_layers(pair, Window(20, 20, 40, 40))
        own = pair.source.read(Window(0, 0, 60, 60))[0][1:, ::2, ::2]
    axis = AxisSupport(0, 30, (np.arange(20, 60) + 0.5) / 4 - 0.5)
    expected = np.rint(cubic(own, axis, axis)[0])
    np.testing.assert_array_equal(layers[CUBIC].values[1].astype(float), expected)


def test_many_bands(tmp_path: Path) -> None:
    pixels = textured(1, 40, 12, 12)
    source = rasters.write(tmp_path / "s.tif", pixels)
    fine = pixels.repeat(2, 1).repeat(2, 2)
    out = rasters.write(tmp_path / "o.tif", fine, transform=NORTH_UP @ Affine.scale(0.5))
    with opened(str(out), source, rgb=(30, 20, 10)) as pair:
        assert len(pair.numbers) == MOST_BANDS
        assert [pair.numbers[i] for i in pair.rgb] == [30, 20, 10]
        assert pair.left_out == 40 - MOST_BANDS
        layers = full_layers(pair, Window(0, 0, 24, 24))
    for index in pair.rgb:
        number = pair.numbers[index]
        np.testing.assert_array_equal(layers[RESULT].values[index], fine[number - 1])
        np.testing.assert_array_equal(layers[SOURCE].values[index], pixels[number - 1])


def test_colours_are_known_by_names_and_tags(tmp_path: Path) -> None:
    pixels = textured(1, 5, 12, 12)
    source = rasters.write(tmp_path / "s.tif", pixels)
    fine = pixels.repeat(2, 1).repeat(2, 2)
    half = NORTH_UP @ Affine.scale(0.5)
    out = rasters.write(
        tmp_path / "o.tif", fine, transform=half, tags={"SUPERRES_BANDS": "joint 5,2,1; alone 3,4"}
    )
    with opened(str(out), source) as pair:
        assert pair.rgb == (4, 1, 0)
    rasters.write(out, fine, transform=half)
    with opened(str(out), source) as pair:
        assert pair.rgb == ()
    with rasters.opened(source, "r+") as dataset:
        dataset.descriptions = ("nir", "blue", "green", "red", "swir")
    with opened(str(out), source) as pair:
        assert pair.rgb == (3, 2, 1)


def test_rasters_that_do_not_belong_together(tmp_path: Path) -> None:
    out, source = write_pair(tmp_path)
    far = rasters.write(
        tmp_path / "far.tif", rasters.read(out), transform=Affine.translation(1e6, 0) @ NORTH_UP
    )
    other = rasters.write(
        tmp_path / "other.tif",
        rasters.read(out)[:, :30],
        transform=rasters.transform_of(out),
        crs="EPSG:32634",
    )
    for result, reason in (
        (source, "1 x 1 source pixels"),
        (far, "1 x 1 source pixels|outside"),
        (other, "its CRS is another one"),
    ):
        with (
            pytest.raises(InputError, match=rf"does not lie on .*({reason}).*; give the source"),
            opened(str(result), source),
        ):
            pass
    with (
        pytest.raises(InputError, match="rgb= lists band 4"),
        opened(str(out), source, rgb=(1, 2, 4)),
    ):
        pass
