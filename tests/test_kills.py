"""Runs that are killed at any moment, again and again."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests import rasters
from tests.rasters import RGB, textured

KILLS = 25


@pytest.mark.full
def test_killed_at_any_moment_a_run_ends_with_the_same_bytes(tmp_path: Path, tiny: str) -> None:
    """SIGKILL while it starts, computes, assembles or writes; then the same command again.

    A run that was quicker than its end is checked, and the next one starts from nothing.
    """
    source = rasters.write(tmp_path / "scene.tif", textured(3, 3, 60, 60), colours=RGB)
    out, whole = tmp_path / "out.tif", tmp_path / "whole.tif"
    command = [
        *(sys.executable, "-c", "from rs_superres.cli import main; main()", "upscale"),
        *(str(source), "-m", tiny, "--scale", "4", "--steps", "1", "-q", "-o"),
    ]
    started = time.monotonic()
    subprocess.run([*command, str(whole)], check=True)
    seconds = time.monotonic() - started
    expected = whole.read_bytes()

    moments = np.random.default_rng(5).uniform(0.3, 1.0, 10 * KILLS) * seconds
    killed = finished = 0
    for moment in moments:
        if killed == KILLS:
            break
        run = subprocess.Popen([*command, str(out)])
        try:
            assert run.wait(moment) == 0
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
            killed += 1
        if out.exists():  # it had its name already, whole
            assert out.read_bytes() == expected
            out.unlink()
            finished += 1
    assert killed == KILLS
    assert finished > 0
    subprocess.run([*command, str(out)], check=True)
    assert out.read_bytes() == expected
    assert {p.name for p in tmp_path.iterdir()} == {"scene.tif", "out.tif", "whole.tif"}
