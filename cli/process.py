"""Standard error for our own words: a failure is one line there, whatever libraries have to say."""

from __future__ import annotations

import functools
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from distributed import Client

P = ParamSpec("P")
T = TypeVar("T")

STDERR = 2
"""Its file descriptor, which libraries of C write to."""


def ours(command: Callable[P, T]) -> Callable[P, T]:
    """Let a command's stderr be its own, unless ``--debug`` asks for everything."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        if click.get_current_context().find_root().params.get("debug"):
            return command(*args, **kwargs)
        with kept_clean():
            return command(*args, **kwargs)

    return run


@contextmanager
def kept_clean() -> Iterator[None]:
    """Keep GDAL's words out of stderr while the block runs.

    libtiff inside GDAL writes some errors there whatever handler is set, and rasterio stumbles over
    messages of GDAL that are no UTF-8. Both fail as exceptions too, which are told.
    """
    hooks = sys.unraisablehook, sys.excepthook
    # Cython tells what its function cannot raise by both.
    sys.unraisablehook, sys.excepthook = _without_rasterio, _nothing
    try:
        with _descriptor_apart():
            yield
    finally:
        sys.unraisablehook, sys.excepthook = hooks


@contextmanager
def _descriptor_apart() -> Iterator[None]:
    """Python's stderr goes where it went, the descriptor that libraries write to goes nowhere."""
    before = sys.stderr
    if _descriptor(before) != STDERR:  # a test's, or none at all
        yield
        return
    before.flush()
    # The copy's buffer is Python's: by lines, as stderr's is.
    with (
        os.fdopen(os.dup(STDERR), "w", 1, before.encoding, before.errors) as apart,
        open(os.devnull, "w") as nowhere,  # noqa: PTH123 (a descriptor is all that is needed)
    ):
        os.dup2(nowhere.fileno(), STDERR)
        sys.stderr = apart
        try:
            yield
        finally:
            sys.stderr = before
            apart.flush()
            os.dup2(apart.fileno(), STDERR)


def _descriptor(stream: Any) -> int | None:
    """A stream's file descriptor, if it has one."""
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None


def _nothing(*_: Any) -> None:
    """What is raised inside the block is caught above it: this hook tells nothing else."""


def _without_rasterio(told: sys.UnraisableHookArgs) -> None:
    """Tell what could not be raised, but for rasterio's handler of GDAL's messages."""
    if "rasterio._env" not in str(told.object):
        sys.__unraisablehook__(told)


@contextmanager
def loading() -> Iterator[None]:
    """Look for no garbage meanwhile: what modules make stays, and is much to look through."""
    wanted = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if wanted:
            gc.enable()


@contextmanager
def cluster(scheduler: str | None, workers: int | None = None, *, quiet: bool) -> Iterator[Client]:
    """A client of a cluster while the block runs, its dashboard told.

    Args:
        scheduler: see ``--scheduler``; this machine's own cluster where None.
        workers: of this machine's own.
        quiet: do not tell.
    """
    from rs_superres.batch.cluster import connected, dashboard

    with _stopped_by_term(), connected(scheduler, workers) as client:
        address = None if quiet else dashboard(client)
        if address is not None:
            click.echo(f"dashboard: {address}", err=True)
        yield client


@contextmanager
def _stopped_by_term() -> Iterator[None]:
    """Turn SIGTERM into KeyboardInterrupt: what was started is ended too."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
