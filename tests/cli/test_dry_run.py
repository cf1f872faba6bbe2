"""``rs-sr upscale --dry-run``: says what would be done, and does nothing."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from tests import rasters
from tests.cli.calls import Call, told
from tests.rasters import textured


def test_dry_run_writes_nothing(upscale: Call, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    facts = told(upscale("--scale", "3", "--dry-run", "--json"))
    assert sorted(tmp_path.iterdir()) == before
    assert (facts["cells"], facts["leftovers"]) == (6, None)
    assert facts["disk_bytes"] > 3 * 132 * 120
    plain = upscale("--scale", "3", "--dry-run")
    assert "disk bytes" in plain.stdout
    assert sorted(tmp_path.iterdir()) == before


def test_dry_run_names_leftovers_and_no_resume_drops_them(
    upscale: Call, out: Path, scene: Path
) -> None:
    with rasters.opened(scene, "r+") as dataset:
        dataset.update_tags(A="1")
    scratch = out.parent / ".out.tif.rs-sr"
    scratch.mkdir()
    (scratch / "0_0.npz").write_bytes(b"")
    facts = told(upscale("--scale", "3", "--dry-run", "--json"))
    assert facts["leftovers"] == str(scratch)
    assert (facts["leftover_cells"], facts["leftovers_resumed"]) == (1, False)
    plain = upscale("--scale", "3", "--dry-run").stdout
    assert f"{scratch}, 1 finished cells; the run drops them" in plain
    result = upscale("--scale", "3", "--no-resume", "-q")
    assert result.stderr == "rs-sr: started anew: --no-resume\n"
    assert not scratch.exists()


def test_dry_run_says_what_it_takes(upscale: Call, out: Path) -> None:
    facts = told(upscale("--scale", "3", "--dry-run", "--json"))
    assert (facts["cells_to_compute"], facts["cells_to_compute_exact"]) == (6, True)
    assert facts["estimated_seconds"] == pytest.approx(6 * facts["cell_seconds"], abs=0.01)
    assert facts["estimated_memory_bytes"] > 5e7
    plain = dict(
        line.split("  ", 1) for line in upscale("--scale", "3", "--dry-run").stdout.splitlines()
    )
    assert plain["estimated time"].strip().startswith("about ")
    assert plain["estimated memory"].strip().startswith("about ")
    assert not out.exists()


def test_dry_run_leaves_a_result_alone(upscale: Call, out: Path) -> None:
    out.write_bytes(b"precious")
    before = out.stat()
    assert upscale("--scale", "3", "--dry-run", "--overwrite").exit_code == 0
    assert (out.stat().st_ino, out.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert out.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (3.14, "3.1 s"),
        (75, "75 s"),
        (90, "1.5 min"),
        (7200, "2.0 h"),
        (3e5, "3.5 days"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    module = importlib.import_module("rs_superres.cli.upscale")
    assert module.duration(seconds) == words


def test_lattice(upscale: Call, tmp_path: Path) -> None:
    path = tmp_path / "lattice.geojson"
    result = upscale("--scale", "3", "--dry-run", "--lattice", path)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert len(json.loads(path.read_text())["features"]) == 6
    bare = rasters.write(tmp_path / "bare.tif", textured(1, 1, 9, 9), transform=None, crs=None)
    args = "--scale", "3", "--dry-run", "--overwrite", "--lattice", path
    result = upscale(*args, source=bare)
    assert result.stderr == (
        f"rs-sr: {path} is in pixels of the output: the source has no place on a map\n"
    )
