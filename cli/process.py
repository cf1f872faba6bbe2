"""What a command does to its own process: standard error, garbage collection, signals, a cluster.

Nothing here knows what the commands do; each is a context manager or a decorator around them.
"""

from __future__ import annotations

import atexit
import functools
import gc
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from . import logs, messages

if TYPE_CHECKING:
    from distributed import Client

P = ParamSpec("P")
T = TypeVar("T")

_ARGUMENTS = f"{__name__}.arguments"

STDERR = 2
"""The file descriptor of standard error, which C libraries write to."""


# Standard error


def own_stderr(command: Callable[P, T]) -> Callable[P, T]:
    """Keep what C libraries write out of a command's stderr, but for ``--debug`` and ``-vv``."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        if _option("debug") or verbosity() > 1:
            return command(*args, **kwargs)
        with c_libraries_silenced():
            return command(*args, **kwargs)

    return run


def verbosity() -> int:
    """Return how many ``-v`` the command line holds."""
    return int(_option("verbose") or 0)


def keep_command_line(ctx: click.Context, args: Sequence[str]) -> None:
    """Keep the words of the command line, for reports."""
    ctx.meta[_ARGUMENTS] = shlex.join(["rs-sr", *args])


def command_line() -> str:
    """Return the command line, quoted for a shell."""
    return str(click.get_current_context().meta.get(_ARGUMENTS, ""))


def _option(name: str) -> Any:
    """Return the value of an option of the outermost group; None without the option."""
    return click.get_current_context().find_root().params.get(name)


@contextmanager
def c_libraries_silenced() -> Iterator[None]:
    """Keep the messages of C libraries out of stderr while the block runs.

    libtiff inside GDAL writes some errors there although an error handler is set, and rasterio
    fails on messages of GDAL that are not UTF-8. Both failures raise an exception as well, which
    reaches the user.
    """
    hooks = sys.unraisablehook, sys.excepthook
    # Cython reports an exception that its function cannot raise through both hooks.
    sys.unraisablehook, sys.excepthook = _report_unless_rasterio, _ignore
    try:
        with _stderr_on_a_copy():
            yield
    finally:
        sys.unraisablehook, sys.excepthook = hooks


@contextmanager
def _stderr_on_a_copy() -> Iterator[None]:
    """Give ``sys.stderr`` a copy of its descriptor; what writes to the descriptor is lost."""
    before = sys.stderr
    if _descriptor(before) != STDERR:  # replaced by a test, or missing
        yield
        return
    before.flush()
    with (
        # Line-buffered, as stderr is.
        os.fdopen(os.dup(STDERR), "w", 1, before.encoding, before.errors) as copy,
        open(os.devnull, "w") as nowhere,  # noqa: PTH123 (only its descriptor is needed)
    ):
        os.dup2(nowhere.fileno(), STDERR)
        sys.stderr = copy
        try:
            yield
        finally:
            sys.stderr = before
            copy.flush()
            os.dup2(copy.fileno(), STDERR)


def _descriptor(stream: Any) -> int | None:
    """Return a stream's file descriptor; None if it has none."""
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None


def _ignore(*_: Any) -> None:
    """Report nothing: an exception that leaves the block is reported further up."""


def _report_unless_rasterio(unraisable: sys.UnraisableHookArgs) -> None:
    """Report an exception that could not be raised, unless rasterio's message handler has it."""
    if "rasterio._env" not in str(unraisable.object):
        sys.__unraisablehook__(unraisable)


# Garbage collection


@contextmanager
def heavy_imports() -> Iterator[None]:
    """Disable garbage collection while torch and rasterio are imported: it saves about 0.5 s."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def skip_collection_at_exit() -> None:
    """Skip the garbage collection at Python's end: with torch loaded it takes about 0.5 s."""
    atexit.unregister(gc.freeze)  # one registration, however many commands a process runs
    atexit.register(gc.freeze)


# A cluster


@contextmanager
def cluster(
    scheduler: str | None,
    workers: int | None = None,
    *,
    tls: Mapping[str, Path | None],
    quiet: bool,
) -> Iterator[Client]:
    """Connect to a dask cluster while the block runs, and print the address of its dashboard.

    Args:
        scheduler: The value of ``--scheduler``; None starts a cluster on this machine.
        workers: Number of processes of a cluster on this machine.
        tls: The values of ``--tls-ca``, ``--tls-cert`` and ``--tls-key``, by "ca" and so on.
        quiet: Do not print the address.

    Yields:
        A client of the cluster.
    """
    from rs_superres.batch.cluster import TlsFiles, connected, dashboard, is_open

    with _interrupted_by_sigterm(), connected(scheduler, workers, TlsFiles(**tls)) as client:
        logs.apply(verbosity())
        if is_open(client):
            messages.warn(
                f"whoever reaches {client.scheduler_info()['address']} can run code on the cluster "
                "and here; on a network that others use, choose tls://"
            )
        address = None if quiet else dashboard(client)
        if address is not None:
            messages.say(f"dashboard: {address}")
        yield client


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Turn SIGTERM into KeyboardInterrupt, so that the cluster's processes are ended too."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
