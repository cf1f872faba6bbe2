"""Test scenes: finding them in folders, splitting them by place, reading their windows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rs_superres.errors import InputError
from rs_superres.grid import Window
from rs_superres.image.radiometry import ValueRange
from rs_superres.training.scenes import TrainingScene, count_seen, find_scenes, pixel_sizes, split
from tests import products, rasters
from tests.rasters import NORTH_UP, RGB, textured
from tests.training.data import east_of, images


def scenes_in(folder: Path) -> list[TrainingScene]:
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
    (tmp_path / ".b.tif.rs-sr").mkdir()  # the folder of an unfinished run
    rasters.write(tmp_path / ".b.tif.rs-sr" / "assembled.tif", textured(1, 3, 20, 30))
    scenes, skipped = find_scenes([tmp_path], cache_bytes=1e9)
    assert names(scenes) == ["a", "b", "c", "d"]
    assert [(file.path.name, file.is_raster) for file in skipped] == [("notes.txt", False)]
    four = scenes[1]
    assert [g.bands for g in four.groups] == [(0, 1, 2), (3,)]
    assert all(g.value_range == ValueRange(0, 255) for g in four.groups)
    assert (four.dtype, four.area) == ("uint8", Window(0, 0, 20, 30))
    assert four.pixel_size == pytest.approx(10, rel=0.01)
    assert scenes[3].place is None
    assert scenes[3].pixel_size is None


@pytest.mark.parametrize("memory", [0, 2 * 20 * 30 * 3 + 1, 1e9])
def test_windows_equal_the_file(tmp_path: Path, memory: float) -> None:
    pixels = textured(1, 3, 20, 30)
    pixels[0, 4, 5] = 9
    for name in "ab":
        rasters.write(tmp_path / f"{name}.tif", pixels, nodata=9)
    scenes, _ = find_scenes([tmp_path], cache_bytes=memory)
    assert [s.cached is not None for s in scenes] == [memory > 0, memory > 9000]
    for scene in scenes:
        values, valid = scene.read(Window(3, 2, 6, 9), (2, 0))
        np.testing.assert_array_equal(values, pixels[[2, 0], 3:9, 2:11])
        np.testing.assert_array_equal(valid, pixels[[2, 0], 3:9, 2:11] != 9)


def test_unusable_files_are_listed_with_reasons(tmp_path: Path) -> None:
    images(tmp_path / "data", 4, 20)
    (tmp_path / "data" / "2b.tif").write_bytes(b"no raster")
    rasters.write(tmp_path / "data" / "9.tif", np.zeros((1, 9, 9), np.complex64))
    scenes, skipped = find_scenes([tmp_path / "data"], cache_bytes=0)
    assert names(scenes) == ["0", "1", "2", "3"]
    assert [s.path.name for s in skipped] == ["2b.tif", "9.tif"]
    assert "cannot open" in skipped[0].reason
    assert "complex64" in skipped[1].reason


def test_scenes_may_have_different_band_counts(tmp_path: Path) -> None:
    for count in (1, 2, 3, 5):
        pixels = textured(count, count, 12, 12)
        rasters.write(tmp_path / f"{count}.tif", pixels, photometric="MINISBLACK")
    bands = [[g.bands for g in s.groups] for s in scenes_in(tmp_path)]
    assert bands == [[(i,) for i in range(count)] for count in (1, 2, 3, 5)]


def test_folders_without_usable_rasters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no rasters to train on in .*, expected files"):
        find_scenes([tmp_path], cache_bytes=0)
    (tmp_path / "a.tif").write_bytes(b"no raster")
    with pytest.raises(InputError, match=r"1 could not be used, the first: cannot open .*a\.tif"):
        find_scenes([tmp_path], cache_bytes=0)
    with pytest.raises(InputError, match=r"b\.tif is neither a folder nor a file"):
        find_scenes([tmp_path / "b.tif"], cache_bytes=0)


def test_scene_without_valid_pixels_is_accepted(tmp_path: Path) -> None:
    rasters.write(tmp_path / "a.tif", np.zeros((1, 70, 70), np.uint16), nodata=0)
    [scene] = scenes_in(tmp_path)
    assert scene.groups[0].value_range == ValueRange(0, 1)


def test_linked_folders_are_searched_once_and_circles_end(tmp_path: Path) -> None:
    real = images(tmp_path / "elsewhere", 3, 20)
    data = images(tmp_path / "data", 2, 20)
    (data / "linked").symlink_to(real, target_is_directory=True)
    (data / "again").symlink_to(real, target_is_directory=True)
    (data / "circle").symlink_to(data, target_is_directory=True)
    (real / "circle").symlink_to(real, target_is_directory=True)
    (data / "broken").symlink_to(tmp_path / "nothing")
    scenes = scenes_in(data)
    assert [s.path.relative_to(data).as_posix() for s in scenes] == [
        "0.tif", "1.tif", "again/0.tif", "again/1.tif", "again/2.tif",
    ]  # fmt: skip
    assert len(scenes_in(data / "linked")) == 3
    (tmp_path / "top").symlink_to(data, target_is_directory=True)
    assert len(scenes_in(tmp_path / "top")) == 5


def test_real_folders_are_preferred_to_links(tmp_path: Path) -> None:
    real = images(tmp_path / "real", 2, 20)
    (tmp_path / "a").symlink_to(real, target_is_directory=True)
    assert [s.path.parent for s in scenes_in(tmp_path)] == [real, real]


def test_files_in_several_folders_are_taken_once(tmp_path: Path) -> None:
    data = images(tmp_path / "data", 2, 20)
    inner = images(data / "inner", 2, 20)
    (data / "link.tif").symlink_to(data / "0.tif")
    scenes, _ = find_scenes([inner, data, data], cache_bytes=0)
    assert [s.path for s in scenes] == [
        folder / f"{i}.tif" for folder in (inner, data) for i in (0, 1)
    ]


def test_validation_scenes_are_recognised_through_links(tmp_path: Path) -> None:
    training = scenes_in(images(tmp_path / "data", 2, 20))
    (tmp_path / "val").symlink_to(tmp_path / "data", target_is_directory=True)
    assert count_seen(scenes_in(tmp_path / "val"), training) == 2
    assert count_seen(scenes_in(images(tmp_path / "other", 2, 20)), training) == 0


# Splitting


def test_neighbouring_scenes_are_not_split(tmp_path: Path) -> None:
    """Ten places of three scenes each, in which each scene overlaps the next."""
    for place in range(10):
        for i in range(3):
            rasters.write(
                tmp_path / f"{place}{i}.tif",
                textured(1, 1, 30, 30),
                transform=east_of(5000 * place + 250 * i, 1100 * i if place else 0),
            )
    training, validation = split(scenes_in(tmp_path), 0.2, 8)
    assert len(training) == 24
    assert len(validation) == 6
    assert not {n[0] for n in names(training)} & {n[0] for n in names(validation)}
    assert all(s.area == Window(0, 0, 30, 30) for s in [*training, *validation])


def test_chain_of_neighbours_is_one_place_in_any_order(tmp_path: Path) -> None:
    """Both ends of the chain come before the scene that joins them."""
    for name, metres in (("a", 0), ("b", 2600), ("c", 1300), ("z", 99_000)):
        rasters.write(tmp_path / f"{name}.tif", textured(1, 1, 30, 30), transform=east_of(metres))
    parts = [set(names(part)) for part in split(scenes_in(tmp_path), 0.2, 8)]
    assert sorted(parts, key=len) == [{"z"}, {"a", "b", "c"}]


def test_images_without_georeference_are_split_by_file(tmp_path: Path) -> None:
    scenes = scenes_in(images(tmp_path / "data", 20, 24))
    training, validation = split(scenes, 0.25, 8)
    assert sorted(names([*training, *validation])) == sorted(names(scenes))
    assert 4 <= len(validation) <= 7
    assert names(split(scenes, 0.25, 8)[1]) == names(validation)
    assert names(validation) != names(scenes)[: len(validation)]


def test_at_least_one_scene_remains_for_training(tmp_path: Path) -> None:
    scenes = scenes_in(images(tmp_path / "data", 2, 24))
    training, validation = split(scenes, 0.99, 8)
    assert len(training) == len(validation) == 1


def test_a_product_is_one_scene_of_the_bands_of_a_default_run(tmp_path: Path) -> None:
    """The first bands of a product are others, and some have pixels of 60 m."""
    safe = products.sentinel2(tmp_path, side=60)
    [scene] = scenes_in(tmp_path)
    assert scene.path == safe
    red, green, blue = scene.groups[0].bands
    near_infrared = scene.groups[1].bands[0]
    assert len(scene.groups) == 2
    values, _ = scene.read(Window(0, 0, 60, 60), (blue, green, red, near_infrared))
    for image, name in zip(values, ("B02", "B03", "B04", "B08"), strict=True):
        np.testing.assert_array_equal(image, products.ground(60, products.NAMES.index(name)))


def test_single_scene_is_split_by_rows(tmp_path: Path) -> None:
    rasters.write(tmp_path / "a.tif", textured(1, 3, 100, 40), transform=NORTH_UP)
    training, validation = split(scenes_in(tmp_path), 0.2, 24)
    assert [s.area for s in training] == [Window(0, 0, 56, 40)]
    assert [s.area for s in validation] == [Window(80, 0, 20, 40)]


def test_scene_with_too_few_rows_is_refused(tmp_path: Path) -> None:
    rasters.write(tmp_path / "a.tif", textured(1, 3, 40, 400))
    with pytest.raises(InputError, match=r"none has enough rows to hold out 20% .* with val="):
        split(scenes_in(tmp_path), 0.2, 48)


def test_pixel_sizes_are_of_the_low_resolution(tmp_path: Path) -> None:
    pixels = textured(1, 1, 20, 20)
    rasters.write(tmp_path / "a.tif", pixels)
    rasters.write(tmp_path / "b.tif", pixels, transform=NORTH_UP @ NORTH_UP.scale(3))
    rasters.write(tmp_path / "c.tif", pixels, transform=None, crs=None)
    scenes = scenes_in(tmp_path)
    assert pixel_sizes(scenes, (1.5, 8)) == pytest.approx((15, 240), rel=0.01)
    assert pixel_sizes(scenes[2:], (1.5, 8)) is None
