"""One scene on many workers: each computes cells of the lattice into the shared store."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from distributed import Client

from rs_superres import engine
from rs_superres.batch.cluster import completed, device_of_worker, memory_of_worker
from rs_superres.batch.job import anywhere, model_of
from rs_superres.engine import Plan
from rs_superres.engine.compute import Compute, compute_one
from rs_superres.engine.store import CellStore
from rs_superres.errors import ClusterError, RasterError, SuperResError
from rs_superres.grid import Window

_planned: dict[tuple[object, ...], Plan] = {}
_planning = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """Computes cells on a worker, which plans the run for itself: no network travels."""

    sources: tuple[str, ...]
    out: Path
    options: engine.Options
    checksum: str
    """Of the client's plan, which the worker's must equal."""

    def __call__(self, cell: Window) -> None:
        decided = self.plan()
        compute_one(decided, CellStore(decided.scratch), cell)

    def plan(self) -> Plan:
        """The plan, made once in a process.

        Raises:
            RasterError: it is not that of the client.
        """
        key = self.checksum, self.sources, self.out, self.options.scratch
        with _planning:
            if key not in _planned:
                options = replace(
                    self.options,
                    device=device_of_worker(self.options.device),
                    memory=memory_of_worker(self.options.memory),
                    model=model_of(self.options.model),
                )
                decided = engine.plan(self.sources, self.out, options)
                if decided.checksum != self.checksum:
                    raise RasterError(
                        "a worker sees another source, model, version or kind of device than this "
                        "machine; name a device that all have (--device cpu), and give "
                        "all the same files"
                    )
                _planned.clear()
                _planned[key] = decided
            return _planned[key]


def compute_on(client: Client) -> Compute:
    """The way to compute cells on a cluster; see :data:`Compute`."""

    def compute(
        decided: Plan, store: CellStore, cells: Sequence[Window], finished: Callable[[], None]
    ) -> None:
        task = _Task(
            sources=decided.sources,
            out=decided.out,
            # Of this machine's plan: ``auto`` may stand for another on a worker.
            options=replace(decided.options, precision=decided.pixels.precision),
            checksum=decided.checksum,
        )
        for cell, future in completed(client, task, deque(cells), lambda: None):
            error = future.exception()
            if isinstance(error, SuperResError):
                raise error
            if error is not None:
                raise ClusterError(
                    f"no worker finished the cell at row {cell.row}, column {cell.column}: "
                    f"{type(error).__name__}; finished cells are kept, the same command goes on "
                    "from them"
                ) from error
            if not store.has(cell):
                raise ClusterError(
                    f"the workers' cells do not arrive in {store.folder}: workers and this machine "
                    "need one file system; name a shared folder with --scratch"
                )
            finished()

    return compute


def everywhere(
    sources: Sequence[str], out: Path, options: engine.Options
) -> tuple[tuple[str, ...], Path, engine.Options]:
    """Sources, result and options with paths that hold in any folder."""
    return (
        tuple(str(Path(s).absolute()) if Path(s).exists() else s for s in sources),
        out.absolute(),
        anywhere(options),
    )
