"""The plugin runs a child process: its lines come at once, and it can be cancelled."""

from __future__ import annotations

import os
import sys
import time

import pytest

from tests.qgis.plugin import child

FINE = "import sys; print('ä'); print('b', file=sys.stderr); print('c'); sys.exit(3)"
PATIENT = """
import sys, time
try:
    print("started", file=sys.stderr, flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("stopped cleanly", file=sys.stderr, flush=True)
    sys.exit(130)
"""
STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("started", file=sys.stderr, flush=True)
time.sleep(60)
"""


def run(
    code: str, *, cancel_after: str = "", grace: float = 20
) -> tuple[child.Finished, list[str]]:
    """Run Python code as a child, and cancel it once it has written a line."""
    lines: list[str] = []
    done = child.run(
        [sys.executable, "-c", code],
        os.environ | {"PYTHONUTF8": "1"},
        on_line=lines.append,
        cancelled=lambda: bool(cancel_after) and cancel_after in lines,
        grace=grace,
    )
    return done, lines


def test_output_and_status_are_kept_apart() -> None:
    done, lines = run(FINE)
    assert done == child.Finished(3, "ä\nc\n", ("b",), cancelled=False)
    assert lines == ["b"]


def test_lines_come_while_the_child_runs() -> None:
    times: list[float] = []
    code = "import sys, time; print('a', file=sys.stderr, flush=True); time.sleep(1)"
    child.run(
        [sys.executable, "-c", code], os.environ,
        on_line=lambda _: times.append(time.monotonic()), cancelled=lambda: False,
    )  # fmt: skip
    assert time.monotonic() - times[0] > 0.8


def test_much_output_does_not_block_the_child() -> None:
    code = "import sys\nfor s in [sys.stdout, sys.stderr] * 9999: print('x' * 99, file=s)"
    done, lines = run(code)
    assert (len(done.stdout), len(lines)) == (9999 * 100, 9999)


def test_a_cancelled_child_is_interrupted() -> None:
    done, _ = run(PATIENT, cancel_after="started")
    assert done.cancelled
    assert done.status == 130
    assert done.stderr[-1] == "stopped cleanly"


def test_a_child_that_does_not_end_is_killed() -> None:
    started = time.monotonic()
    done, _ = run(STUBBORN, cancel_after="started", grace=0.5)
    assert done.cancelled
    assert done.status == -9
    assert time.monotonic() - started < 20


def test_a_child_that_had_ended_is_not_cancelled() -> None:
    code = "import signal, sys, time\nsignal.signal(2, lambda *_: sys.exit(0))\n"
    done, _ = run(f"{code}print('a', file=sys.stderr); time.sleep(60)", cancel_after="a")
    assert (done.status, done.cancelled) == (0, False)


def test_a_program_that_does_not_start_is_an_error() -> None:
    with pytest.raises(OSError, match="nowhere"):
        child.run(["./nowhere"], os.environ, on_line=print, cancelled=lambda: False)
