"""Clusters: one of this machine's own processes, or one that is there; tasks on them."""

from __future__ import annotations

import importlib.util
import logging
import queue
import time
from collections import deque
from collections.abc import Callable, Iterator
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

T = TypeVar("T")

WORKER_MEMORY = 2 * 10**9
"""Bytes that a worker of the local cluster is reckoned to need on a CPU."""

SHARE = 0.9
"""Of a worker's memory that is used: dask ends a worker at 0.95 of it."""

PATIENCE = 10
"""Seconds: how long a scheduler is waited for."""

AHEAD = 8
"""Tasks that are handed out at least, so that no worker waits and an adaptive cluster grows."""


def local_workers() -> int:
    """As many workers as this machine bears: one a GPU, else by cores and memory."""
    gpus = torch.cuda.device_count()
    return gpus or max(1, min(cores() // THREADS, memory() // WORKER_MEMORY))


@contextmanager
def connected(scheduler: str | None, workers: int | None = None) -> Iterator[Client]:
    """A client of a cluster; one of this machine's own is started and ended with the block.

    Args:
        scheduler: its address, the file that tells it, or ``local:N``; ``local`` where None.
        workers: of a cluster on this machine.

    Raises:
        InputError: no such thing as a scheduler is named.
        ClusterError: it cannot be reached.
    """
    _quieten()
    settings = {
        "distributed.comm.timeouts.connect": PATIENCE,
        "distributed.scheduler.allowed-failures": 3,
        "distributed.admin.log-length": 1000,
    }
    with dask.config.set(settings):
        if scheduler is None or scheduler.partition(":")[0] == "local":
            with _local(workers or _count(scheduler)) as client:
                yield client
            return
        where: dict[str, Any] = {"address": scheduler}
        if Path(scheduler).is_file():
            where = {"scheduler_file": scheduler}
        elif ":" not in scheduler:
            raise InputError(
                f"scheduler {scheduler!r}, expected an address as tcp://HOST:8786, an existing "
                "scheduler file, or local:N"
            )
        try:
            client = Client(**where, timeout=PATIENCE, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise ClusterError(f"no dask scheduler answers at {scheduler}") from error
        try:
            yield client
        finally:
            client.close(timeout=PATIENCE)


def _count(scheduler: str | None) -> int:
    """How many workers ``local:N`` asks for."""
    number = (scheduler or "local").partition(":")[2]
    if number and not (number.isdecimal() and int(number)):
        raise InputError(f"scheduler {scheduler!r}, expected local:N, N workers of this machine")
    return int(number) if number else local_workers()


@contextmanager
def _local(workers: int) -> Iterator[Client]:
    """A cluster of processes on this machine."""
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
        yield client


def _quieten() -> None:
    """Keep dask's own words away: what goes wrong is told as an error."""
    # distributed gives some of its loggers, the client's among them, a level of their own.
    for name in ("distributed", "distributed.client", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def dashboard(client: Client) -> str | None:
    """The address of the scheduler's dashboard; None where it has none, or none is installed."""
    if importlib.util.find_spec("bokeh") is None:
        return None
    services = client.scheduler_info().get("services", {})
    return str(client.dashboard_link) if "dashboard" in services else None


def processors_of_workers(client: Client) -> int:
    """How many processors each worker may use: its share of this machine, elsewhere one call's."""
    if client.cluster is None:
        return THREADS
    return max(THREADS, cores() // max(1, len(client.nthreads())))


def precision_of_workers(client: Client, asked: Precision, device: str) -> Precision:
    """What all workers are to compute in: where ``auto`` is not the same for all of them, fp32.

    One for all, since a result shall not depend on the worker that made it.
    """
    if asked != "auto":
        return asked
    found = set(client.run(_own_precision, device).values())
    return found.pop() if len(found) == 1 else "fp32"


def _own_precision(device: str) -> Precision:
    """What ``auto`` stands for on a worker; that a device is not there each scene will tell."""
    try:
        return resolve_precision("auto", resolve_device(device))
    except InputError:
        return "fp32"


def memory_of_worker(asked: int | None) -> int | None:
    """What a worker may take of memory: what was asked for, and its own limit leaves it.

    dask ends a worker that comes near its limit.
    """
    limit = getattr(get_worker().memory_manager, "memory_limit", None)
    granted = [] if asked is None else [asked]
    return min([*granted, int(SHARE * limit)]) if limit else asked


def device_of_worker(asked: str) -> str:
    """The device that a worker takes: on a machine with several GPUs its own one."""
    name, count = get_worker().name, torch.cuda.device_count()
    if asked == "auto" and count > 1 and isinstance(name, int):
        return f"cuda:{name % count}"
    return asked


def completed(
    client: Client,
    function: Callable[[T], Any],
    pending: deque[T],
    tick: Callable[[], None],
) -> Iterator[tuple[T, Future[Any]]]:
    """Run a function over items on the cluster, handing out no more than it is about to need.

    Args:
        client: of the cluster.
        function: what is done; it and its items travel to the workers.
        pending: the items; what is added meanwhile is done too.
        tick: called several times a second.

    Yields:
        Items and their futures as they come.

    Raises:
        ClusterError: the scheduler is lost.
    """
    done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
    running: dict[Future[Any], T] = {}
    room, asked = AHEAD, 0.0
    try:
        while pending or running:
            if time.monotonic() - asked > 2:
                room, asked = max(AHEAD, 2 * _threads(client)), time.monotonic()
            while pending and len(running) < room:
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
                raise ClusterError(LOST)
            yield running.pop(future), future
    finally:
        if running and client.status == "running":
            client.cancel(list(running), force=True)


LOST = (
    "the dask scheduler was lost; what is finished stays, and the same command goes on from it "
    "(batch: with --skip-existing)"
)


def _threads(client: Client) -> int:
    """How many tasks the cluster runs at once.

    Raises:
        ClusterError: the scheduler is lost.
    """
    if client.status != "running":
        raise ClusterError(LOST)
    try:
        return sum(client.nthreads().values())
    except (OSError, TimeoutError) as error:
        raise ClusterError(LOST) from error


def given_up() -> bool:
    """Whether nobody waits any more for the task that this thread of a worker is at."""
    worker = get_worker()
    task = worker.state.tasks.get(worker.get_current_task())
    return task is None or task.state in {"cancelled", "released", "forgotten"}
