"""Standard error holds the command's own lines, whatever the libraries under it write there."""

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
seen = survey.survey
def survey_with_words(path):
    os.write(2, b"words of libtiff\\n")
    return seen(path)
survey.survey = survey_with_words
[entry] = entry_points(group="console_scripts", name="rs-sr")
entry.load()()
"""


@pytest.mark.parametrize("options", [(), ("--debug",)])
def test_words_of_libraries(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Those written to the descriptor, and rasterio's stumbling over what is no UTF-8."""
    path = tmp_path / "a.vrt"
    path.write_bytes(b"<VRTDataset rasterXSize='4' rasterYSize='4'><\xd3\xff></VRTDataset>")
    line = [sys.executable, "-c", COMMAND, *options, "info", str(path)]
    ran = subprocess.run(line, check=False, capture_output=True)
    assert (ran.returncode, ran.stdout) == (1, b"")
    told = ran.stderr.decode()
    if options:
        assert "words of libtiff" in told
        assert "Traceback" in told
    else:
        assert told.splitlines() == [told.rstrip(os.linesep)]
        assert told.startswith(f"rs-sr: error: cannot open {path}: ")


loading = importlib.import_module("rs_superres.cli.process").loading


def failing() -> None:
    with loading():
        assert not gc.isenabled()
        raise ImportError


def test_the_search_goes_on_afterwards() -> None:
    assert gc.isenabled()
    with pytest.raises(ImportError):
        failing()
    assert gc.isenabled()
