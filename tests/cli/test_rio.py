"""``rio superres``, through rasterio's own command line."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rasterio.rio.main import main_group

from tests import rasters
from tests.rasters import RGB, textured

[ours] = entry_points(group="console_scripts", name="rs-sr")


def rio(*args: Any) -> Result:
    return CliRunner().invoke(main_group, [*map(str, args)])


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return rasters.write(tmp_path / "scene.tif", textured(1, 3, 20, 22), colours=RGB)


def test_the_plugin_is_among_the_commands() -> None:
    assert "superres" in main_group.commands
    assert "Super-resolve a raster by any factor." in rio("--help").stdout


def test_the_help_equals_that_of_upscale() -> None:
    plugin, command = rio("superres", "--help"), CliRunner().invoke(ours.load(), ["upscale", "-h"])
    assert plugin.exit_code == 0
    usage, _, rest = plugin.stdout.partition("\n")
    assert usage.endswith("superres [OPTIONS] SOURCE...")
    assert rest == command.stdout.partition("\n")[2].replace("rs-sr upscale", "rio superres")
    assert "rio superres scene.tif --scale 3.5 -o out.tif" in plugin.stdout
    assert "rs-sr" not in plugin.stdout


def test_the_result_equals_that_of_upscale(tmp_path: Path, scene: Path, tiny: str) -> None:
    line = [scene, "--scale", 2.5, "-m", tiny, "--steps", 1, "-q", "-o"]
    assert rio("superres", *line, tmp_path / "a.tif").exit_code == 0
    result = CliRunner().invoke(ours.load(), ["upscale", *map(str, line), str(tmp_path / "b.tif")])
    assert result.exit_code == 0
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_lines_begin_with_rio_and_name_flags(tmp_path: Path, scene: Path, tiny: str) -> None:
    line = [scene, "-m", tiny, "--steps", 0, "-o", tmp_path / "out.tif"]
    result = rio("superres", *line, "--scale", 9, "--dry-run")
    assert result.stderr.startswith("rio superres: warning: ")
    (tmp_path / "out.tif").write_bytes(b"precious")
    result = rio("superres", *line, "--scale", 2)
    assert result.stderr.startswith("rio superres: error: ")
    assert "--overwrite" in result.stderr


def test_a_failure_is_one_line(tmp_path: Path, scene: Path, tiny: str) -> None:
    result = rio("superres", scene, "--scale", 0.5, "-m", tiny, "-o", tmp_path / "out.tif")
    assert result.exit_code == 2
    assert result.stderr.endswith("'--scale': '0.5', expected a number above 1\n")
    result = rio("superres", scene, "--res", 1e3, "-m", tiny, "-o", tmp_path / "out.tif")
    assert result.exit_code == 1
    assert result.stderr.startswith("rio superres: error: --res 1000,1000, expected ")
    assert result.stderr.count("\n") == 1
    assert rio("superres", scene).exit_code == 2


def test_ctrl_c_ends_the_run(tmp_path: Path, scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rs_superres.engine.plan", stop)
    result = rio("superres", scene, "--scale", 2, "-o", tmp_path / "out.tif")
    assert (result.exit_code, result.stderr) == (130, "rio superres: interrupted\n")
