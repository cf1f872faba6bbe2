"""Show progress on standard error: a line that is redrawn on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from . import messages

if TYPE_CHECKING:
    from rs_superres.engine import Progress

INTERVAL = 10.0
"""Seconds between plain lines."""

REDRAW = 0.2
"""Seconds between two drawings of a line on a terminal."""

BAR = 24
"""Characters of the bar on a terminal."""

MINUTE, HOUR, DAY = 60, 3600, 86400


@contextmanager
def shown(label: str, *, megapixels: float, quiet: bool) -> Iterator[Progress | None]:
    """Show progress while the block runs.

    Args:
        label: What is being made, usually a file's name.
        megapixels: The amount of work, output pixels.
        quiet: Show nothing.

    Yields:
        A callback that takes the number of finished cells and of all cells; None if quiet.
    """
    if quiet:
        yield None
        return
    with ProgressLine() as line:

        def progress(done: int, total: int) -> None:
            share = done / max(total, 1)
            line.show(f"{label} {100 * done // max(total, 1)} %", share, megapixels * share)

        yield progress


class ProgressLine:
    """Shows how much is done, at which rate, and how long the rest takes.

    What is done at the first call was done before, by an earlier run: it does not count for the
    rate.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet, self._terminal = quiet, sys.stderr.isatty()
        self._started = time.monotonic()
        self._shown = self._started - (REDRAW if self._terminal else 0)
        self._first: tuple[float, float] | None = None
        self._open = self._finished = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End a line that was being redrawn, so that what follows begins a new one."""
        if self._open:
            click.echo(err=True)
            self._open = False

    def show(self, text: str, share: float, megapixels: float) -> None:
        """Show the state, if it is time to.

        Args:
            text: How much is done, in words.
            share: The share of the work that is done, 0 to 1.
            megapixels: The output pixels that are done.
        """
        if self._first is None:
            self._first = share, megapixels
        now, finished = time.monotonic(), share >= 1
        interval = REDRAW if self._terminal else INTERVAL
        if self._quiet or self._finished or not (finished or now - self._shown >= interval):
            return
        self._shown, self._finished = now, finished
        first_share, first_megapixels = self._first
        new = (share - first_share) / (1 - first_share) if first_share < 1 else 0
        rate = pace(now - self._started, new, megapixels - first_megapixels)
        if self._terminal:
            line = (
                f"{messages.printable(text)}  [{'#' * int(BAR * share):-<{BAR}}]  {rate}".rstrip()
            )
            width = shutil.get_terminal_size().columns - 1
            click.echo(f"\r\x1b[K{line[:width]}", nl=finished, err=True)
            self._open = not finished
        else:
            messages.echo(f"{text}  {rate}".rstrip(), err=True)


def pace(elapsed: float, share: float, megapixels: float) -> str:
    """Return the rate and the remaining time in words; "" before there is a rate.

    Args:
        elapsed: Seconds since the work began.
        share: The share of the work that is done, 0 to 1.
        megapixels: The output pixels that are done.
    """
    if share <= 0 or megapixels <= 0:
        return ""
    rate = megapixels / max(elapsed, 1e-9)
    words = f"{rate:.2f} Mpx/s" if rate >= 0.1 else f"{rate:.2g} Mpx/s"
    remaining = elapsed * (1 - share) / share
    return words if share >= 1 else f"{words}, about {duration(remaining)} left"


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for unit, name in ((DAY, "days"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= 1.5 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
