"""What of folders is evaluated."""

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
from tests import rasters
from tests.rasters import RGB, textured


def test_files_by_name_and_evenly_spread(tmp_path: Path) -> None:
    for name in ("b.tif", "a.PNG", "sub/c.webp", "notes.txt", "d.jp2", "e.vrt"):
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name).write_text("")
    folder = tmp_path / "x"
    assert list(find_files([folder], None)) == ["a.PNG", "b.tif", "d.jp2", "e.vrt", "sub/c.webp"]
    assert list(find_files([folder], 2)) == ["a.PNG", "d.jp2"]
    both = find_files([folder / "sub", folder / "b.tif"], 9)
    assert both == {"sub/c.webp": folder / "sub" / "c.webp", "b.tif": folder / "b.tif"}
    (folder / ".b.tif.rs-sr").mkdir()
    (folder / ".b.tif.rs-sr" / "assembled.tif").touch()
    (folder / ".hidden.tif").touch()
    assert len(find_files([folder], None)) == 5
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no rasters in .*empty, expected files named"):
        find_files([tmp_path / "empty"], None)
    with pytest.raises(InputError, match="neither a folder nor a file"):
        find_files([tmp_path / "none"], None)


def test_no_file_is_dropped_for_its_name(tmp_path: Path) -> None:
    paths = [tmp_path / "x/in/a.tif", tmp_path / "y/in/a.tif", tmp_path / "a.tif"]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    folders = [tmp_path / "x/in", tmp_path / "y/in", tmp_path / "a.tif", paths[0], tmp_path / "y"]
    found = find_files(folders, None)
    assert found == {"in/a.tif": paths[0], str(paths[1]): paths[1], "a.tif": paths[2]}


def test_tiles_cover_what_is_small_and_sample_what_is_large() -> None:
    assert tile_windows(Shape(256, 300)) == [Window(0, 0, 256, 300)]
    found = tile_windows(Shape(5000, 800))
    assert found == [Window(0, 0, 1024, 800), Window(3976, 0, 1024, 800)]
    assert len(tile_windows(Shape(36_000, 18_000))) == tiles.ACROSS**2


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, tiles.HALVINGS))
def test_tiles_lie_inside_and_none_over_another(height: int, width: int, halvings: int) -> None:
    found = tile_windows(Shape(height, width), halvings)
    assert 1 <= len(found) <= (tiles.ACROSS << halvings) ** 2
    for i, one in enumerate(found):
        assert one.intersection(Window(0, 0, height, width)) == one
        assert max(one.height, one.width) <= tiles.SIDE >> halvings
        assert all(one.intersection(other) is None for other in found[:i])


def test_rasters_of_all_kinds(tmp_path: Path) -> None:
    """Colours, alpha, nodata and value ranges, as the tool decides about them."""
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
    found, skipped = find_tiles(find_files([tmp_path], None))
    a, b, c = found
    assert [t.bands.triplet for t in found] == [(0, 1, 2), (), (0, 1, 2)]
    assert [len(t.bands.bands) for t in found] == [3, 4, 4]
    assert c.bands.groups[0].value_range == ValueRange(0.0, 255.0)
    assert (b.bands.widths > 1000).all()
    assert (b.bands.widths < 4000).all()
    case = a.case(2.0, ConsistencyConfig())
    assert not case.valid[:20].any()
    assert case.valid[24:].all()
    assert [s.path.name for s in skipped] == ["d.tif", "e.tif"]
    assert "1-bit" in skipped[0].reason
    assert "no place of which 25% are valid" in skipped[1].reason
    with pytest.raises(InputError, match="nothing that can be evaluated in 1 files; the first"):
        find_tiles({"d": tmp_path / "d.tif"})


def test_places_between_holes(tmp_path: Path) -> None:
    """A strip of data in a large scene, as of a survey: tiles are made smaller until some fit."""
    values = np.zeros((1, 1100, 1100), np.uint16)
    values[:, 300:420] = textured(1, 1, 120, 1100, dtype="uint16", high=900.0) + 1
    rasters.write(tmp_path / "a.tif", values, nodata=0)
    found, _ = find_tiles(find_files([tmp_path], None))
    assert 1 <= len(found) <= tiles.ACROSS**2
    assert {t.window.height for t in found} == {220}
    for tile in found:
        assert (values[:, *tile.window.slices] > 0).mean() >= tiles.FEWEST


def test_scales_that_leave_too_little(tmp_path: Path) -> None:
    rasters.write(tmp_path / "a.tif", textured(1, 3, 40, 60), colours=RGB)
    ((tile,), _) = find_tiles(find_files([tmp_path], None))
    assert tile.scales([2, 3, 4, 8]) == [2, 3]
