"""``rs-sr demo``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rs_superres import demo
from rs_superres.errors import InputError
from tests.cli.calls import main


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments that the command passes to the library, which here does no work."""
    call: dict[str, Any] = {}

    def run(folder: Path, **rest: Any) -> demo.DemoReport:
        call.update(rest, folder=folder)
        if folder.name == "taken":
            raise InputError("taken exists already")
        if rest["progress"] is not None:
            rest["progress"](4, 4)
        return demo.DemoReport(
            scene=folder / "scene.tif",
            result=folder / "upscaled.tif",
            picture=folder / "before-after.png",
            scale=3.5,
            psnr={"cubic": 21.04, "prior": 22.5, "default": 22.125},
        )

    monkeypatch.setattr(demo, "run_demo", run)
    return call


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["demo", *args])


def test_plain(call: dict[str, Any]) -> None:
    result = run()
    assert result.exit_code == 0
    assert call["folder"] == Path("rs-sr-demo")
    assert (call["scene"], call["overwrite"]) == ("town", False)
    assert result.stdout.splitlines() == [
        "PSNR against the truth at x3.5 (higher is closer):",
        "  cubic interpolation           21.04 dB",
        "  neural operator (--steps 0)   22.50 dB",
        "  default                       22.12 dB",
        "scene    rs-sr-demo/scene.tif",
        "result   rs-sr-demo/upscaled.tif",
        "picture  rs-sr-demo/before-after.png: source, cubic, operator, default, truth",
    ]
    assert result.stderr.startswith("upscaled.tif 100 %")


def test_options(call: dict[str, Any], tmp_path: Path) -> None:
    result = run("--scene", "country", "-o", str(tmp_path / "here"), "--overwrite", "-q")
    assert (result.exit_code, result.stderr) == (0, "")
    assert (call["folder"], call["overwrite"]) == (tmp_path / "here", True)
    assert call["scene"] == "country"


@pytest.mark.usefixtures("call")
def test_json() -> None:
    result = run("--json", "-o", "d")
    assert result.stderr == ""
    assert json.loads(result.stdout) == {
        "scene": "d/scene.tif",
        "result": "d/upscaled.tif",
        "picture": "d/before-after.png",
        "scale": 3.5,
        "psnr": {"cubic": 21.04, "prior": 22.5, "default": 22.125},
    }


@pytest.mark.usefixtures("call")
def test_failure() -> None:
    result = run("-o", "taken")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "rs-sr: error: taken exists already\n"


def test_the_help_states_the_size_of_the_pixels() -> None:
    sizes = {name: scene.extent / scene.side for name, scene in demo.SCENES.items()}
    assert sizes == {"town": 0.75, "country": 10}
    text = " ".join(run("--help").stdout.split())
    assert "a town with pixels of 0.75 m, or countryside with pixels of 10 m" in text
