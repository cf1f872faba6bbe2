"""What Windows lacks: no module needs it, and a run ends without it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rs_superres.engine.store import opened_store
from rs_superres.system import files

ROOT = Path(__file__).resolve().parents[1]
IMPORT_ALL = """
import importlib, pkgutil, sys
import filelock, psutil, torch.distributed, distributed  # they handle what a system lacks
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
import rs_superres
modules = [m.name for m in pkgutil.walk_packages(rs_superres.__path__, "rs_superres.")]
for name in modules:
    importlib.import_module(name)
from rs_superres.system import memory
assert 0 < memory.resident() <= memory.memory() and memory.peak() > 0
print(len(modules))
"""


def test_all_modules_import_without_those_of_posix(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 100


def test_a_lock_that_cannot_be_deleted_while_it_is_held_goes_with_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows deletes no open file; filelock deletes the lock there when it is released."""
    folder, unlink = tmp_path / "scratch", Path.unlink

    def refuse(path: object) -> None:
        raise PermissionError(13, "the file is in use", str(path))

    monkeypatch.setattr("shutil.rmtree", refuse)
    with opened_store(folder) as store:
        store.begin({}, resume=True)
        store.remove()
        assert [path.name for path in folder.iterdir()] == ["lock"]
        monkeypatch.setattr("filelock.FileLock.release", lambda _: unlink(folder / "lock"))
    assert not folder.exists()


def test_files_are_written_where_folders_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, flags = os.open, list[int]()

    def windows_open(path: Path, flag: int) -> int:
        if path.is_dir():
            raise PermissionError(13, "Permission denied")
        flags.append(flag)
        return int(real(path, flag))

    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setattr("rs_superres.system.files.os.open", windows_open)
    files.write_file(tmp_path / "a.txt", "text")
    monkeypatch.undo()
    assert (tmp_path / "a.txt").read_text("utf-8") == "text"
    assert flags == [os.O_RDWR]
