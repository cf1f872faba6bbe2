"""What Windows lacks: no module needs it, and a run ends without it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rs_superres.engine.store import opened_store
from rs_superres.system import files
from tests import rasters
from tests.rasters import RGB, textured

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


WINDOWS_RULES = """
import os, sys
from pathlib import Path

def opened():
    '''The names of the files that this process holds open or has mapped.'''
    links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
             if os.path.exists(f"/proc/self/fd/{fd}")]
    maps = Path("/proc/self/maps").read_text().splitlines()
    return {*links, *(line.split(None, 5)[5] for line in maps if len(line.split(None, 5)) == 6)}

def named(path, folder):
    '''The absolute name of a path, which may be relative to an open folder.'''
    base = os.readlink(f"/proc/self/fd/{folder}") if folder != -1 else os.getcwd()
    return os.path.join(os.path.realpath(base), os.fspath(path))

def refuse(event, args):
    if event == "os.remove":
        names = [named(args[0], args[1])]
    elif event == "os.rename":
        names = [named(args[0], args[2]), named(args[1], args[3])]
    else:
        return
    for name in names:
        if name in opened():
            if os.path.basename(name) != "lock":
                print("in use:", event, name, file=sys.stderr)
            raise PermissionError(13, "the file is in use", name)

sys.addaudithook(refuse)
sys.modules["distributed"] = None  # so that batch runs in this process
from importlib.metadata import entry_points
from click.testing import CliRunner
[entry] = entry_points(group="console_scripts", name="rs-sr")
main = entry.load()

def call(*args):
    result = CliRunner().invoke(main, [*args, "-q"])
    assert result.exit_code == 0, (args, result.output, result.stderr)

model = ("-m", sys.argv[1])
for more in ((), ("--overwrite",)):
    call("upscale", "in/a.tif", "--scale", "2.5", "-o", "o.tif", "--preview", "p.png", "--stac",
         "--uncertainty", "u.tif", *model, *more)
    call("batch", "in", "--scale", "2", "--steps", "0", "-o", "out", "--report", "r.html", *model,
         *more)
    call("view", "o.tif", "--source", "in/a.tif", "--page", "v.html", *more)
    call("eval", "--data", "in", "--scales", "2", "-o", "report", *model, *more)
call("verify", "o.tif", "in/a.tif")
"""


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's list of files")
def test_no_file_is_deleted_or_renamed_while_it_is_open(tmp_path: Path, tiny: str) -> None:
    """Windows refuses both, except for our lock, which goes when it is released."""
    for name, seed in (("a.tif", 1), ("b.tif", 2)):
        (tmp_path / "in").mkdir(exist_ok=True)
        rasters.write(tmp_path / "in" / name, textured(seed, 3, 50, 44), colours=RGB)
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WINDOWS_RULES, str(Path(tiny).absolute())],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "in use" not in ran.stderr
    hidden = [path for path in tmp_path.rglob("*") if any(p[0] == "." for p in path.parts[1:])]
    assert {path.name for path in hidden if path.is_file()} <= {"lock"}
