"""The cluster that a command computes on, while it does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from distributed import Client


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
