"""The cell store: complete cells, kept only for the same settings, behind a lock."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rs_superres.engine.store import CellStore, opened_store, published, scratch_of
from rs_superres.errors import RasterError
from rs_superres.grid import Window
from rs_superres.raster import read_tile
from rs_superres.scene.cell import CellResult
from rs_superres.system import files
from tests import rasters

CELL, OTHER = Window(0, 64, 4, 5), Window(64, 0, 4, 5)
SETTINGS = {"seed": 1, "window": {"row": 0}}


def test_scratch_lies_next_to_the_result(tmp_path: Path) -> None:
    assert scratch_of(tmp_path / "out.tif") == tmp_path / ".out.tif.rs-sr"
    assert scratch_of(Path("a/out.tif"), tmp_path) == tmp_path / ".out.tif.rs-sr"


@pytest.fixture
def store(tmp_path: Path) -> CellStore:
    with opened_store(tmp_path / "scratch") as opened:
        return opened


def result(store: CellStore) -> Path:
    """Write a small result into the store."""
    pixels = np.ones((1, 4, 5), dtype=np.uint8)
    return rasters.write(store.new_file("result", "out.tif"), pixels)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("masked", [False, True])
def test_cells_are_read_as_they_were_written(store: CellStore, dtype: str, masked: bool) -> None:
    values = np.arange(40).reshape(2, 4, 5).astype(dtype)
    mask = values[0] % 2 == 0 if masked else None
    std = np.full((2, 4, 5), 0.5, dtype=np.float32) if masked else None
    assert not store.has(CELL)
    store.put(CELL, CellResult(values, mask, std), blank=masked)
    assert store.has(CELL)
    assert store.is_blank(CELL) == masked
    assert not store.has(OTHER)
    assert not store.is_blank(OTHER)
    assert store.finished == 1
    back, back_mask = read_tile(store.tile(CELL))
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, values)
    assert store.std_tile(CELL).exists() == masked
    if mask is None or std is None:
        assert back_mask is None
    else:
        assert back_mask is not None
        np.testing.assert_array_equal(back_mask, mask)
        np.testing.assert_array_equal(read_tile(store.std_tile(CELL))[0], std)


def test_an_incomplete_cell_does_not_exist(
    store: CellStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        store.put(CELL, CellResult(np.zeros((1, 4, 5)), None))
    assert not store.has(CELL)


def test_cells_with_the_same_settings_are_kept(store: CellStore) -> None:
    assert store.begin(SETTINGS, resume=True) is None
    store.put(CELL, CellResult(np.zeros((1, 4, 5)), None))
    assert store.begin(dict(reversed(SETTINGS.items())), resume=True) is None
    assert store.has(CELL)


@pytest.mark.parametrize(
    ("settings", "resume", "why"),
    [
        ({**SETTINGS, "seed": 2}, True, "its seed differed"),
        ({"seed": 2, "window": {"row": 1}}, True, "its seed, window differed"),
        ({**SETTINGS, "more": 0}, True, "its more differed"),
        ({"seed": 1}, True, "its settings differed"),
        (SETTINGS, False, "resume=False"),
    ],
)
def test_cells_with_other_settings_are_deleted(
    store: CellStore, settings: dict[str, object], resume: bool, why: str
) -> None:
    store.begin(SETTINGS, resume=True)
    store.put(CELL, CellResult(np.zeros((1, 4, 5)), None))
    assert store.begin(settings, resume=resume) == why
    assert not store.has(CELL)
    assert store.begin(settings, resume=True) is None


def test_cells_without_settings_are_deleted(store: CellStore) -> None:
    store.put(CELL, CellResult(np.zeros((1, 4, 5)), None))
    assert store.begin(SETTINGS, resume=True) == "its settings were lost"
    assert not store.has(CELL)


def test_settings_that_are_kept_are_never_written_again(
    store: CellStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is killed while it writes them would lose its cells."""
    settings = {**SETTINGS, "nodata": float("nan")}
    store.begin(settings, resume=True)
    store.put(CELL, CellResult(np.zeros((1, 4, 5)), None))
    monkeypatch.delattr(Path, "write_text")
    monkeypatch.delattr(Path, "write_bytes")
    assert store.fits(settings)
    assert store.begin(settings, resume=True) is None
    assert store.has(CELL)


def test_new_settings_appear_complete_or_not_at_all(
    store: CellStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.begin(SETTINGS, resume=True)

    def killed(path: Path, *_: object) -> None:
        path.open("w").close()
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", killed)
    monkeypatch.setattr(Path, "write_bytes", killed)
    with pytest.raises(KeyboardInterrupt):
        store.begin({"seed": 2}, resume=True)
    assert store.fits(SETTINGS)


def test_names_being_given_are_noted_completely_or_not_at_all(
    store: CellStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run that is killed there must not forget what the first one has named."""
    out = tmp_path / "out.tif"
    made = result(store)
    store.publish({made: out})
    assert published(store.folder) == {out}

    def killed(path: Path, *_: object) -> None:
        path.open("w").close()
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", killed)
    monkeypatch.setattr(Path, "write_bytes", killed)
    with pytest.raises(KeyboardInterrupt):
        store.publish({made: out})
    assert published(store.folder) == {out}


def test_remove_deletes_the_folder(store: CellStore) -> None:
    store.begin(SETTINGS, resume=True)
    store.put(CELL, CellResult(np.zeros((1, 4, 5)), None))
    store.remove()
    assert not store.folder.exists()


def test_the_store_is_locked_against_a_second_run(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    with opened_store(folder):
        with (
            pytest.raises(RasterError, match="another run is writing this result") as caught,
            opened_store(folder),
        ):
            pass
        assert "\n" not in str(caught.value)
    with opened_store(folder):
        pass


def test_names_being_given_are_known_to_the_next_run(tmp_path: Path) -> None:
    folder, out = tmp_path / "cells", tmp_path / "out.tif"
    assert published(folder) == set()
    with opened_store(folder) as store:
        files = {result(store): out, store.new_file("uncertainty", "std.tif"): tmp_path / "std.tif"}
        with pytest.raises(FileNotFoundError):
            store.publish(files)
    assert rasters.read(out).any()
    assert published(folder) == {out, tmp_path / "std.tif"}


def test_a_killed_run_holds_no_lock(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    code = (
        "import sys, time, pathlib\n"
        "from rs_superres.engine.store import opened_store\n"
        "with opened_store(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, folder], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(RasterError, match="another run"), opened_store(folder):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with opened_store(folder):
        pass


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(RasterError, match="cannot write next to the result"),
        opened_store(tmp_path / "file" / "scratch"),
    ):
        pass


def test_a_result_is_synced_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, synced = tmp_path / "out.tif", []
    monkeypatch.setattr(files, "_sync", lambda path: synced.append((path.name, out.exists())))
    with opened_store(tmp_path / "scratch") as store:
        store.publish({result(store): out})
        assert synced[-2:] == [("out.tif", False), (tmp_path.name, True)]


def test_a_result_and_its_sidecars_replace_an_earlier_one_with_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At no moment do old and new files lie next to each other."""
    out, sidecar, old = (tmp_path / f"out.{end}" for end in ("tif", "tif.aux.xml", "tif.msk"))
    for path in (out, sidecar, old):
        path.write_text("old")
    moments = []

    def record(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(path: Path, *args: Any, **options: Any) -> Any:
            value = change(path, *args, **options)
            files_now = [p for p in tmp_path.glob("out.*") if p.is_file()]
            moments.append({p.name: p.read_bytes() != b"old" for p in files_now})
            return value

        return changed

    with opened_store(tmp_path / "scratch") as store:
        path = result(store)
        path.with_name("out.tif.aux.xml").write_text("<PAMDataset/>")
        for name in ("replace", "unlink"):
            monkeypatch.setattr(Path, name, record(getattr(Path, name)))
        store.publish({path: out})
    assert moments[-1] == {"out.tif": True, "out.tif.aux.xml": True}
    for moment in moments:
        if "out.tif" in moment:
            assert len({*moment.values()}) == 1
            assert moment["out.tif"] == ("out.tif.msk" not in moment)
            assert "out.tif.aux.xml" in moment


def test_a_file_that_appears_next_to_a_result_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.tif"
    (tmp_path / "out.tif.aux.xml").write_text("<PAMDataset/>")
    monkeypatch.setattr("rs_superres.engine.store.sidecars", lambda _: [])  # as if it came later
    with (
        opened_store(tmp_path / "scratch") as store,
        pytest.raises(RasterError, match=r"out\.tif\.aux\.xml appeared next to .*out\.tif"),
    ):
        store.publish({result(store): out})


def test_a_copy_is_synced_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fast").mkdir()
    source, out, synced = tmp_path / "fast" / "a.tif", tmp_path / "out.tif", []
    source.write_text("complete")
    replace = Path.replace

    def across(self: Path, target: Path) -> Path:
        if self.parent != target.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", across)
    monkeypatch.setattr(files, "_sync", lambda path: synced.append((path.name, out.exists())))
    files.move_files({source: out})
    assert synced == [("a.tif", False), (".out.tif.part", False), (tmp_path.name, True)]
    assert out.read_text() == "complete"


def test_a_result_is_copied_to_another_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, replace = tmp_path / "out.tif", Path.replace

    def across(self: Path, target: Path) -> Path:
        if self.parent != target.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", across)
    with opened_store(tmp_path / "scratch") as store:
        path = result(store)
        path.with_name("out.tif.aux.xml").write_text("<PAMDataset/>")
        store.publish({path: out})
        store.remove()
    assert rasters.read(out).any()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.tif", "out.tif.aux.xml"]


def test_the_disk_that_a_store_takes_includes_folders_and_no_holes(store: CellStore) -> None:
    store.put(CELL, CellResult(np.zeros((1, 4, 5)), None))
    cell = store.tile(CELL)
    with store.new_file("assembled", "sparse.tif").open("wb") as sparse:
        sparse.truncate(10**9)
    store.new_file("result", "out.tif").write_bytes(bytes(50_000))
    assert store.used_bytes == cell.stat().st_size + 50_000


@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
@pytest.mark.parametrize("std", [False, True])
def test_damaged_cells_are_computed_again(store: CellStore, damage: str, std: bool) -> None:
    values, deviation = np.full((1, 4, 5), 1.25), np.full((1, 4, 5), 0.5, dtype=np.float32)
    for cell in (CELL, OTHER):
        store.put(cell, CellResult(values, None, deviation))
    path = store.std_tile(CELL) if std else store.tile(CELL)
    content = bytearray(path.read_bytes())
    if damage == "changed":
        content[content.index((deviation if std else values).tobytes())] ^= 1
    left = {"cut": len(content) - 40, "changed": len(content), "empty": 0}
    path.write_bytes(content[: left[damage]])
    assert store.drop_damaged([CELL, OTHER, Window(64, 64, 4, 5)]) == 1
    assert not store.has(CELL)
    assert store.has(OTHER)


def test_settings_that_are_damaged_fit_no_run(store: CellStore) -> None:
    store.put(CELL, CellResult(np.zeros((1, 4, 5)), None))
    (store.folder / "settings.json").write_text("{")
    assert not store.fits(SETTINGS)
    assert store.begin(SETTINGS, resume=True) == "its settings were lost"


# Other users

STRANGER = 65534
"""The number of the user "nobody"."""


def refused(folder: Path, reason: str) -> None:
    with pytest.raises(RasterError) as caught, opened_store(folder):
        pytest.fail("it opened")
    assert f"{folder} {reason}; the run would trust what it finds there" in str(caught.value)
    assert "scratch=" in str(caught.value)


def test_only_the_user_enters_the_folder(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    for folder in (tmp_path / "open" / "cells", tmp_path / "new" / "cells"):
        with opened_store(folder):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with opened_store(folder):
            pass  # again


def test_a_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    """Planted under the name that the run uses, with links to the user's files."""
    folder, precious = tmp_path / "cells", tmp_path / "precious"
    precious.write_text("mine")
    folder.mkdir()
    for name in ("lock", "assembled.tif", "settings.json"):
        (folder / name).symlink_to(precious)
    for mode in (0o777, 0o1777, 0o775):
        folder.chmod(mode)
        refused(folder, "can be written by other users")
    assert precious.read_text() == "mine"


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "cells").symlink_to("elsewhere")
    refused(tmp_path / "cells", "is a link")
    (tmp_path / "cells").unlink()
    (tmp_path / "cells").symlink_to("nowhere")
    refused(tmp_path / "cells", "is a link")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cells").write_text("")
    refused(tmp_path / "cells", "is not a folder")


def test_the_folder_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cells"
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(folder, STRANGER, STRANGER)
    else:
        pretend_that_a_stranger_owns(folder, monkeypatch)
    (folder / "published.json").write_text('["/out.tif"]')
    refused(folder, "belongs to another user")
    assert published(folder) == set()  # which would let the run overwrite /out.tif
    os.mkfifo(folder / "settings.json")  # which would never end
    assert not CellStore(folder).fits(SETTINGS)


def pretend_that_a_stranger_owns(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Path.lstat

    def lstat(path: Path) -> os.stat_result:
        info = usual(path)
        return os.stat_result([*info[:4], STRANGER, *info[5:]]) if path == folder else info

    monkeypatch.setattr(Path, "lstat", lstat)


def test_a_file_system_without_owners_and_modes_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """exFAT and network shares: every folder has one owner and one mode, a new one too."""
    folder = tmp_path / "cells"
    folder.mkdir()

    def same(_: object) -> os.stat_result:
        return os.stat_result([stat.S_IFDIR | 0o777, 1, 1, 1, STRANGER, STRANGER, 1, 1, 1, 1])

    monkeypatch.setattr(Path, "lstat", same)
    monkeypatch.setattr(Path, "stat", same)
    assert files.foreign(folder) is None


def test_a_link_under_the_name_of_a_copy_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result is copied to another file system under a fixed name, which others can guess."""
    source, out, part = (tmp_path / name for name in ("source", "out.tif", ".out.tif.part"))
    precious = tmp_path / "precious"
    precious.write_text("mine")
    part.symlink_to(precious)
    source.write_text("result")
    usual = Path.replace

    def other_file_system(path: Path, target: Path) -> Path:
        if path == source:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return usual(path, target)

    monkeypatch.setattr(Path, "replace", other_file_system)
    files.move_files({source: out})
    assert (out.read_text(), precious.read_text()) == ("result", "mine")
    assert not out.is_symlink()
