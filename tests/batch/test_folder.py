"""The scenes of a batch, and the names of their results."""

from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from rs_superres.batch.folder import scenes
from rs_superres.errors import InputError


def test_results_keep_the_folders_of_their_scenes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / ".w.tif.rs-sr").mkdir()
    for name in ("a/x.jp2", "y.tif", "y.tif.msk", ".z.tif", ".w.tif.rs-sr/assembled.tif"):
        (tmp_path / name).touch()
    (tmp_path / "l.txt").write_text("# two\na/x.jp2\n/vsizip/q.zip/r.tif\n")
    out = tmp_path / "out"
    assert {s.name for s in scenes(str(tmp_path), out)} == {PurePath("a/x.tif"), PurePath("y.tif")}
    assert [s.name for s in scenes(f"{tmp_path}/**/*.jp2", out)] == [PurePath("a/x.tif")]
    assert [str(s.name) for s in scenes(str(tmp_path / "l.txt"), out)] == ["a/x.tif", "r.tif"]


def test_two_results_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tif").touch()
    (tmp_path / "a.jp2").touch()
    with pytest.raises(InputError, match=r"would both become a\.tif"):
        scenes(str(tmp_path), tmp_path / "out")
