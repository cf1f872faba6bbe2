"""Compute one scene on many workers, each of which puts finished cells into one cell store."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rs_superres import engine
from rs_superres.batch.cluster import as_completed, device_of_worker, memory_of_worker
from rs_superres.batch.job import load_once, with_absolute_paths
from rs_superres.batch.names import read_name
from rs_superres.engine import Plan
from rs_superres.engine.compute import Compute, compute_one
from rs_superres.engine.outputs import result_path
from rs_superres.engine.store import CellStore
from rs_superres.errors import ClusterError, RasterError, SuperResError
from rs_superres.grid import Window

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)

_plans: dict[tuple[object, ...], Plan] = {}
_planning = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class _CellTask:
    """Computes cells on a worker.

    Each worker plans the run itself, so that no network has to be sent to it.
    """

    sources: tuple[str, ...]
    """Absolute paths, or anything else that GDAL opens."""
    out: Path
    """Absolute path of the result."""
    options: engine.Options
    """Options of the run, with absolute paths."""
    checksum: str
    """Checksum of the client's plan; the worker's plan must have the same."""

    def __call__(self, cell: Window) -> None:
        """Compute a cell and put it into the store."""
        plan = self.plan()
        compute_one(plan, CellStore(plan.scratch), cell)

    def plan(self) -> Plan:
        """Plan the run, once in each process.

        Raises:
            RasterError: the plan is not the client's.
        """
        key = self.checksum, self.sources, self.out, self.options.scratch
        with _planning:
            if key not in _plans:
                options = replace(
                    self.options,
                    device=device_of_worker(self.options.device),
                    memory=memory_of_worker(self.options.memory),
                    model=load_once(self.options.model),
                )
                plan = engine.plan(self.sources, self.out, options)
                if plan.checksum != self.checksum:
                    raise RasterError(
                        "a worker has another source, model, version or kind of device than this "
                        "machine; give all machines the same files, and choose a device that all "
                        "have, such as device=cpu"
                    )
                _plans.clear()
                _plans[key] = plan
            return _plans[key]


def compute_on(client: Client) -> Compute:
    """Create a function that computes cells on a cluster; see :data:`Compute`.

    Args:
        client: a client of the cluster.
    """

    def compute(
        plan: Plan, store: CellStore, cells: Sequence[Window], finished: Callable[[], None]
    ) -> None:
        task = _CellTask(
            sources=plan.sources,
            out=plan.out,
            # The precision of the plan, because ``auto`` may mean another one on a worker.
            options=replace(plan.options, precision=plan.pixels.precision),
            checksum=plan.checksum,
        )
        logger.debug("computing %d cells of %s on the cluster", len(cells), plan.out)
        for done in as_completed(client, task, deque(cells), lambda: None, fetch=False):
            cell, error = done.item, done.error
            if isinstance(error, SuperResError):
                raise error
            if error is not None:
                raise ClusterError(
                    f"no worker finished the cell at row {cell.row}, column {cell.column}: "
                    f"{type(error).__name__}; finished cells are kept, give the same command "
                    "again to resume"
                ) from error
            if not store.has(cell):
                raise ClusterError(
                    f"the workers' cells do not arrive in {store.folder}; workers and this machine "
                    "need a file system in common, choose a folder on it with scratch="
                )
            finished()

    return compute


def with_absolute_arguments(
    sources: Sequence[str], out: str | Path, options: engine.Options
) -> tuple[tuple[str, ...], Path, engine.Options]:
    """Make all paths of a run absolute, for workers that run in another folder.

    Args:
        sources: paths, or anything else that GDAL opens.
        out: path of the result, or the folder for it.
        options: the options of the run.

    Returns:
        Sources, result and options.
    """
    return (
        tuple(read_name(source, Path.cwd()).source for source in sources),
        result_path(out, sources).absolute(),
        with_absolute_paths(options),
    )
