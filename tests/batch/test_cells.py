"""Cells of one scene on the workers of a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rs_superres import engine
from rs_superres.batch import cells
from rs_superres.engine.store import CellStore
from tests import rasters
from tests.rasters import RGB, textured


@pytest.mark.parametrize(("here", "precision"), [(True, "bf16"), (False, "fp32")])
def test_workers_compute_in_the_precision_of_the_plan(
    tmp_path: Path, tiny: str, here: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ``auto`` stands for on a worker of another kind is not asked."""
    source = rasters.write(tmp_path / "a.tif", textured(1, 3, 40, 36), colours=RGB)
    monkeypatch.setattr("rs_superres.system.devices._multiplies_bf16", lambda _: here)
    decided = engine.plan(source, tmp_path / "out.tif", engine.Options(scale=2, model=tiny))
    sent: list[Any] = []

    def completed(*given: Any) -> Iterator[tuple[Any, Any]]:
        sent.append(given[1])
        return iter(())

    monkeypatch.setattr(cells, "completed", completed)
    client: Any = None
    compute = cells.compute_on(client)
    compute(decided, CellStore(decided.scratch), list(decided.cells), lambda: None)
    (task,) = sent
    assert task.options.precision == decided.pixels.precision == precision
    monkeypatch.setattr("rs_superres.system.devices._multiplies_bf16", lambda _: not here)
    monkeypatch.setattr(cells, "device_of_worker", lambda asked: asked)
    monkeypatch.setattr(cells, "memory_of_worker", lambda asked: asked)
    assert task.plan().checksum == decided.checksum
