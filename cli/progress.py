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


def pace(elapsed: float, share: float, megapixels: float, *, about: str = "") -> str:
    """Work done per second, and what remains.

    Args:
        elapsed: seconds since the work began.
        share: of it that is done, above 0.
        megapixels: that are done.
        about: said before the time that remains.
    """
    left = elapsed * (1 - share) / share
    return f"{megapixels / max(elapsed, 1e-9):.2f} Mpx/s, {about}{left:.0f} s left"


class _Pace:
    """The pace of one run; what its first word tells was done before and does not count."""

    def __init__(self, megapixels: float) -> None:
        self._megapixels, self._started = megapixels, time.monotonic()
        self._first: int | None = None

    def words(self, done: int, total: int) -> str:
        """What it is at some number of cells; nothing before the first."""
        if self._first is None:
            self._first = done
        share = (done - self._first) / max(total - self._first, 1)
        elapsed = time.monotonic() - self._started
        return pace(elapsed, share, self._megapixels * share) if share else ""


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
    running, shown_so_far = _Pace(megapixels), 0

    def progress(done: int, total: int) -> None:
        nonlocal shown_so_far
        place = 1000 * done // max(total, 1)
        bar.update(place - shown_so_far, running.words(done, total))
        shown_so_far = place

    with bar:
        yield progress


def _lines(label: str, megapixels: float) -> Progress:
    """A line now and then, and one at the end."""
    running, last = _Pace(megapixels), time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal last
        words, now = running.words(done, total), time.monotonic()
        if done < total and now - last < INTERVAL:
            return
        last = now
        share = 100 * done // max(total, 1)
        click.echo(f"{label} {share} % {words}".rstrip(), err=True)

    return progress
