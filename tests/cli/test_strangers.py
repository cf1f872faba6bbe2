"""Names and texts from strangers' files cannot command the terminal that shows them."""

from __future__ import annotations

import importlib
import logging
import re
import shutil
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from rs_superres.batch.job import SceneOutcome
from tests import rasters
from tests.cli.calls import main
from tests.rasters import RGB, textured

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp"
"""Clears the screen, names the window, writes in red, and reverses the rest of the line."""

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def run(*args: object) -> Result:
    """Call ``rs-sr``, and check that nothing it prints commands the terminal."""
    result = CliRunner().invoke(main, [str(arg) for arg in args], color=True)
    for text in (result.stdout, result.stderr):
        assert not CONTROL.search(text), text
    return result


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A raster whose name, tags and band descriptions hold escape sequences."""
    path = tmp_path / f"a{ESCAPES}.tif"
    rasters.write(path, textured(1, 3, 20, 20), colours=RGB, tags={"MISSION": ESCAPES})
    with rasters.opened(path, "r+") as dataset:
        dataset.set_band_description(1, f"red{ESCAPES}")
        dataset.set_band_unit(1, ESCAPES)
    return path


@pytest.fixture
def model(tmp_path: Path, tiny: str) -> Path:
    """A model whose name and card hold escape sequences."""
    folder = tmp_path / f"model{ESCAPES}"
    shutil.copytree(tiny, folder)
    (folder / "card.md").write_text(f"# Card\n\n{ESCAPES}\n")
    return folder


def test_a_raster_is_described(scene: Path) -> None:
    result = run("info", scene)
    assert result.exit_code == 0
    assert "a\\x1b[2J" in result.stdout
    assert run("info", scene, "--json").exit_code == 0


def test_a_raster_is_upscaled_and_verified(scene: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / f"out{ESCAPES}.tif"
    options = ["--scale", 2, "--steps", 0, "-m", model, "-o", out]
    assert run("-vv", "upscale", scene, *options).exit_code == 0
    assert run("verify", out, scene).exit_code in (0, 1)
    assert "exists already; --overwrite" in run("upscale", scene, *options).stderr
    assert run("upscale", scene, *options, "--dry-run", "--overwrite").exit_code == 0


def test_a_model_is_shown(model: Path) -> None:
    result = run("models", "show", model)
    assert result.exit_code == 0
    assert "# Card" in result.stdout.splitlines()
    assert run("models", "show", model, "--json").exit_code == 0


@pytest.mark.parametrize("args", [["info"], ["upscale"], ["info", "a.tif"], ["models", "show"], []])
def test_a_usage_error_may_hold_a_name(args: list[str]) -> None:
    """As the shell expands ``*``."""
    assert run(*args, f"b{ESCAPES}.tif", "c").exit_code in (1, 2)


def test_lines_break_only_where_the_command_breaks_them() -> None:
    """A name cannot pretend that another scene is done."""
    batch: Any = importlib.import_module("rs_superres.cli.batch")
    name = f"a.tif\ndone     b.tif{ESCAPES}"
    outcome = SceneOutcome(
        name=name, source=name, out=name, status="failed", error=f"{name} is bad"
    )

    @click.command()
    def table() -> None:
        batch._print_table([outcome])
        batch._report_failures([outcome])

    result = CliRunner().invoke(table, color=True)
    assert not CONTROL.search(result.stdout + result.stderr)
    assert len(result.stdout.splitlines()) == 1
    assert len(result.stderr.splitlines()) == 2


def test_a_progress_line_holds_no_commands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    progress: Any = importlib.import_module("rs_superres.cli.progress")
    line = progress.ProgressLine()
    line.show(f"a{ESCAPES}", 1, 1)
    monkeypatch.setattr(line, "_terminal", True)
    monkeypatch.setattr(line, "_finished", False)
    line.show(f"a{ESCAPES}", 1, 2)
    printed = capsys.readouterr().err
    assert not CONTROL.search(printed.replace("\r", ""))
    assert "owned\\x07" in printed


def test_a_log_line_holds_no_commands(capsys: pytest.CaptureFixture[str]) -> None:
    logs: Any = importlib.import_module("rs_superres.cli.logs")
    with logs.shown(1):
        logging.getLogger("rs_superres.test").debug("opened %s", ESCAPES)
    printed = capsys.readouterr().err
    assert "opened" in printed
    assert not CONTROL.search(printed)
