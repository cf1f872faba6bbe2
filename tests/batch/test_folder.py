"""The scenes of a batch, and the names of their results."""

from __future__ import annotations

from pathlib import Path

import pytest
import rasterio.shutil

from rs_superres.batch.folder import BatchScenes, scenes
from rs_superres.errors import InputError
from tests import rasters
from tests.rasters import textured

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*paths: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()


def found(*where: str, out: str = "out") -> dict[str, str]:
    """Find scenes: their sources, without the working folder, by the names of the results."""
    return by_name(scenes(where, Path(out)))


def by_name(batch: BatchScenes) -> dict[str, str]:
    return {str(scene.name): scene.source.replace(f"{Path.cwd()}/", "") for scene in batch.files}


def test_results_keep_the_folders_of_their_scenes(here: Path) -> None:
    touch("a/x.jp2", "y.tif", "y.tif.msk", ".z.tif", ".w.tif.rs-sr/assembled.tif")
    Path("l.txt").write_text("# two\na/x.jp2\n/vsizip/q.zip/r.tif\n")
    assert sorted(found(str(here))) == ["a/x.tif", "y.tif"]
    assert list(found("**/*.jp2")) == ["a/x.tif"]
    assert list(found("l.txt")) == ["a/x.tif", "r.tif"]


def test_folders_files_patterns_and_lists_can_be_mixed() -> None:
    touch("in/a.tif", "in/deep/b.tif", "c.jp2", "p/d.tif", "p/e.tif", "lists/f.tif", "g.tif")
    Path("lists/l.txt").write_text("f.tif\n../g.tif\n../p/*.tif\n../in\n")
    assert found("in", "c.jp2", "p/*.tif", "lists/l.txt", "c.jp2", "in/a.tif") == {
        "a.tif": "in/a.tif",
        "deep/b.tif": "in/deep/b.tif",
        "c.tif": "c.jp2",
        "d.tif": "p/d.tif",
        "e.tif": "p/e.tif",
        "f.tif": "lists/f.tif",
        "g.tif": "lists/../g.tif",
    }
    for name in ("none.tif", "none/*.tif"):
        with pytest.raises(InputError, match=r"none\S+ (does not exist|matches nothing), expected"):
            found("in", name)


def test_what_a_shell_expands_holds_other_files_too() -> None:
    touch("in/a.tif", "in/a.tif.aux.xml", "in/a.prj", "in/deep/b.tif", "in/out/a.tif")
    Path("in/readme.txt").write_text("Scenes of 2020\nby us\n")
    Path("in/table.csv").write_text("x;y\n")
    batch = scenes([str(path) for path in sorted(Path("in").iterdir())], Path("in/out"))
    assert by_name(batch) == {"a.tif": "in/a.tif", "b.tif": "in/deep/b.tif"}
    assert [skipped.path.name for skipped in batch.passed_over] == ["readme.txt", "table.csv"]
    with pytest.raises(InputError, match=r"no rasters in in/table\.csv.* passed over 1 file"):
        found("in/table.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lists_may_be_of_any_encoding(encoding: str, end: str) -> None:
    touch("å b.tif", "c.tif")
    lines = ["# scenes", "", '"å b.tif"', " 'c.tif' "]
    Path("l.txt").write_bytes(end.join(lines).encode(encoding))
    assert found("l.txt") == {"å b.tif": "å b.tif", "c.tif": "c.tif"}


def test_lists_that_are_no_text_are_refused() -> None:
    Path("l.txt").write_bytes(b"a.tif\0b.tif\0")
    with pytest.raises(InputError, match=r"l\.txt cannot be read as a list of scenes: it is no te"):
        found("l.txt")


def test_a_text_that_is_a_raster_is_no_list(here: Path) -> None:
    rasters.write(here / "a.tif", textured(1, 1, 9, 9))
    with rasters.opened(here / "a.tif") as dataset:
        rasterio.shutil.copy(dataset, here / "dem.txt", driver="AAIGrid")
    assert found("dem.txt") == {"dem.tif": "dem.txt"}


def test_sub_datasets_are_named_after_their_files(here: Path) -> None:
    touch("a b.nc", "s.h5", "x.tif", "g.gpkg", "q.zip", "v.tif")
    lines = [
        'NETCDF:"a b.nc":red',
        'NETCDF:"a b.nc":nir',
        "NETCDF:a b.nc:nir",
        "HDF5:s.h5://grid/red",
        "HDF5:s.h5://other/red",
        "GTIFF_DIR:2:x.tif",
        "GPKG:g.gpkg:t",
        'HDF4_EOS:EOS_GRID:"gone.hdf":MOD:b 1',
        "vrt://v.tif?bands=2,1",
        "/vsizip/q.zip/r.tif",
        "https://host/y/t.tif?token=1.5",
        "/vsicurl/https://host/z/t.tif",
        "gone.tif",
    ]
    Path("l.txt").write_text("\n".join(lines))
    expected = {
        "a b_red.tif": 'NETCDF:"a b.nc":red',
        "a b_nir.tif": 'NETCDF:"a b.nc":nir',
        "s_grid_red.tif": "HDF5:s.h5://grid/red",
        "s_other_red.tif": "HDF5:s.h5://other/red",
        "x_2.tif": "GTIFF_DIR:2:x.tif",
        "g_t.tif": "GPKG:g.gpkg:t",
        "gone_EOS_GRID_MOD_b_1.tif": 'HDF4_EOS:EOS_GRID:"gone.hdf":MOD:b 1',
        "v_bands_2_1.tif": "vrt://v.tif?bands=2,1",
        "r.tif": "/vsizip/q.zip/r.tif",
        "https:/host/y/t.tif": "https://host/y/t.tif?token=1.5",
        "vsicurl/https:/host/z/t.tif": "/vsicurl/https://host/z/t.tif",
        "gone.tif": "gone.tif",
    }
    assert found("l.txt") == expected
    assert found(*lines[:-1]) == {k: v for k, v in expected.items() if k != "gone.tif"}
    absolute = {scene.source for scene in scenes(["l.txt"], Path("out")).files}
    assert f'NETCDF:"{here}/a b.nc":red' in absolute
    assert f"GTIFF_DIR:2:{here}/x.tif" in absolute
    assert f"vrt://{here}/v.tif?bands=2,1" in absolute
    assert f"/vsizip/{here}/q.zip/r.tif" in absolute


def test_brackets_may_be_part_of_a_name() -> None:
    touch("d [2020]/s.tif", "d [2020]/u1.tif", "d [2020]/u3.tif", "d 2/s.tif", "e/[x]/y.tif")
    touch("st*r/z.tif", "l[1].tif")
    assert found("d [2020]/*.tif") == {
        "d [2020]/s.tif": "d [2020]/s.tif",
        "d [2020]/u1.tif": "d [2020]/u1.tif",
        "d [2020]/u3.tif": "d [2020]/u3.tif",
        "d 2/s.tif": "d 2/s.tif",
    }
    assert list(found("d [2020]/u[12].tif")) == ["u1.tif"]
    assert list(found("*/[x]/*.tif")) == ["e/[x]/y.tif"]
    assert list(found("st*r/*.tif")) == ["z.tif"]
    assert list(found("l[1].tif")) == ["l[1].tif"]
    assert list(found("d [2020]")) == ["s.tif", "u1.tif", "u3.tif"]


def test_scenes_of_one_name_get_different_results() -> None:
    touch("x/2020/a.tif", "x/2021/a.tif", "x/b.tif", "q/c.tif", "q/c.jp2", "q/c.PNG")
    touch("e/f.2020", "e/f.2021")
    assert found("x/2020/a.tif", "x/2021/a.tif", "x/b.tif") == {
        "2020/a.tif": "x/2020/a.tif",
        "2021/a.tif": "x/2021/a.tif",
        "b.tif": "x/b.tif",
    }
    assert sorted(found("q")) == ["c.tif", "c_jp2.tif", "c_png.tif"]
    Path("l.txt").write_text("e/f.2020\ne/f.2021\n")
    assert sorted(found("l.txt")) == ["e/f_2020.tif", "e/f_2021.tif"]
    touch("q/C.tiff")
    with pytest.raises(InputError, match=r"q/C\.tiff and .*q/c\.tif would both become C\.tif"):
        found("q")


def test_folders_that_a_run_writes_to_are_not_searched(here: Path) -> None:
    touch("in/a.tif", "in/out/a.tif", "in/pictures/a.png", "b.jp2")
    (here / "in" / "link").symlink_to(here / "in" / "out")
    batch = scenes(["in"], Path("in/out"), without=[Path("in/pictures")])
    assert by_name(batch) == {"a.tif": "in/a.tif"}
    assert found("in/**/*.tif", "in/*", out="in/out").keys() == {"a.tif", "pictures/a.tif"}
    assert list(found(".", out=".")) == ["b.tif", "in/a.tif", "in/out/a.tif", "in/pictures/a.tif"]


def test_a_broken_link_is_a_scene_that_fails() -> None:
    touch("in/a.tif")
    Path("in/b.tif").symlink_to("/gone/b.tif")
    for where in (["in"], ["in/*.tif"], ["in/a.tif", "in/b.tif"]):
        assert list(found(*where)) == ["a.tif", "b.tif"]


def test_a_pattern_does_not_follow_links_in_a_circle(here: Path) -> None:
    touch("in/a.tif")
    Path("in/round").symlink_to(here / "in")
    assert found("in/**/*.tif") == {"a.tif": "in/a.tif"}
