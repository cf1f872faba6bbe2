"""Cells of one scene are computed on the workers of a cluster."""

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
    """``auto`` is resolved on the client, even if it means another precision on a worker."""
    source = rasters.write(tmp_path / "a.tif", textured(1, 3, 40, 36), colours=RGB)
    monkeypatch.setattr("rs_superres.system.devices._multiplies_bf16", lambda _: here)
    plan = engine.plan(source, tmp_path / "out.tif", engine.Options(scale=2, model=tiny))
    sent: list[Any] = []

    def as_completed(*args: Any, **_: Any) -> Iterator[tuple[Any, Any]]:
        sent.append(args[1])
        return iter(())

    monkeypatch.setattr(cells, "as_completed", as_completed)
    client: Any = None
    compute = cells.compute_on(client)
    compute(plan, CellStore(plan.scratch), list(plan.cells), lambda: None)
    (task,) = sent
    assert task.options.precision == plan.pixels.precision == precision
    monkeypatch.setattr("rs_superres.system.devices._multiplies_bf16", lambda _: not here)
    monkeypatch.setattr(cells, "device_of_worker", lambda requested: requested)
    monkeypatch.setattr(cells, "memory_of_worker", lambda requested: requested)
    assert task.plan().checksum == plan.checksum
