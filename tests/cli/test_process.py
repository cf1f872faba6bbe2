"""Standard error holds the command's own lines, whatever C libraries write there."""

from __future__ import annotations

import gc
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = """
import os
from importlib.metadata import entry_points
from rs_superres.scene import survey
real = survey.survey
def noisy(path):
    os.write(2, b"words of libtiff\\n")
    return real(path)
survey.survey = noisy
[entry] = entry_points(group="console_scripts", name="rs-sr")
entry.load()()
"""


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A VRT that is not UTF-8: rasterio fails on GDAL's message about it."""
    path = tmp_path / "a.vrt"
    path.write_bytes(b"<VRTDataset rasterXSize='4' rasterYSize='4'><\xd3\xff></VRTDataset>")
    return path


def info(path: Path, *options: str) -> str:
    """Run ``rs-sr info`` on a broken file, and return its stderr."""
    line = [sys.executable, "-c", COMMAND, *options, "info", str(path)]
    ran = subprocess.run(line, check=False, capture_output=True)
    assert (ran.returncode, ran.stdout) == (1, b"")
    return ran.stderr.decode()


def test_messages_of_c_libraries_are_kept_out(broken: Path) -> None:
    stderr = info(broken)
    assert stderr.splitlines() == [stderr.rstrip(os.linesep)]
    assert stderr.startswith(f"rs-sr: error: cannot open {broken}: ")


def test_debug_shows_messages_of_c_libraries(broken: Path) -> None:
    stderr = info(broken, "--debug")
    assert "words of libtiff" in stderr
    assert "Traceback" in stderr


def test_vv_shows_messages_of_c_libraries_and_the_log_of_rasterio(broken: Path) -> None:
    stderr = info(broken, "-vv")
    assert "words of libtiff" in stderr
    assert " s  rasterio." in stderr
    assert "rs-sr: error: cannot open" in stderr


heavy_imports = importlib.import_module("rs_superres.cli.process").heavy_imports


def fail_to_import() -> None:
    with heavy_imports():
        assert not gc.isenabled()
        raise ImportError


def test_garbage_collection_is_enabled_again_after_imports() -> None:
    assert gc.isenabled()
    with pytest.raises(ImportError):
        fail_to_import()
    assert gc.isenabled()
