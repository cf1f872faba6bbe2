"""Connect to a dask cluster, on this machine or elsewhere, and run tasks on its workers."""

from __future__ import annotations

import importlib.util
import json
import logging
import queue
import ssl
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import dask
import torch

from rs_superres.errors import ClusterError, InputError
from rs_superres.system.devices import Precision, resolve_device, resolve_precision
from rs_superres.system.extras import needed_for
from rs_superres.system.memory import memory
from rs_superres.system.threads import THREADS, cores

with needed_for("a dask cluster"):
    from distributed import Client, Future, LocalCluster, Security, get_worker
with needed_for("a dask cluster"):
    import cryptography  # noqa: F401 (dask makes the local cluster's credentials with it)

logger = logging.getLogger(__name__)

T = TypeVar("T")

WORKER_MEMORY = 2 * 10**9
"""Bytes that a worker on this machine is assumed to need on a CPU."""

MEMORY_SHARE = 0.9
"""Share of a worker's memory that a run may use. dask ends a worker at a share of 0.95."""

SCHEDULER_TIMEOUT = 10
"""Seconds to wait for a scheduler."""

LOOPBACK = "127.0.0.1"
"""The address that a cluster on this machine listens on; other machines cannot reach it."""

LEAST_TASKS = 8
"""Fewest tasks to keep on a cluster: enough that no worker idles and an adaptive cluster grows."""

REFILLED = 0.75
"""Share of the most tasks at which new ones are submitted, together. Two for each thread are the
most, so none idles yet."""

CONNECTION_LOST = (
    "the connection to the dask scheduler was lost; finished cells and scenes are kept, run the "
    "same command again to resume (a batch with skip_existing=True)"
)
"""Error message for a scheduler that no longer answers."""


def local_workers() -> int:
    """Return the number of workers for this machine: one for each GPU, or by cores and memory."""
    gpus = torch.cuda.device_count()
    return gpus or max(1, min(cores() // THREADS, memory() // WORKER_MEMORY))


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """The PEM files with which this process shows a scheduler who it is, and checks the scheduler.

    Without any of them, dask's own configuration (``distributed.comm.tls``) holds.
    """

    ca: Path | None = None
    """The certificate of the authority that signed the cluster's certificates."""
    cert: Path | None = None
    """The certificate of this process."""
    key: Path | None = None
    """The key of ``cert``; None if the file of ``cert`` holds the key too."""

    @property
    def given(self) -> dict[str, Path]:
        """The files that are given, by their keyword."""
        files = {"tls_ca": self.ca, "tls_cert": self.cert, "tls_key": self.key}
        return {keyword: path for keyword, path in files.items() if path is not None}

    def security(self) -> Security:
        """Return dask's description of the credentials.

        Raises:
            InputError: a file is missing, or is no PEM file of the right kind.
        """
        if not self.given:
            return Security()
        if self.ca is None or self.cert is None:
            raise InputError(
                f"{next(iter(self.given))}= is not enough for TLS: give tls_ca= and tls_cert=, and "
                "tls_key= if the certificate's file does not hold the key"
            )
        for keyword, path in self.given.items():
            if not path.is_file():
                raise InputError(f"{keyword}={path} does not exist, expected a PEM file")
        key = None if self.key is None else str(self.key)
        return Security(
            tls_ca_file=str(self.ca),
            tls_client_cert=str(self.cert),
            tls_client_key=key,
            require_encryption=True,
        )


@contextmanager
def connected(
    scheduler: str | None, workers: int | None = None, tls: TlsFiles | None = None
) -> Iterator[Client]:
    """Connect to a cluster; one on this machine starts and ends with the block.

    A cluster on this machine listens on 127.0.0.1 alone, and accepts only processes that have its
    credentials, which exist only while it runs.

    Args:
        scheduler: the scheduler's address, the path of its scheduler file, or ``local:N`` for N
            workers on this machine. ``local`` and None choose N by :func:`local_workers`.
        workers: number of workers of a cluster on this machine, instead of N.
        tls: the credentials for a scheduler whose address begins with ``tls://``.

    Yields:
        A client of the cluster.

    Raises:
        InputError: ``scheduler`` is none of these, or the credentials cannot be used.
        ClusterError: the scheduler cannot be reached.
    """
    _silence_dask()
    tls = tls or TlsFiles()
    settings = {
        "distributed.comm.timeouts.connect": SCHEDULER_TIMEOUT,
        "distributed.scheduler.allowed-failures": 3,
        "distributed.admin.log-length": 1000,
    }
    with dask.config.set(settings):
        if scheduler is None or scheduler.partition(":")[0] == "local":
            if tls.given:
                raise InputError(
                    f"{next(iter(tls.given))}= is for a cluster elsewhere: give "
                    "scheduler=tls://HOST:8786, or leave it out"
                )
            with _local_cluster(workers or _number_of_workers(scheduler)) as client:
                yield client
            return
        client = _client(scheduler, tls)
        logger.debug("connected to %s with %d workers", scheduler, len(client.nthreads()))
        try:
            yield client
        finally:
            client.close(timeout=SCHEDULER_TIMEOUT)


def _client(scheduler: str, tls: TlsFiles) -> Client:
    """Connect to a scheduler elsewhere.

    Args:
        scheduler: its address, or the path of its scheduler file.
        tls: the credentials.
    """
    address = scheduler
    if Path(scheduler).is_file():
        address = _address_in(Path(scheduler))
    elif ":" not in scheduler:
        raise InputError(
            f"scheduler {scheduler!r}, expected an address such as tcp://HOST:8786, an "
            "existing scheduler file, or local:N"
        )
    security = tls.security()
    _check_credentials(scheduler, address, security)
    try:
        return Client(address, timeout=SCHEDULER_TIMEOUT, set_as_default=False, security=security)
    except (OSError, TimeoutError, ValueError) as error:
        reason = ", or it does not accept the credentials" if address.startswith("tls://") else ""
        raise ClusterError(f"no dask scheduler answers at {scheduler}{reason}") from error


def _address_in(path: Path) -> str:
    """Return the address that a scheduler file holds.

    Raises:
        InputError: the file is no scheduler file.
    """
    try:
        return str(json.loads(path.read_text("utf-8"))["address"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"scheduler={path} is not a scheduler file, expected one that dask scheduler "
            "--scheduler-file writes"
        ) from error


def _check_credentials(scheduler: str, address: str, security: Security) -> None:
    """Refuse TLS without credentials that can be used, and credentials without TLS.

    Raises:
        InputError: they do not fit together.
    """
    if not address.startswith("tls://"):
        if security.require_encryption:
            raise InputError(
                f"scheduler {scheduler!r} is not encrypted, but TLS is required; start it with "
                "TLS and give its tls://HOST:8786"
            )
        return
    files = security.get_tls_config_for_role("client")
    if not (files["ca_file"] and files["cert"]):
        raise InputError(
            f"scheduler {scheduler!r} needs credentials: give tls_ca=, tls_cert= and tls_key=, or "
            "set distributed.comm.tls in dask's configuration"
        )
    try:
        security.get_connection_args("client")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        names = [files[kind] for kind in ("ca_file", "cert", "key") if files[kind]]
        raise InputError(
            f"{', '.join(names)}: not a certificate authority, a certificate and its key in PEM: "
            f"{_reason(error)}"
        ) from error


def _reason(error: Exception) -> str:
    """Return why TLS files cannot be used, in a few words."""
    text = error.reason if isinstance(error, ssl.SSLError) else None
    return (text or str(error)).replace("_", " ").lower() or type(error).__name__


def is_open(client: Client) -> bool:
    """Return whether anyone who reaches the cluster's scheduler can run code on the cluster.

    A scheduler on this machine alone counts as closed: its user chose it.

    Args:
        client: a client of the cluster.
    """
    address = str(client.scheduler.address) if client.scheduler else ""
    protocol, _, host = address.partition("://")
    return protocol in {"tcp", "ws"} and not host.startswith(("127.", "localhost", "[::1]"))


def _number_of_workers(scheduler: str | None) -> int:
    """Return N of ``local:N``; without N, a number that suits the machine."""
    number = (scheduler or "local").partition(":")[2]
    if number and not (number.isdecimal() and int(number)):
        raise InputError(f"scheduler {scheduler!r}, expected local:N for N workers on this machine")
    return int(number) if number else local_workers()


@contextmanager
def _local_cluster(workers: int) -> Iterator[Client]:
    """Start a cluster of processes on this machine, and end it with the block.

    Its processes listen on 127.0.0.1, take pickles only from whoever has the credentials, and keep
    their files in a folder that only this user can read.
    """
    with (
        tempfile.TemporaryDirectory(prefix="rs-sr-") as folder,
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host=LOOPBACK,
            dashboard_address=f"{LOOPBACK}:0",
            security=True,
            local_directory=folder,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Generic[T]):
    """What became of an item that a function was run over on the cluster."""

    item: T
    value: Any = None
    """What the function returned; None if it failed, or if its values are not fetched."""
    error: BaseException | None = None
    """Why it failed; None if it did not."""


def as_completed(
    client: Client,
    function: Callable[[T], Any],
    pending: deque[T],
    tick: Callable[[], None],
    *,
    fetch: bool = True,
) -> Iterator[Finished[T]]:
    """Run a function over items on the cluster, and submit items only shortly before they run.

    Args:
        client: a client of the cluster.
        function: called on a worker with one item; both are sent to the worker.
        pending: the items. The caller may add more while this runs.
        tick: called several times a second.
        fetch: whether to fetch what the function returns.

    Yields:
        What became of each item, in the order in which they finish.

    Raises:
        ClusterError: the scheduler is lost.
    """
    tasks = _Tasks(client, function, fetch=fetch)
    most_tasks, last_count = LEAST_TASKS, 0.0
    try:
        while pending or tasks.running:
            if time.monotonic() - last_count > 2:
                most_tasks = max(LEAST_TASKS, 2 * _threads(client))
                last_count = time.monotonic()
            if pending and len(tasks.running) <= REFILLED * most_tasks:
                room = most_tasks - len(tasks.running)
                tasks.submit([pending.popleft() for _ in range(min(len(pending), room))])
            tick()
            with suppress(queue.Empty):
                yield tasks.finished(timeout=0.2)
    finally:
        tasks.cancel()


class _Tasks(Generic[T]):
    """A function that a cluster runs over items.

    Values are fetched side by side: one that arrives late holds up neither the others nor the
    workers.
    """

    def __init__(self, client: Client, function: Callable[[T], Any], *, fetch: bool) -> None:
        self._client, self._function, self._fetch = client, function, fetch
        self._done: queue.SimpleQueue[tuple[Future[Any], Any, BaseException | None]]
        self._done = queue.SimpleQueue()
        self.running: dict[Future[Any], T] = {}
        """Items that are not finished, by their futures."""

    def submit(self, items: Sequence[T]) -> None:
        """Submit items together: each message takes the scheduler some milliseconds."""
        futures = self._client.map(self._function, items, pure=False)
        self.running.update(zip(futures, items, strict=True))
        for future in futures:
            future.add_done_callback(self._finish)

    def _finish(self, future: Future[Any]) -> None:
        """Note that a future is done, when its value is here. Runs in a thread of the client."""
        loop = self._client.loop
        # A value is lost if its worker dies before it is fetched; dask then computes it again.
        if future.status in {"finished", "lost"} and self._fetch and loop is not None:
            loop.add_callback(self._receive, future)
        else:
            self._done.put((future, None, None))

    async def _receive(self, future: Future[Any]) -> None:
        """Fetch the value of a future. Runs in the loop of the client, many at once."""
        value, error = None, None
        try:
            value = await self._client.gather(future, asynchronous=True)
        except Exception as reason:  # noqa: BLE001 (the caller decides)
            error = reason
        self._done.put((future, value, error))

    def finished(self, timeout: float) -> Finished[T]:
        """Wait for the next item that has finished.

        Args:
            timeout: seconds to wait.

        Raises:
            queue.Empty: none has finished in that time.
            ClusterError: the scheduler is lost.
        """
        future, value, error = self._done.get(timeout=timeout)
        if self._client.status != "running" or future.status == "cancelled":
            raise ClusterError(CONNECTION_LOST)
        if future.status == "error":
            error = future.exception()
        return Finished(item=self.running.pop(future), value=value, error=error)

    def cancel(self) -> None:
        """Cancel what runs, unless the scheduler is lost."""
        if self.running and self._client.status == "running":
            logger.debug("cancelling %d tasks", len(self.running))
            self._client.cancel(list(self.running), force=True)


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


def log_event(topic: str, event: Any) -> None:
    """Send an event from the worker that runs this to the clients that listen.

    Args:
        topic: the topic that they listen to.
        event: any value that can be pickled.
    """
    get_worker().log_event(topic, event)


def is_abandoned() -> bool:
    """Return whether no client waits any more for the task that this worker thread runs."""
    worker = get_worker()
    task = worker.state.tasks.get(worker.get_current_task())
    return task is None or task.state in {"cancelled", "released", "forgotten"}
