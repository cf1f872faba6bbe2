"""Kill runs at random moments, again and again."""

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
def test_a_run_killed_at_any_moment_resumes_to_the_same_bytes(tmp_path: Path, tiny: str) -> None:
    """Kill it while it starts, computes, assembles or writes; then give the same command again.

    A run that finishes before it is killed is checked, and the next one starts from nothing.
    """
    names = ("std.tif", "before-and-after.png", "out.tif", "std.tif.aux.xml", "out.tif.aux.xml")
    # GDAL writes the CRS of a rotated pole next to a GeoTIFF.
    pole = "+proj=ob_tran +o_proj=longlat +o_lon_p=-162 +o_lat_p=39.25 +lon_0=180"
    source = rasters.write(tmp_path / "scene.tif", textured(3, 3, 60, 60), colours=RGB, crs=pole)
    for folder in ("undisturbed", "killed"):
        (tmp_path / folder).mkdir()

    def files(folder: str) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in (tmp_path / folder).iterdir() if p.is_file()}

    command = [
        *(sys.executable, "-c", "from rs_superres.cli import main; main()", "upscale"),
        *(str(source), "-m", tiny, "--scale", "4", "--steps", "1", "--samples", "2", "-q"),
        *("--uncertainty", names[0], "--preview", names[1], "-o", names[2]),
    ]
    started = time.monotonic()
    subprocess.run(command, check=True, cwd=tmp_path / "undisturbed")
    seconds = time.monotonic() - started
    expected = files("undisturbed")
    assert {*expected} == {*names}

    moments = np.random.default_rng(5).uniform(0.3, 1.0, 10 * KILLS) * seconds
    killed = finished = 0
    for moment in moments:
        if killed == KILLS:
            break
        run = subprocess.Popen(command, cwd=tmp_path / "killed")
        try:
            assert run.wait(moment) == 0
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
            killed += 1
        present = files("killed")
        for name in names:  # a file that is about to get this name ends differently
            present.pop(f".{name}.part", None)
        assert all(expected[name] == content for name, content in present.items())
        if "out.tif" in present:  # the last file to get its final name
            assert present == expected
            for name in names:
                (tmp_path / "killed" / name).unlink()
            finished += 1
    assert killed == KILLS
    assert finished > 0
    subprocess.run(command, check=True, cwd=tmp_path / "killed")
    assert files("killed") == expected
    assert {p.name for p in (tmp_path / "killed").iterdir()} == {*names}
