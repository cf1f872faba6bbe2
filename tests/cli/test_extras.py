"""The command where no optional package is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from rs_superres.system.extras import OPTIONAL
from tests import rasters
from tests.rasters import RGB, textured

SCRIPT = """
import json, sys
from importlib.metadata import entry_points

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from click.testing import CliRunner
[entry] = entry_points(group="console_scripts", name="rs-sr")
main = entry.load()
for line in json.loads(sys.argv[1]):
    result = CliRunner().invoke(main, line)
    print(json.dumps([result.exit_code, result.stdout, result.stderr]))
""".replace("{absent}", repr(set(OPTIONAL)))
"""Runs command lines in one process, as if the optional packages were not installed."""


class Ran(NamedTuple):
    status: int
    stdout: str
    stderr: str


def run(*lines: list[object]) -> list[Ran]:
    argument = json.dumps([[str(word) for word in line] for line in lines])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, argument], capture_output=True, text=True, check=True
    )
    return [Ran(*json.loads(line)) for line in done.stdout.splitlines()]


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    (tmp_path / "scenes").mkdir()
    for name, seed in (("a", 1), ("b", 2)):
        rasters.write(tmp_path / "scenes" / f"{name}.tif", textured(seed, 3, 40, 44), colours=RGB)
    return tmp_path / "scenes"


def test_all_but_evaluation_and_clusters_work(scenes: Path, tmp_path: Path, tiny: str) -> None:
    scene, out = scenes / "a.tif", tmp_path / "out.tif"
    options = ["--scale", 2, "-m", tiny, "--steps", 0, "--device", "cpu"]
    (scenes / "bad.tif").write_bytes(scene.read_bytes()[:300])
    finer, report = tmp_path / "finer", tmp_path / "report.html"
    results = run(
        ["info", scene],
        ["upscale", scene, "-o", out, *options],
        ["verify", out, "--source", scene],
        ["verify", "--wald", scene, *options],
        ["view", out, "--source", scene, "-o", tmp_path / "page.html"],
        ["models"],
        ["batch", scenes, "-o", finer, *options, "--report", report, "--json"],
        ["batch", scenes, "-o", finer, *options, "--skip-existing", "-q"],
    )
    assert [ran.status for ran in results] == [0] * 6 + [1] * 2, results
    batch, again = results[6:]
    facts = json.loads(batch.stdout)
    assert [scene["status"] for scene in facts["scenes"]] == ["done", "done", "failed"]
    assert facts == json.loads(report.with_suffix(".json").read_text("utf-8"))
    assert (finer / "a.tif").read_bytes() == out.read_bytes()
    note = "rs-sr: note: one scene at a time, because a dask cluster needs "
    assert len([line for line in batch.stderr.splitlines() if line.startswith(note)]) == 1
    assert "2 skipped" not in again.stderr
    assert "note" not in again.stderr


def test_what_needs_a_package_says_so_in_one_line(scenes: Path, tmp_path: Path, tiny: str) -> None:
    options = ["--scale", 2, "-m", tiny, "--steps", 0]
    cluster = [*options, "--scheduler", "local:2"]
    results = run(
        ["eval", "--data", scenes, "-o", tmp_path / "report", "-m", tiny],
        ["upscale", scenes / "a.tif", "-o", tmp_path / "a.tif", *cluster],
        ["batch", scenes, "-o", tmp_path / "finer", *cluster],
        ["batch", scenes, "-o", tmp_path / "finer", *options, "--workers", 2],
    )
    for ran, extra in zip(results, ["eval", *["cluster"] * 3], strict=True):
        assert ran.status == 1, ran
        [line] = ran.stderr.splitlines()
        assert line.startswith("rs-sr: error: a")
        assert line.endswith(f", which is not installed: pip install 'rs-superres[{extra}]'")
    assert not (tmp_path / "report").exists()
    assert not (tmp_path / "finer").exists()
