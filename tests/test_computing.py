"""Cells computed side by side in one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rs_superres import computing, engine
from rs_superres.engine import Options
from rs_superres.errors import RasterError
from rs_superres.grid import Window
from rs_superres.scene import Reader, Recipe, compute_cell
from tests import rasters
from tests.rasters import RGB, textured


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A scene that takes nine cells at x3."""
    return rasters.write(tmp_path / "scene.tif", textured(1, 3, 50, 44), colours=RGB)


def upscaled(source: Path, out: Path, tiny: str) -> list[tuple[int, int]]:
    """Run it, and give the progress that was told."""
    told: list[tuple[int, int]] = []
    engine.upscale(
        source,
        out,
        Options(scale="3", model=tiny),
        progress=lambda done, total: told.append((done, total)),
    )
    return told


def test_cores_change_no_byte(
    source: Path, tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bytes_of = {}
    for cores in (2, 8):
        monkeypatch.setattr(computing, "cores", lambda cores=cores: cores)
        out = tmp_path / f"{cores}.tif"
        told = upscaled(source, out, tiny)
        assert told == [(done, 9) for done in range(10)]
        bytes_of[cores] = out.read_bytes()
    assert bytes_of[2] == bytes_of[8]


def test_what_fails_beside_others_is_told(
    source: Path, tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(computing, "cores", lambda: 8)

    def failing(recipe: Recipe, reader: Reader, cell: Window) -> Any:
        if cell.row and cell.column:
            raise RasterError("cannot read it")
        return compute_cell(recipe, reader, cell)

    monkeypatch.setattr(computing, "compute_cell", failing)
    out = tmp_path / "out.tif"
    with pytest.raises(RasterError, match="cannot read it"):
        upscaled(source, out, tiny)
    assert not out.exists()
    monkeypatch.setattr(computing, "compute_cell", compute_cell)
    upscaled(source, out, tiny)
    assert out.exists()
