"""Which files of a folder are rasters, and what is passed over."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio.shutil

from rs_superres.raster import is_raster, lines_about, rasters_below
from tests import rasters
from tests.rasters import textured


def names(paths: list[Path], folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in paths]


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return rasters.write(tmp_path / "scene.tif", textured(1, 1, 20, 24))


def test_rasters_are_found_by_suffix_and_not_in_hidden_folders(tmp_path: Path) -> None:
    for name in ("b.TIF", "a/c.jp2", "a/notes.txt", ".hidden/d.tif", "a/.e.tif"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "folder.tif").mkdir()
    found = rasters_below(tmp_path)
    assert found.rasters == [tmp_path / "a" / "c.jp2", tmp_path / "b.TIF"]
    assert [skipped.path for skipped in found.passed_over] == [tmp_path / "a" / "notes.txt"]
    assert "not recognized" in found.passed_over[0].reason
    assert is_raster(tmp_path / "b.TIF")
    assert not is_raster(tmp_path / "a" / "notes.txt")
    assert not is_raster(tmp_path / "none.tif")


@pytest.mark.parametrize(
    ("name", "driver"),
    [
        ("a.asc", "AAIGrid"),
        ("a.dat", "ENVI"),
        ("bare", "ENVI"),
        ("a.2020", "ENVI"),
        ("a.gpkg", "GPKG"),
        ("a.bil", "EHdr"),
        ("a.img", "HFA"),
        ("a.txt", "AAIGrid"),
        ("a.xyz", "XYZ"),
        ("a.rst", "RST"),
        ("a.vrt", "VRT"),
        ("a.PGM", "PNM"),
    ],
)
def test_every_format_that_gdal_opens_is_found_without_its_sidecars(
    tmp_path: Path, scene: Path, name: str, driver: str
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    with rasterio.Env(), rasters.opened(scene) as dataset:
        rasterio.shutil.copy(dataset, folder / name, driver=driver)
    (folder / "scene.tif.ovr").touch()
    (folder / "scene.tif.msk").touch()
    (folder / "scene.tfw").touch()
    found = rasters_below(folder)
    assert names(found.rasters, folder) == [name]
    assert found.passed_over == []


def test_linked_folders_are_searched_once_and_broken_links_are_kept(tmp_path: Path) -> None:
    folder, store = tmp_path / "in", tmp_path / "store"
    folder.mkdir()
    store.mkdir()
    (store / "b.tif").touch()
    (tmp_path / "beside.tif").touch()
    links = {"linked": store, "again": store, "here": folder, "above": tmp_path}
    for name, target in links.items():
        (folder / name).symlink_to(target)
    (folder / "gone.tif").symlink_to("/gone/c.tif")
    (folder / "folder").symlink_to("/gone/folder")
    (store / "back").symlink_to(folder)
    found = rasters_below(folder)
    assert names(found.rasters, folder) == ["again/b.tif", "folder", "gone.tif"]
    assert found.passed_over == []


def test_what_is_no_file_and_what_cannot_be_searched_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    for folder in ("closed", "grid.zarr/0", "a.gdb"):
        (tmp_path / folder).mkdir(parents=True)
    scandir = os.scandir

    def refusing(path: Any) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = rasters_below(tmp_path)
    assert found.rasters == []
    reasons = {skipped.path.name: skipped.reason for skipped in found.passed_over}
    assert sorted(reasons) == ["a.gdb", "closed", "grid.zarr", "pipe.tif"]
    assert "Permission denied" in reasons["closed"]
    assert "not a regular file" in reasons["pipe.tif"]


def test_results_are_no_scenes_if_there_are_others(tmp_path: Path, scene: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    result = rasters.write(
        made / "a.tif", textured(1, 1, 20, 24), tags={"SUPERRES_METHOD": "rs-sr NeurOp-Diff"}
    )
    found = rasters_below(tmp_path)
    assert (found.rasters, found.results, found.passed_over) == ([scene], [result], [])
    assert rasters_below(made).rasters == [result]
    assert rasters_below(tmp_path, without=[made]).results == []
    assert rasters_below(made, without=[made]).rasters == [result]


def test_files_that_are_no_rasters_share_a_line(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv", "c.csv", "d.csv"):
        (tmp_path / name).write_text("1;2\n")
    np.save(tmp_path / "e.npy", np.zeros(3))
    assert list(lines_about(rasters_below(tmp_path).passed_over)) == [
        "passed over 5 files that are no rasters: a.csv, b.csv, c.csv and 2 more"
    ]
