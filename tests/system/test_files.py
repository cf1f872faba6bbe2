"""Files and folders that appear complete or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rs_superres.errors import WriteError
from rs_superres.system.files import atomic_folder, atomic_write, write_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notes.txt"


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


# Files


def test_the_name_appears_once_the_file_is_complete(path: Path) -> None:
    with atomic_write(path) as temporary:
        assert temporary.parent == path.parent  # the same file system, so renaming is atomic
        assert temporary.name.startswith(".")
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(path.parent) == [path.name]


def test_an_old_file_is_readable_until_it_is_replaced(path: Path) -> None:
    path.write_text("old")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [OSError("disk full"), ValueError(), KeyboardInterrupt()])
def test_a_failing_block_keeps_the_old_file(path: Path, error: BaseException) -> None:
    path.write_text("old")

    def write() -> None:
        with atomic_write(path) as temporary:
            temporary.write_text("half of the n")
            raise error

    with pytest.raises(type(error)):
        write()
    assert path.read_text() == "old"
    assert names(path.parent) == [path.name]


def test_a_block_that_fails_before_it_writes_raises_its_own_error(path: Path) -> None:
    with pytest.raises(ValueError, match="no content"), atomic_write(path):
        raise ValueError("no content")
    assert names(path.parent) == []


def test_a_block_that_writes_nothing_is_an_error(path: Path) -> None:
    path.write_text("old")
    with pytest.raises(FileNotFoundError), atomic_write(path):
        pass
    assert path.read_text() == "old"


def test_two_writers_of_one_file_do_not_disturb_each_other(path: Path) -> None:
    with atomic_write(path) as first:
        first.write_text("first")
        with atomic_write(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
        assert first.read_text() == "first"
    assert path.read_text() == "first"
    assert names(path.parent) == [path.name]


def test_contents_and_name_are_synced_in_this_order(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the first sync, a crash can leave an empty file under the final name."""
    events: list[str | int] = []
    fsync, replace = os.fsync, Path.replace

    def recorded_fsync(descriptor: int) -> None:
        events.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def recorded_replace(self: Path, target: Path) -> Path:
        events.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(Path, "replace", recorded_replace)
    with atomic_write(path) as temporary:
        temporary.write_text("new")
    # A renamed file keeps its inode number.
    assert events == [path.stat().st_ino, "rename", path.parent.stat().st_ino]


def test_a_file_that_cannot_be_synced_keeps_its_old_contents(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing_fsync(_: int) -> None:
        raise OSError("input/output error")

    path.write_text("old")
    monkeypatch.setattr(os, "fsync", failing_fsync)
    with pytest.raises(OSError, match="input/output"), atomic_write(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "old"
    assert names(path.parent) == [path.name]


@pytest.mark.parametrize("content", ["grün\n", b"gr\xc3\xbcn\n"])
def test_write_file_takes_text_and_bytes(path: Path, content: str | bytes) -> None:
    write_file(path, content)
    assert path.read_bytes() == b"gr\xc3\xbcn\n"


def test_write_file_raises_one_line(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "notes.txt"
    with pytest.raises(WriteError) as caught:
        write_file(path, "new")
    assert str(caught.value) == f"cannot write {path}: No such file or directory"


# Folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "report"


def test_a_folder_appears_once_it_is_filled(folder: Path) -> None:
    with atomic_folder(folder) as temporary:
        (temporary / "page.html").write_text("new")
        assert not folder.exists()
    assert names(folder) == ["page.html"]
    assert names(folder.parent) == [folder.name]


def test_an_old_folder_is_replaced(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "old.html").write_text("old")
    with atomic_folder(folder) as temporary:
        (temporary / "page.html").write_text("new")
        assert names(folder) == ["old.html"]
    assert names(folder) == ["page.html"]
    assert names(folder.parent) == [folder.name]


def test_a_failing_block_keeps_the_old_folder(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "old.html").write_text("old")

    def fill() -> None:
        with atomic_folder(folder) as temporary:
            (temporary / "page.html").write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill()
    assert names(folder) == ["old.html"]
    assert names(folder.parent) == [folder.name]


def failing_renames(monkeypatch: pytest.MonkeyPatch, *suffixes: str) -> None:
    """Make renames fail for paths with one of these suffixes."""
    rename = Path.rename

    def rename_or_fail(self: Path, target: Path) -> Path:
        if self.suffix in suffixes:
            raise OSError("permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", rename_or_fail)


def test_the_old_folder_is_put_back_if_the_new_one_cannot_be_renamed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(parents=True)
    (folder / "old.html").write_text("old")
    failing_renames(monkeypatch, ".partial")
    with pytest.raises(OSError, match="permission denied"), atomic_folder(folder) as temporary:
        (temporary / "page.html").write_text("new")
    assert names(folder) == ["old.html"]
    assert names(folder.parent) == [folder.name]


def test_the_old_folder_survives_if_it_cannot_be_put_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(parents=True)
    (folder / "old.html").write_text("old")
    failing_renames(monkeypatch, ".partial", ".replaced")
    with pytest.raises(OSError, match="permission denied"), atomic_folder(folder) as temporary:
        (temporary / "page.html").write_text("new")
    [kept] = folder.parent.iterdir()
    assert kept.suffix == ".replaced"
    assert names(kept) == ["old.html"]


def test_two_runs_in_one_process_do_not_disturb_each_other(folder: Path) -> None:
    with atomic_folder(folder) as first:
        (first / "page.html").write_text("first")
        with atomic_folder(folder) as second:
            (second / "page.html").write_text("second")
        assert (folder / "page.html").read_text() == "second"
    assert (folder / "page.html").read_text() == "first"
    assert names(folder.parent) == [folder.name]
