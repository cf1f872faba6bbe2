"""Show the log of the library, and of the libraries under it, on standard error."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from . import messages

WARNINGS = "py.warnings"
"""The logger that Python sends captured warnings to."""

LEVELS: tuple[dict[str, int], ...] = (
    {},
    {"rs_superres": logging.DEBUG, WARNINGS: logging.WARNING},
    {"rasterio": logging.DEBUG, "dask": logging.DEBUG, "distributed": logging.INFO},
)
"""The loggers that each further ``-v`` shows, and from which level on."""

_PLACE = re.compile(r"^.*?:\d+: (?=\w+: )")


@contextmanager
def shown(verbosity: int) -> Iterator[None]:
    """Show logs on stderr while the block runs, one line a record.

    Warnings of Python libraries are captured, so that they do not reach stderr with file paths.
    They are shown from ``-v`` on.

    Args:
        verbosity: 0 shows nothing, 1 (``-v``) our own log and captured warnings, 2 (``-vv``) also
            the logs of rasterio, GDAL and dask.
    """
    names = {WARNINGS, "rs_superres", *_levels(verbosity)}
    loggers = [logging.getLogger(name) for name in sorted(names)]
    before = [(log, log.level, log.propagate, log.handlers[:]) for log in loggers]
    logging.captureWarnings(capture=True)
    logging.getLogger(WARNINGS).propagate = False
    apply(verbosity, _Lines() if verbosity else logging.NullHandler())
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        for log, level, propagate, handlers in before:
            log.setLevel(level)
            log.propagate, log.handlers = propagate, handlers


def apply(verbosity: int, handler: logging.Handler | None = None) -> None:
    """Set the levels and the handler of the loggers that are shown.

    Call it again after dask's start, which sets the levels and handlers of its own loggers.

    Args:
        verbosity: The number of ``-v``.
        handler: What receives the records; by default the handler that a call before this has set.
    """
    ours = logging.getLogger("rs_superres")
    handler = handler or next((h for h in ours.handlers if isinstance(h, _Lines)), None)
    if handler is None:
        return
    for name, level in _levels(verbosity).items():
        logging.getLogger(name).setLevel(level)
    for name in {WARNINGS, "rs_superres", *_levels(verbosity)}:
        logging.getLogger(name).handlers = [handler]


def _levels(verbosity: int) -> dict[str, int]:
    """Merge the levels of all loggers that are shown."""
    return {name: level for part in LEVELS[: verbosity + 1] for name, level in part.items()}


class _Lines(logging.Handler):
    """Writes a record as one line: seconds since the start, the logger's name, the message."""

    def __init__(self) -> None:
        super().__init__()
        self._started = time.time()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            click.echo(self._line(record), err=True)
        except Exception:  # noqa: BLE001 (as every handler of the standard library does)
            self.handleError(record)

    def _line(self, record: logging.LogRecord) -> str:
        """Return a record's line."""
        # A progress line may be open on a terminal: go to its start and clear it.
        start = "\r\x1b[K" if sys.stderr.isatty() else ""
        text = record.getMessage()
        if record.name == WARNINGS:
            text = _PLACE.sub("", text.partition("\n")[0])
        if record.exc_info and record.exc_info[1] is not None:
            text += f" ({type(record.exc_info[1]).__name__}: {record.exc_info[1]})"
        text = messages.printable(" ".join(text.split()))
        return f"{start}{record.created - self._started:8.2f} s  {record.name}: {text}"
