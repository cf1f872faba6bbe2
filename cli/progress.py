"""Progress on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rs_superres.engine import Progress

INTERVAL = 10.0
"""Seconds between plain lines."""


@contextmanager
def shown(label: str, *, megapixels: float, quiet: bool) -> Iterator[Progress | None]:
    """Show progress while the block runs.

    Args:
        label: what is being done.
        megapixels: the whole work, output pixels.
        quiet: show nothing.

    Yields:
        A callback for the engine.
    """
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _bar(label, megapixels) as progress:
            yield progress
    else:
        yield _lines(label, megapixels)


def _rate(started: float, done: float, megapixels: float) -> str:
    """Work done per second, and what remains."""
    elapsed = time.monotonic() - started
    if done == 0:
        return ""
    left = elapsed * (1 - done) / done
    return f"{megapixels * done / max(elapsed, 1e-9):.2f} Mpx/s, {left:.0f} s left"


@contextmanager
def _bar(label: str, megapixels: float) -> Iterator[Progress]:
    """A bar that is redrawn in place."""
    bar = click.progressbar(
        length=1000,
        label=label,
        file=sys.stderr,
        show_eta=False,
        item_show_func=lambda item: str(item or ""),
    )
    started, shown_so_far = time.monotonic(), 0
    first: int | None = None

    def progress(done: int, total: int) -> None:
        nonlocal first, shown_so_far
        first = done if first is None else first
        place = 1000 * done // max(total, 1)
        fresh = (done - first) / max(total - first, 1)
        bar.update(place - shown_so_far, _rate(started, fresh, megapixels))
        shown_so_far = place

    with bar:
        yield progress


def _lines(label: str, megapixels: float) -> Progress:
    """A line now and then, and one at the end."""
    started = time.monotonic()
    last = started
    first: int | None = None

    def progress(done: int, total: int) -> None:
        nonlocal last, first
        first = done if first is None else first
        now = time.monotonic()
        if done < total and now - last < INTERVAL:
            return
        last = now
        fresh = (done - first) / max(total - first, 1)
        share = 100 * done // max(total, 1)
        click.echo(f"{label} {share} % {_rate(started, fresh, megapixels)}".rstrip(), err=True)

    return progress
