"""Progress: lines now and then without a terminal, one redrawn line with it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest

progress = importlib.import_module("rs_superres.cli.progress")

Clock = Callable[[float], None]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a function that sets the time, which is 100 s at first."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def set_to(seconds: float) -> None:
        now[0] = seconds

    return set_to


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((10, 0.25, 5), "0.50 Mpx/s, about 30 s left"),
        ((10, 0.001, 0.02), "0.002 Mpx/s, about 2.8 h left"),
        ((10, 1, 5), "0.50 Mpx/s"),
        ((10, 0, 0), ""),
    ],
)
def test_pace(args: tuple[float, float, float], words: str) -> None:
    assert progress.pace(*args) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (3.14, "3.1 s"),
        (75, "75 s"),
        (90, "1.5 min"),
        (7200, "2.0 h"),
        (3e5, "3.5 days"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert progress.duration(seconds) == words


def test_cells_of_an_earlier_run_do_not_count(
    set_clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.shown("out.tif", megapixels=8, quiet=False) as show:
        show(4, 8)
        set_clock(104)
        show(5, 8)  # too early for a line
        set_clock(112)
        show(7, 8)
        show(8, 8)
        show(8, 8)
    assert capsys.readouterr().err.splitlines() == [
        "out.tif 87 %  0.25 Mpx/s, about 4 s left",
        "out.tif 100 %  0.33 Mpx/s",
    ]


def test_a_terminal_shows_one_line_that_is_redrawn(
    set_clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    with progress.shown("out.tif", megapixels=8, quiet=False) as show:
        show(0, 4)
        set_clock(100.1)
        show(1, 4)  # too early
        set_clock(101)
        show(2, 4)
    assert capsys.readouterr().err.split("\r\x1b[K") == [
        "",
        "out.tif 0 %  [------------------------]",
        "out.tif 50 %  [############------------]  4.00 Mpx/s, about 1 s left\n",
    ]


def test_a_terminal_line_is_ended_on_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)

    def fail(show: Any) -> None:
        show(0, 4)
        raise ValueError

    with pytest.raises(ValueError), progress.shown("a", megapixels=8, quiet=False) as show:  # noqa: PT011
        fail(show)
    assert capsys.readouterr().err.endswith("]\n")


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.shown("out.tif", megapixels=8, quiet=True) as show:
        assert show is None
    with progress.ProgressLine(quiet=True) as line:
        line.show("8 of 8 scenes", 1, 8)
    assert capsys.readouterr().err == ""
