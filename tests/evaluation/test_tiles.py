"""The files and tiles that are evaluated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rs_superres.config import ConsistencyConfig
from rs_superres.errors import InputError
from rs_superres.evaluation import tiles
from rs_superres.evaluation.tiles import find_files, find_tiles, tile_windows
from rs_superres.grid import Shape, Window
from rs_superres.image.radiometry import ValueRange
from tests import products, rasters
from tests.rasters import RGB, textured


def test_files_are_sorted_and_evenly_spaced(tmp_path: Path) -> None:
    for name in ("b.tif", "a.PNG", "sub/c.webp", "notes.txt", "d.jp2", "e.vrt"):
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name).write_text("")
    folder = tmp_path / "x"
    assert list(find_files([folder], None)[0]) == ["a.PNG", "b.tif", "d.jp2", "e.vrt", "sub/c.webp"]
    assert list(find_files([folder], 2)[0]) == ["a.PNG", "d.jp2"]
    both, _ = find_files([folder / "sub", folder / "b.tif"], 9)
    assert both == {"sub/c.webp": folder / "sub" / "c.webp", "b.tif": folder / "b.tif"}
    (folder / ".b.tif.rs-sr").mkdir()
    (folder / ".b.tif.rs-sr" / "assembled.tif").touch()
    (folder / ".hidden.tif").touch()
    assert len(find_files([folder], None)[0]) == 5
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no rasters in .*empty, expected files that GDAL opens"):
        find_files([tmp_path / "empty"], None)
    with pytest.raises(InputError, match="neither a folder nor a file"):
        find_files([tmp_path / "none"], None)


def test_files_with_equal_names_are_kept(tmp_path: Path) -> None:
    paths = [tmp_path / "x/in/a.tif", tmp_path / "y/in/a.tif", tmp_path / "a.tif"]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    folders = [tmp_path / "x/in", tmp_path / "y/in", tmp_path / "a.tif", paths[0], tmp_path / "y"]
    files, _ = find_files(folders, None)
    assert files == {"in/a.tif": paths[0], str(paths[1]): paths[1], "a.tif": paths[2]}


def test_tiles_cover_small_rasters_and_sample_large_ones() -> None:
    assert tile_windows(Shape(256, 300)) == [Window(0, 0, 256, 300)]
    windows = tile_windows(Shape(5000, 800))
    assert windows == [Window(0, 0, 1024, 800), Window(3976, 0, 1024, 800)]
    assert len(tile_windows(Shape(36_000, 18_000))) == tiles.TILES_PER_AXIS**2


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, tiles.MOST_HALVINGS))
def test_tiles_lie_inside_and_do_not_overlap(height: int, width: int, halvings: int) -> None:
    windows = tile_windows(Shape(height, width), halvings)
    assert 1 <= len(windows) <= (tiles.TILES_PER_AXIS << halvings) ** 2
    for i, one in enumerate(windows):
        assert one.intersection(Window(0, 0, height, width)) == one
        assert max(one.height, one.width) <= tiles.LARGEST_TILE_SIDE >> halvings
        assert all(one.intersection(other) is None for other in windows[:i])


def test_bands_are_chosen_as_for_upscale(tmp_path: Path) -> None:
    """Colours, alpha, nodata and value ranges are handled as in ``rs-sr upscale``."""
    rgba = np.concatenate([textured(1, 3, 60, 60), np.full((1, 60, 60), 255, np.uint8)])
    rgba[3, :20] = 0
    Image.fromarray(rgba.transpose(1, 2, 0)).save(tmp_path / "a.png")
    spectral = textured(2, 4, 64, 70, dtype="uint16", high=4000)
    spectral[:, :10, :10] = 0
    rasters.write(tmp_path / "b.tif", spectral, nodata=0)
    colours = [*RGB, "undefined"]
    rasters.write(tmp_path / "c.tif", textured(3, 4, 50, 50), colours=colours)
    rasters.write(tmp_path / "d.tif", textured(4, 1, 50, 50), nbits=1)
    blank = np.zeros((1, 50, 50), np.uint16)
    rasters.write(tmp_path / "e.tif", blank, nodata=0)
    (a, b, c), skipped = find_tiles(find_files([tmp_path], None)[0])
    assert [t.bands.triplet for t in (a, b, c)] == [(0, 1, 2), (), (0, 1, 2)]
    assert [len(t.bands.bands) for t in (a, b, c)] == [3, 4, 4]
    assert c.bands.groups[0].value_range == ValueRange(0.0, 255.0)
    assert (b.bands.widths > 1000).all()
    assert (b.bands.widths < 4000).all()
    case = a.case(2.0, ConsistencyConfig())
    assert not case.valid[:20].any()
    assert case.valid[24:].all()
    assert [s.path.name for s in skipped] == ["d.tif", "e.tif"]
    assert "1-bit" in skipped[0].reason
    assert "no tile of which 25% are valid" in skipped[1].reason
    with pytest.raises(InputError, match="none of 1 files can be evaluated; the first: "):
        find_tiles({"d": tmp_path / "d.tif"})


def test_tiles_shrink_until_they_fit_between_holes(tmp_path: Path) -> None:
    """The data is a strip in a large scene, like an aerial survey."""
    values = np.zeros((1, 1100, 1100), np.uint16)
    values[:, 300:420] = textured(1, 1, 120, 1100, dtype="uint16", high=900.0) + 1
    rasters.write(tmp_path / "a.tif", values, nodata=0)
    strip, _ = find_tiles(find_files([tmp_path], None)[0])
    assert 1 <= len(strip) <= tiles.TILES_PER_AXIS**2
    assert {t.window.height for t in strip} == {220}
    for tile in strip:
        assert (values[:, *tile.window.slices] > 0).mean() >= tiles.LEAST_VALID


def test_scales_with_too_few_low_resolution_pixels_are_left_out(tmp_path: Path) -> None:
    rasters.write(tmp_path / "a.tif", textured(1, 3, 40, 60), colours=RGB)
    ((tile,), _) = find_tiles(find_files([tmp_path], None)[0])
    assert tile.scales([2, 3, 4, 8]) == [2, 3]


def test_the_bands_of_a_product_are_those_of_a_default_run(tmp_path: Path) -> None:
    """The first bands of a product are others, and some have pixels of 60 m."""
    products.sentinel2(tmp_path, side=60)
    ((tile,), _) = find_tiles(find_files([tmp_path], None)[0])
    assert [band.description for band in tile.bands.bands] == ["B02", "B03", "B04", "B08"]
    assert [group.bands for group in tile.bands.groups] == [(2, 1, 0), (3,)]
    case = tile.case(2, ConsistencyConfig())
    images = [products.ground(60, products.NAMES.index(name)) for name in ("B02", "B03", "B04")]
    np.testing.assert_array_equal(case.truth[:3], images)
