"""``rs-sr upscale --dry-run``: say what would be done, and do nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests import rasters
from tests.cli.calls import Call, facts_of
from tests.rasters import textured


def test_dry_run_writes_nothing(upscale: Call, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    facts = facts_of(upscale("--scale", "3", "--dry-run", "--json"))
    assert sorted(tmp_path.iterdir()) == before
    assert (facts["cells"], facts["leftovers"]) == (6, None)
    assert facts["disk_bytes"] > 3 * 132 * 120
    plain = upscale("--scale", "3", "--dry-run")
    assert "of memory, up to " in plain.stdout
    assert sorted(tmp_path.iterdir()) == before


def test_dry_run_reports_leftovers_and_no_resume_discards_them(
    upscale: Call, out: Path, scene: Path
) -> None:
    with rasters.opened(scene, "r+") as dataset:
        dataset.update_tags(A="1")
    scratch = out.parent / ".out.tif.rs-sr"
    scratch.mkdir()
    (scratch / "0_0.tif").write_bytes(b"")
    facts = facts_of(upscale("--scale", "3", "--dry-run", "--json"))
    assert facts["leftovers"] == str(scratch)
    assert (facts["leftover_cells"], facts["leftovers_resumed"]) == (1, False)
    plain = upscale("--scale", "3", "--dry-run").stdout
    assert f"the run discards what an earlier run left: 1 finished cells in {scratch}" in plain
    result = upscale("--scale", "3", "--no-resume", "-q")
    assert result.stderr.startswith("rs-sr: started anew: ")
    assert "--no-resume" in result.stderr
    assert not scratch.exists()


def test_dry_run_estimates_time_and_memory(upscale: Call, out: Path) -> None:
    facts = facts_of(upscale("--scale", "3", "--dry-run", "--json"))
    assert (facts["cells_to_compute"], facts["cells_to_compute_exact"]) == (6, True)
    cell_seconds = facts["cell_seconds"] / facts["cells_at_once"]
    assert facts["estimated_seconds"] == pytest.approx(6 * cell_seconds, abs=0.01)
    assert facts["estimated_memory_bytes"] > 5e7
    lines = upscale("--scale", "3", "--dry-run").stdout.splitlines()
    assert lines[0] == f"{out}: 132 x 120 pixels, 3 bands, uint8"
    assert lines[1].startswith("scale 3, model tiny, the operator alone, on ")
    assert re.fullmatch(
        r"about \S+ s: 6 of 6 cells to compute, \S+ s each as measured here, \d at once", lines[2]
    )
    assert re.fullmatch(r"about \S+ [MG]B of memory, up to \S+ [kM]B of disk", lines[3])
    assert len(lines) == 4
    assert not out.exists()


def test_dry_run_with_overwrite_keeps_the_result(upscale: Call, out: Path) -> None:
    out.write_bytes(b"precious")
    before = out.stat()
    assert upscale("--scale", "3", "--dry-run", "--overwrite").exit_code == 0
    assert (out.stat().st_ino, out.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert out.read_bytes() == b"precious"


def test_the_lattice_is_written_as_polygons(upscale: Call, tmp_path: Path) -> None:
    path = tmp_path / "lattice.geojson"
    result = upscale("--scale", "3", "--dry-run", "--lattice", path)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert len(json.loads(path.read_text())["features"]) == 6
    bare = rasters.write(tmp_path / "bare.tif", textured(1, 1, 9, 9), transform=None, crs=None)
    args = "--scale", "3", "--dry-run", "--overwrite", "--lattice", path
    result = upscale(*args, source=bare)
    assert result.stderr == (
        f"rs-sr: {path} is in output pixels, because the source is not georeferenced\n"
    )
