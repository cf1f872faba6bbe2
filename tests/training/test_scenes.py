"""Scenes: found in folders, kept apart by place, read by windows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rs_superres.errors import InputError
from rs_superres.grid import Window
from rs_superres.image.radiometry import ValueRange
from rs_superres.training.scenes import TrainingScene, find_scenes, pixel_sizes, split
from tests import rasters
from tests.rasters import NORTH_UP, RGB, textured
from tests.training.data import east_of, images


def found(folder: Path) -> list[TrainingScene]:
    return find_scenes([folder], cache_bytes=0)[0]


def names(scenes: Sequence[TrainingScene]) -> list[str]:
    return [s.path.stem for s in scenes]


# Finding


def test_scenes_of_any_kind_are_found_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    rasters.write(tmp_path / "b.tif", textured(1, 4, 20, 30), colours=(*RGB, "undefined"))
    rasters.write(tmp_path / "deep" / "c.TIFF", textured(1, 1, 20, 30, dtype="int16"))
    picture = textured(2, 3, 20, 30).transpose(1, 2, 0)
    Image.fromarray(picture).save(tmp_path / "deep" / "er" / "d.png")
    Image.fromarray(picture).save(tmp_path / "a.jpg")
    (tmp_path / "notes.txt").write_text("no raster")
    (tmp_path / ".b.tif.rs-sr").mkdir()  # what an unfinished run keeps
    rasters.write(tmp_path / ".b.tif.rs-sr" / "assembled.tif", textured(1, 3, 20, 30))
    scenes, skipped = find_scenes([tmp_path], cache_bytes=1e9)
    assert names(scenes) == ["a", "b", "c", "d"]
    assert skipped == []
    four = scenes[1]
    assert [g.bands for g in four.groups] == [(0, 1, 2), (3,)]
    assert all(g.value_range == ValueRange(0, 255) for g in four.groups)
    assert (four.dtype, four.area) == ("uint8", Window(0, 0, 20, 30))
    assert four.pixel_size == pytest.approx(10, rel=0.01)
    assert scenes[3].place is None
    assert scenes[3].pixel_size is None


@pytest.mark.parametrize("memory", [0, 2 * 20 * 30 * 3 + 1, 1e9])
def test_windows_are_the_file_s(tmp_path: Path, memory: float) -> None:
    pixels = textured(1, 3, 20, 30)
    pixels[0, 4, 5] = 9
    for name in "ab":
        rasters.write(tmp_path / f"{name}.tif", pixels, nodata=9)
    scenes, _ = find_scenes([tmp_path], cache_bytes=memory)
    assert [s.kept is not None for s in scenes] == [memory > 0, memory > 9000]
    for scene in scenes:
        values, valid = scene.read(Window(3, 2, 6, 9), (2, 0))
        np.testing.assert_array_equal(values, pixels[[2, 0], 3:9, 2:11])
        np.testing.assert_array_equal(valid, pixels[[2, 0], 3:9, 2:11] != 9)


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    images(tmp_path / "data", 4, 20)
    (tmp_path / "data" / "2b.tif").write_bytes(b"no raster")
    rasters.write(tmp_path / "data" / "9.tif", np.zeros((1, 9, 9), np.complex64))
    scenes, skipped = find_scenes([tmp_path / "data"], cache_bytes=0)
    assert names(scenes) == ["0", "1", "2", "3"]
    assert [s.path.name for s in skipped] == ["2b.tif", "9.tif"]
    assert "cannot open" in skipped[0].reason
    assert "complex64" in skipped[1].reason


def test_mixed_band_counts_each_give_what_they_have(tmp_path: Path) -> None:
    for count in (1, 2, 3, 5):
        pixels = textured(count, count, 12, 12)
        rasters.write(tmp_path / f"{count}.tif", pixels, photometric="MINISBLACK")
    bands = [[g.bands for g in s.groups] for s in found(tmp_path)]
    assert bands == [[(i,) for i in range(count)] for count in (1, 2, 3, 5)]


def test_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no rasters to train on in .*, expected files named"):
        find_scenes([tmp_path], cache_bytes=0)
    (tmp_path / "a.tif").write_bytes(b"no raster")
    with pytest.raises(InputError, match=r"1 could not be used, the first: cannot open .*a\.tif"):
        find_scenes([tmp_path], cache_bytes=0)
    with pytest.raises(InputError, match=r"a\.tif is not a folder"):
        find_scenes([tmp_path / "a.tif"], cache_bytes=0)


def test_a_scene_without_one_valid_pixel_is_no_trouble(tmp_path: Path) -> None:
    rasters.write(tmp_path / "a.tif", np.zeros((1, 70, 70), np.uint16), nodata=0)
    [scene] = found(tmp_path)
    assert scene.groups[0].value_range == ValueRange(0, 1)


# Splitting


def test_neighbours_stay_together(tmp_path: Path) -> None:
    """Ten places of three scenes each: a hundred metres apart, and each overlapping the next."""
    for place in range(10):
        for i in range(3):
            rasters.write(
                tmp_path / f"{place}{i}.tif",
                textured(1, 1, 30, 30),
                transform=east_of(5000 * place + 250 * i, 1100 * i if place else 0),
            )
    training, validation = split(found(tmp_path), 0.2, 8)
    assert len(training) == 24
    assert len(validation) == 6
    assert not {n[0] for n in names(training)} & {n[0] for n in names(validation)}
    assert all(s.area == Window(0, 0, 30, 30) for s in [*training, *validation])


def test_a_chain_of_neighbours_is_one_place_in_any_order(tmp_path: Path) -> None:
    """First both ends, then what joins them."""
    for name, metres in (("a", 0), ("b", 2600), ("c", 1300), ("z", 99_000)):
        rasters.write(tmp_path / f"{name}.tif", textured(1, 1, 30, 30), transform=east_of(metres))
    parts = [set(names(part)) for part in split(found(tmp_path), 0.2, 8)]
    assert sorted(parts, key=len) == [{"z"}, {"a", "b", "c"}]


def test_images_without_a_map_are_parted_by_file(tmp_path: Path) -> None:
    scenes = found(images(tmp_path / "data", 20, 24))
    training, validation = split(scenes, 0.25, 8)
    assert sorted(names([*training, *validation])) == sorted(names(scenes))
    assert 4 <= len(validation) <= 7
    assert names(split(scenes, 0.25, 8)[1]) == names(validation)
    assert names(validation) != names(scenes)[: len(validation)]


def test_some_are_always_left_to_train_on(tmp_path: Path) -> None:
    scenes = found(images(tmp_path / "data", 2, 24))
    training, validation = split(scenes, 0.99, 8)
    assert len(training) == len(validation) == 1


def test_a_single_scene_is_split_by_rows(tmp_path: Path) -> None:
    rasters.write(tmp_path / "a.tif", textured(1, 3, 100, 40), transform=NORTH_UP)
    training, validation = split(found(tmp_path), 0.2, 24)
    assert [s.area for s in training] == [Window(0, 0, 56, 40)]
    assert [s.area for s in validation] == [Window(80, 0, 20, 40)]


def test_too_low_to_be_parted(tmp_path: Path) -> None:
    rasters.write(tmp_path / "a.tif", textured(1, 3, 40, 400))
    with pytest.raises(InputError, match=r"none has the rows to hold out 20% .* \(--val\)"):
        split(found(tmp_path), 0.2, 48)


def test_pixel_sizes_are_those_of_the_low_resolution(tmp_path: Path) -> None:
    pixels = textured(1, 1, 20, 20)
    rasters.write(tmp_path / "a.tif", pixels)
    rasters.write(tmp_path / "b.tif", pixels, transform=NORTH_UP @ NORTH_UP.scale(3))
    rasters.write(tmp_path / "c.tif", pixels, transform=None, crs=None)
    scenes = found(tmp_path)
    assert pixel_sizes(scenes, (1.5, 8)) == pytest.approx((15, 240), rel=0.01)
    assert pixel_sizes(scenes[2:], (1.5, 8)) is None
