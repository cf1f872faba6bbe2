"""Connect to a dask cluster, on this machine or elsewhere, and run tasks on its workers."""

from __future__ import annotations

import importlib.util
import logging
import queue
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import dask
import torch
from distributed import Client, Future, LocalCluster, get_worker

from rs_superres.errors import ClusterError, InputError
from rs_superres.system.devices import Precision, resolve_device, resolve_precision
from rs_superres.system.memory import memory
from rs_superres.system.threads import THREADS, cores

logger = logging.getLogger(__name__)

T = TypeVar("T")

WORKER_MEMORY = 2 * 10**9
"""Bytes that a worker on this machine is assumed to need on a CPU."""

MEMORY_SHARE = 0.9
"""Share of a worker's memory that a run may use. dask ends a worker at a share of 0.95."""

SCHEDULER_TIMEOUT = 10
"""Seconds to wait for a scheduler."""

LEAST_TASKS = 8
"""Fewest tasks to keep on a cluster: enough that no worker idles and an adaptive cluster grows."""

CONNECTION_LOST = (
    "the connection to the dask scheduler was lost; finished cells and scenes are kept, run the "
    "same command again to resume (a batch with skip_existing=True)"
)
"""Error message for a scheduler that no longer answers."""


def local_workers() -> int:
    """Return the number of workers for this machine: one for each GPU, or by cores and memory."""
    gpus = torch.cuda.device_count()
    return gpus or max(1, min(cores() // THREADS, memory() // WORKER_MEMORY))


@contextmanager
def connected(scheduler: str | None, workers: int | None = None) -> Iterator[Client]:
    """Connect to a cluster; one on this machine starts and ends with the block.

    Args:
        scheduler: the scheduler's address, the path of its scheduler file, or ``local:N`` for N
            workers on this machine. ``local`` and None choose N by :func:`local_workers`.
        workers: number of workers of a cluster on this machine, instead of N.

    Yields:
        A client of the cluster.

    Raises:
        InputError: ``scheduler`` is none of these.
        ClusterError: the scheduler cannot be reached.
    """
    _silence_dask()
    settings = {
        "distributed.comm.timeouts.connect": SCHEDULER_TIMEOUT,
        "distributed.scheduler.allowed-failures": 3,
        "distributed.admin.log-length": 1000,
    }
    with dask.config.set(settings):
        if scheduler is None or scheduler.partition(":")[0] == "local":
            with _local_cluster(workers or _number_of_workers(scheduler)) as client:
                yield client
            return
        address: dict[str, Any] = {"address": scheduler}
        if Path(scheduler).is_file():
            address = {"scheduler_file": scheduler}
        elif ":" not in scheduler:
            raise InputError(
                f"scheduler {scheduler!r}, expected an address such as tcp://HOST:8786, an "
                "existing scheduler file, or local:N"
            )
        try:
            client = Client(**address, timeout=SCHEDULER_TIMEOUT, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise ClusterError(f"no dask scheduler answers at {scheduler}") from error
        logger.debug("connected to %s with %d workers", scheduler, len(client.nthreads()))
        try:
            yield client
        finally:
            client.close(timeout=SCHEDULER_TIMEOUT)


def _number_of_workers(scheduler: str | None) -> int:
    """Return N of ``local:N``; without N, a number that suits the machine."""
    number = (scheduler or "local").partition(":")[2]
    if number and not (number.isdecimal() and int(number)):
        raise InputError(f"scheduler {scheduler!r}, expected local:N for N workers on this machine")
    return int(number) if number else local_workers()


@contextmanager
def _local_cluster(workers: int) -> Iterator[Client]:
    """Start a cluster of processes on this machine, and end it with the block."""
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        logger.debug("started %d workers on this machine", workers)
        yield client


def _silence_dask() -> None:
    """Silence dask's loggers: our errors say what went wrong."""
    # distributed sets the level of some loggers itself, such as the client's.
    for name in ("distributed", "distributed.client", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def dashboard(client: Client) -> str | None:
    """Return the address of the scheduler's dashboard; None without a dashboard or bokeh.

    Args:
        client: a client of the cluster.
    """
    if importlib.util.find_spec("bokeh") is None:
        return None
    services = client.scheduler_info().get("services", {})
    return str(client.dashboard_link) if "dashboard" in services else None


def processors_of_workers(client: Client) -> int:
    """Return the number of processor cores that each worker may use.

    On a cluster on this machine, the workers share its cores. On any other cluster, a worker uses
    the cores of one network call, :data:`THREADS`.

    Args:
        client: a client of the cluster.
    """
    if client.cluster is None:
        return THREADS
    return max(THREADS, cores() // max(1, len(client.nthreads())))


def precision_of_workers(client: Client, precision: Precision, device: str) -> Precision:
    """Find the precision that all workers compute in.

    All workers must use the same, so that a result does not depend on the worker that computed it.

    Args:
        client: a client of the cluster.
        precision: the precision that the caller chose. ``auto`` becomes the workers' precision,
            or fp32 if the workers differ.
        device: the device that the caller chose.

    Raises:
        ClusterError: the scheduler is lost.
    """
    if precision != "auto":
        return precision
    precisions = set(client.run(_resolve_auto, device).values())
    if not precisions:
        # There is no worker yet. A task waits for one, and makes an adaptive cluster start it.
        logger.debug("waiting for the first worker")
        future = client.submit(_resolve_auto, device, pure=False)
        try:
            precisions = {future.result()}
        except CancelledError as error:
            raise ClusterError(CONNECTION_LOST) from error
    logger.debug("the workers' precisions are %s", ", ".join(sorted(precisions)))
    return precisions.pop() if len(precisions) == 1 else "fp32"


def _resolve_auto(device: str) -> Precision:
    """Return the precision that ``auto`` chooses on this worker."""
    try:
        return resolve_precision("auto", resolve_device(device))
    except InputError:
        return "fp32"  # Without the device each scene fails, and its outcome says so.


def memory_of_worker(requested: int | None) -> int | None:
    """Return the bytes that this worker may use, below the limit at which dask would end it.

    Args:
        requested: bytes that the caller allows; None if the caller sets no limit.

    Returns:
        None if neither the caller nor dask sets a limit.
    """
    limit = getattr(get_worker().memory_manager, "memory_limit", None)
    if not limit:
        return requested
    usable = int(MEMORY_SHARE * limit)
    return usable if requested is None else min(requested, usable)


def device_of_worker(requested: str) -> str:
    """Return the device that this worker uses.

    On a machine with several GPUs, ``auto`` gives each worker one of them.

    Args:
        requested: the device that the caller chose.
    """
    name, count = get_worker().name, torch.cuda.device_count()
    if requested == "auto" and count > 1 and isinstance(name, int):
        return f"cuda:{name % count}"
    return requested


def as_completed(
    client: Client, function: Callable[[T], Any], pending: deque[T], tick: Callable[[], None]
) -> Iterator[tuple[T, Future[Any]]]:
    """Run a function over items on the cluster, and submit items only shortly before they run.

    Args:
        client: a client of the cluster.
        function: called on a worker with one item; both are sent to the worker.
        pending: the items. The caller may add more while this runs.
        tick: called several times a second.

    Yields:
        Items and their futures, in the order in which they finish.

    Raises:
        ClusterError: the scheduler is lost.
    """
    done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
    running: dict[Future[Any], T] = {}
    most_tasks, last_count = LEAST_TASKS, 0.0
    try:
        while pending or running:
            if time.monotonic() - last_count > 2:
                most_tasks = max(LEAST_TASKS, 2 * _threads(client))
                last_count = time.monotonic()
            while pending and len(running) < most_tasks:
                item = pending.popleft()
                future = client.submit(function, item, pure=False)
                running[future] = item
                future.add_done_callback(done.put)
            tick()
            try:
                future = done.get(timeout=0.2)
            except queue.Empty:
                continue
            if client.status != "running" or future.status in {"cancelled", "lost"}:
                raise ClusterError(CONNECTION_LOST)
            yield running.pop(future), future
    finally:
        if running and client.status == "running":
            logger.debug("cancelling %d tasks", len(running))
            client.cancel(list(running), force=True)


def _threads(client: Client) -> int:
    """Return the number of tasks that the cluster runs at once.

    Raises:
        ClusterError: the scheduler is lost.
    """
    if client.status != "running":
        raise ClusterError(CONNECTION_LOST)
    try:
        return sum(client.nthreads().values())
    except (OSError, TimeoutError) as error:
        raise ClusterError(CONNECTION_LOST) from error


def is_abandoned() -> bool:
    """Return whether no client waits any more for the task that this worker thread runs."""
    worker = get_worker()
    task = worker.state.tasks.get(worker.get_current_task())
    return task is None or task.state in {"cancelled", "released", "forgotten"}
