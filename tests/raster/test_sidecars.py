"""Files next to a raster that GDAL would read as part of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio._env import del_gdal_config

from rs_superres.errors import RasterError
from rs_superres.raster import check_alone, delete_sidecars, owner, sidecars
from tests import rasters
from tests.rasters import textured

WORLD = "10\n0\n0\n-10\n500005\n5399995\n"
PAM = "<PAMDataset><Metadata><MDI key='OLD'>1</MDI></Metadata></PAMDataset>"
RPC = "".join(
    f"{key}: {value}\n"
    for key, value in [
        *((f"{axis}_{kind}", 1) for axis in ("LINE", "SAMP") for kind in ("OFF", "SCALE")),
        *((f"{axis}_{kind}", 1) for axis in ("LAT", "LONG", "HEIGHT") for kind in ("OFF", "SCALE")),
        *(
            (f"{axis}_{part}_COEFF_{i}", 1)
            for axis in ("LINE", "SAMP")
            for part in ("NUM", "DEN")
            for i in range(1, 21)
        ),
    ]
)
TAB = """!table
!version 300
Definition Table
  File "out.tif"
  Type "RASTER"
  (0,0) (0,0) Label "a",
  (9,0) (9,0) Label "b",
  (9,9) (9,9) Label "c"
  CoordSys Earth Projection 8, 104, "m", 15, 0, 0.9996, 500000, 0
  Units "m"
"""
TABLE = """!table
!version 300
Definition Table
  Type NATIVE Charset "Neutral"
  Fields 1
    a Integer ;
"""


def names(files: list[Path]) -> list[str]:
    return [file.name for file in files]


@pytest.mark.parametrize(
    ("out", "file", "text"),
    [
        ("out.tif", "out.tif.aux.xml", PAM),
        ("out.tif", "out.tif.aux.xml", "<PAMData"),
        ("out.tif", "out.tif.ovr", "damaged"),
        ("out.tif", "out.tif.msk", "damaged"),
        ("out.tif", "out.tfw", WORLD),
        ("out.tif", "out.TFW", WORLD),
        ("out.tif", "out.tifw", WORLD),
        ("out.tif", "out.wld", WORLD),
        ("out.tiff", "out.tfw", WORLD),
        ("out.cog", "out.cgw", WORLD),
        ("out.tif", "out.tab", TAB),
        ("out.tif", "out_RPC.TXT", RPC),
        ("out.tif", "out.aux", "EHFA_HEADER_TAG"),
        ("out.tif", "out.rrd", "EHFA_HEADER_TAG"),
        ("out.png", "out.png.aux.xml", PAM),
        ("out.png", "out.pgw", WORLD),
    ],
)
@pytest.mark.parametrize("exists", [False, True])
def test_files_that_gdal_attaches_to_a_name(
    tmp_path: Path, out: str, file: str, text: str, exists: bool
) -> None:
    path = tmp_path / out
    if exists:
        rasters.write(path, textured(1, 1, 9, 9))
    assert sidecars(path) == []
    (tmp_path / file).write_text(text)
    assert names(sidecars(path)) == [file]
    assert owner(tmp_path / file, path) is None
    delete_sidecars(path)
    assert names([*tmp_path.iterdir()]) == ([out] if exists else [])


def test_masks_and_overviews_of_a_raster_that_was_deleted(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "out.tif", textured(1, 3, 120, 140))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasters.opened(path, "r+") as dataset:
        dataset.write_mask(np.zeros((120, 140), dtype=np.bool_))
    with rasterio.Env(TIFF_USE_OVR=True), rasters.opened(path, "r+") as dataset:
        dataset.build_overviews([2])
    (tmp_path / "out.tif.msk.ovr").touch()
    expected = ["out.tif.msk", "out.tif.msk.ovr", "out.tif.ovr"]
    assert names(sidecars(path)) == expected
    path.unlink()
    assert names(sidecars(path)) == expected


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("out.aux", "\\relax"),  # LaTeX's
        ("out.tab", TABLE),  # a vector table of MapInfo's
        ("out.tif.md", "notes"),
        ("out.qml", "<qgis/>"),
        ("out.jgw", WORLD),
        ("out2.tfw", WORLD),
        ("out.tif", PAM),
    ],
)
def test_other_files_are_none_of_a_raster(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text)
    assert sidecars(tmp_path / "out.tif") == []


def test_the_environment_does_not_hide_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("GDAL_DISABLE_READDIR_ON_OPEN", "EMPTY_DIR")
    # rasterio turns the variable into a setting when it leaves an Env, which outlives the test.
    request.addfinalizer(lambda: del_gdal_config("GDAL_DISABLE_READDIR_ON_OPEN"))
    (tmp_path / "out.tfw").write_text(WORLD)
    assert names(sidecars(tmp_path / "out.tif")) == ["out.tfw"]


def test_without_temporary_files_the_usual_names_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "symlink_to", full)
    (tmp_path / "out.tif.aux.xml").write_text(PAM)
    assert names(sidecars(tmp_path / "out.tif")) == ["out.tif.aux.xml"]


def test_a_file_may_belong_to_another_raster(tmp_path: Path) -> None:
    out, world = tmp_path / "out.tif", tmp_path / "out.wld"
    (tmp_path / "out.jpg").write_text("damaged")
    world.write_text(WORLD)
    assert owner(world, out) is None
    other = tmp_path / "out.png"
    with rasters.opened(other, "w", driver="PNG", count=1, height=9, width=9, dtype="uint8"):
        pass
    assert owner(world, out) == other


def test_check_alone_names_the_files_of_another(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "out.tif", textured(1, 1, 9, 9))
    (tmp_path / "out.tif.aux.xml").write_text(PAM)
    check_alone(path, ["out.tif", "out.tif.aux.xml"])
    with pytest.raises(RasterError, match=r"out\.tif\.aux\.xml appeared next to"):
        check_alone(path, ["out.tif"])
