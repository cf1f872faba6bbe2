"""A small scene, and ``rs-sr upscale`` on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests import rasters
from tests.cli.calls import Call, main
from tests.rasters import RGB, textured


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return rasters.write(tmp_path / "scene.tif", textured(1, 3, 40, 44), colours=RGB)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.tif"


@pytest.fixture
def upscale(scene: Path, out: Path, tiny: str) -> Call:
    """Call ``rs-sr upscale scene.tif -o out.tif -m tiny --steps 0`` with further arguments."""

    def run(*args: Any, source: Path = scene, to: Path = out, steps: int | None = 0) -> Result:
        line = [source, "-o", to, "-m", tiny, *args]
        if steps is not None:
            line += ["--steps", steps]
        return CliRunner().invoke(main, ["upscale", *map(str, line)])

    return run
