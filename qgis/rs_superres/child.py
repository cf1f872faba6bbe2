"""Run rs-sr as a child process that can be cancelled."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

GRACE = 20.0
"""Seconds that rs-sr has to stop on its own. The next run then resumes from its finished cells."""

POLL = 0.1
"""Seconds between two looks at whether the user has cancelled."""

OnLine = Callable[[str], None]
"""Receives a line without its end."""


@dataclass(frozen=True)
class Finished:
    """A child process that has ended."""

    status: int
    """The exit status; negative if a signal ended it."""
    stdout: str
    """What it wrote to standard output."""
    stderr: tuple[str, ...]
    """The lines that it wrote to standard error."""
    cancelled: bool
    """Whether it ended because the user cancelled it."""


def run(
    words: Sequence[str],
    environ: Mapping[str, str],
    *,
    on_line: OnLine,
    cancelled: Callable[[], bool],
    grace: float = GRACE,
) -> Finished:
    """Run a program to its end.

    Args:
        words: The program and its arguments. No shell reads them.
        environ: The environment variables.
        on_line: Called in this thread with each line of standard error, as it comes.
        cancelled: Returns whether to stop. The program is first interrupted, then killed.
        grace: Seconds between the two.

    Raises:
        OSError: The program does not start.
    """
    with subprocess.Popen(  # noqa: S603 (a list of words, and the user's own program)
        list(words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environ),
        encoding="utf-8",
        errors="replace",
        creationflags=_creation_flags(),
    ) as process:
        lines: queue.Queue[tuple[str, str]] = queue.Queue()
        readers = [
            threading.Thread(target=_read, args=(stream, name, lines), daemon=True)
            for name, stream in (("stdout", process.stdout), ("stderr", process.stderr))
        ]
        for reader in readers:
            reader.start()
        stop = _Stop(process, grace)
        stdout: list[str] = []
        stderr: list[str] = []
        while any(reader.is_alive() for reader in readers) or not lines.empty():
            if cancelled():
                stop.go_on()
            try:
                name, line = lines.get(timeout=POLL)
            except queue.Empty:
                continue
            if name == "stdout":
                stdout.append(line)
            else:
                stderr.append(line.rstrip("\n"))
                on_line(line.rstrip("\n"))
        status = process.wait()
    # The process may have ended in the meantime.
    was_cancelled = stop.begun and status != 0
    return Finished(status, "".join(stdout), tuple(stderr), was_cancelled)


class _Stop:
    """Ends a process: asks it to, and kills it if it has not ended after the grace time."""

    def __init__(self, process: subprocess.Popen[str], grace: float) -> None:
        self._process, self._grace = process, grace
        self._asked = float("inf")
        self._killed = False

    @property
    def begun(self) -> bool:
        """Whether the process was asked to end."""
        return self._asked < float("inf")

    def go_on(self) -> None:
        """Take the next step, if it is time for it."""
        if not self.begun:
            self._asked = time.monotonic()
            interrupt(self._process)
        elif not self._killed and time.monotonic() - self._asked > self._grace:
            self._killed = True
            kill(self._process)


def interrupt(process: subprocess.Popen[str]) -> None:
    """Ask a process to end, as Ctrl-C does."""
    try:
        if sys.platform == "win32":
            process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            process.send_signal(signal.SIGINT)
    except OSError:  # on Windows, a process without a console cannot send it
        kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    """End a process at once; on Windows, its children too."""
    if sys.platform == "win32":
        subprocess.run(  # noqa: S603 (a number, and a program of the system)
            ["taskkill", "/T", "/F", "/PID", str(process.pid)],  # noqa: S607 (as above)
            creationflags=_creation_flags(),
            capture_output=True,
            check=False,
        )
    process.kill()


def _creation_flags() -> int:
    """Return the flags for a child without a console window, which Windows opens otherwise."""
    if sys.platform == "win32":
        return subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    return 0


def _read(stream: IO[str], name: str, lines: queue.Queue[tuple[str, str]]) -> None:
    """Pass on the lines of a stream until it ends."""
    for line in stream:
        lines.put((name, line))
