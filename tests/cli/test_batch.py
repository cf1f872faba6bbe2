"""``rs-sr batch``, on processes of this machine."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from rs_superres.batch.job import SceneOutcome
from tests import rasters
from tests.cli.calls import main
from tests.rasters import RGB, textured


def call(*args: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", "from rs_superres.cli import main; main()", *map(str, args)]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.full
def test_a_folder_with_a_bad_scene(tmp_path: Path, tiny: str) -> None:
    scenes, out = tmp_path / "in", tmp_path / "out"
    (scenes / "deep").mkdir(parents=True)
    good = rasters.write(scenes / "deep" / "a.tif", textured(1, 3, 40, 44), colours=RGB)
    (scenes / "bad.tif").write_bytes(good.read_bytes()[:300])
    options = ["--scale", "2", "-m", tiny, "--steps", 1, "--device", "cpu", "--samples", 2]
    batch = ["batch", scenes, "-o", out, *options, "--workers", 2, "--json"]

    stds, pictures = tmp_path / "stds", tmp_path / "pictures"
    batch += ["--uncertainty", stds, "--preview", pictures]
    first = call(*batch, "--report", tmp_path / "r.html")
    assert first.returncode == 1, first.stderr
    facts = json.loads(first.stdout)
    assert (facts["done"], facts["failed"]) == (1, 1)
    assert "bad.tif" in first.stderr.splitlines()[-2]
    assert json.loads((tmp_path / "r.json").read_text())["pixels"] == 80 * 88
    assert facts["scenes"][0]["attempts"] == 1
    page = (tmp_path / "r.html").read_text()
    assert "data:image/png;base64" in page
    assert 'href="out/deep/a.tif"' in page
    assert f"rs-sr batch {scenes} -o {out} --scale 2 -m {tiny}" in page

    single, std, picture = (tmp_path / name for name in ("one.tif", "std.tif", "one.png"))
    side = ["--uncertainty", std, "--preview", picture]
    assert call("upscale", good, "-o", single, *options, *side).returncode == 0
    assert single.read_bytes() == (out / "deep" / "a.tif").read_bytes()
    assert std.read_bytes() == (stds / "deep" / "a.tif").read_bytes()
    assert picture.read_bytes() == (pictures / "deep" / "a.png").read_bytes()

    again = call(*batch, "--skip-existing")
    assert (json.loads(again.stdout)["done"], json.loads(again.stdout)["skipped"]) == (0, 1)
    (pictures / "deep" / "a.png").unlink()
    assert json.loads(call(*batch, "--skip-existing").stdout)["skipped"] == 1
    assert picture.read_bytes() == (pictures / "deep" / "a.png").read_bytes()
    other = json.loads(call(*batch, "--skip-existing", "--seed", 5).stdout)
    assert "SUPERRES_SEED" in other["scenes"][1]["error"]


def test_what_is_passed_over_is_one_line(tmp_path: Path, tiny: str) -> None:
    rasters.write(tmp_path / "a.tif", textured(1, 3, 8, 8), colours=RGB)
    (tmp_path / "notes.csv").write_text("x;y\n")
    (tmp_path / "a.tif.aux.xml").write_text("<PAMDataset/>")
    files = sorted(path for path in tmp_path.iterdir())
    options = ["--scale", "2", "-m", tiny, "--steps", 0, "--workers", 1, "--json"]
    result = call("batch", *files, tmp_path / "a.tif", "-o", tmp_path / "out", *options)
    assert result.returncode == 0
    line = "passed over 1 file that is no raster: notes.csv (-v says why)"
    assert line in result.stderr
    assert "aux.xml" not in result.stderr
    facts = json.loads(result.stdout)
    assert [scene["name"] for scene in facts["scenes"]] == ["a.tif"]
    ((file, reason),) = (skipped.values() for skipped in facts["passed_over"])
    assert file == str(tmp_path / "notes.csv")
    assert reason.startswith("cannot open ")


def test_one_scene_on_many_workers(tmp_path: Path, tiny: str) -> None:
    scene = rasters.write(tmp_path / "a.tif", textured(1, 3, 90, 80), colours=RGB)
    options = ["--scale", "2", "-m", tiny, "--steps", 1, "--device", "cpu"]
    one, many = tmp_path / "one.tif", tmp_path / "many.tif"
    assert call("upscale", scene, "-o", one, *options).returncode == 0
    result = call("upscale", scene, "-o", many, *options, "--scheduler", "local:2")
    assert result.returncode == 0, result.stderr
    assert one.read_bytes() == many.read_bytes()


def test_errors_and_warnings_of_scenes_name_flags() -> None:
    batch = importlib.import_module("rs_superres.cli.batch")
    outcome = SceneOutcome(
        name="a.tif",
        source="a.tif",
        out="b.tif",
        status="failed",
        error="b.tif exists; overwrite=True replaces it",
        warnings=("leave out samples=8",),
    )
    with click.Context(batch.command):
        translated = batch._in_flags(outcome)
        assert translated.error == "b.tif exists; --overwrite replaces it"
        assert translated.warnings == ("leave out --samples 8",)
        assert batch._in_flags(replace(outcome, error=None)).error is None


def test_the_table_holds_names_that_are_no_utf8(capsys: pytest.CaptureFixture[str]) -> None:
    batch = importlib.import_module("rs_superres.cli.batch")
    batch._print_table([SceneOutcome(name="a\udce5.tif", source="a", out="b", status="done")])
    assert "done     a?.tif" in capsys.readouterr().out


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nothing"])
def test_a_missing_scheduler_is_one_line(tmp_path: Path, tiny: str, address: str) -> None:
    rasters.write(tmp_path / "a.tif", textured(1, 3, 8, 8), colours=RGB)
    result = call(
        *("batch", tmp_path, "-o", tmp_path / "out", "--scale", 2, "-m", tiny),
        *("--scheduler", address),
    )
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert address in result.stderr


def test_a_report_that_cannot_be_written_is_refused_before_the_batch(
    tmp_path: Path, tiny: str
) -> None:
    rasters.write(tmp_path / "a.tif", textured(1, 3, 8, 8), colours=RGB)
    (tmp_path / "old.json").write_text("mine")
    for name, message in (
        ("r.json", "expected a name that ends in .html"),
        ("none/r.html", "none does not exist"),
        ("old.html", "old.json exists"),
    ):
        report = ["--report", str(tmp_path / name)]
        line = ["batch", str(tmp_path), "-o", str(tmp_path / "out"), "--scale", "2", "-m", tiny]
        result = CliRunner().invoke(main, [*line, *report])
        assert result.exit_code == 1
        assert message in result.stderr
    assert (tmp_path / "old.json").read_text() == "mine"
    assert not (tmp_path / "out").exists()
