"""Progress where there is no terminal: a line now and then, and one at the end."""

from __future__ import annotations

import importlib

import pytest

progress = importlib.import_module("rs_superres.cli.progress")


def test_pace() -> None:
    assert progress.pace(10, 0.25, 5) == "0.50 Mpx/s, 30 s left"
    assert progress.pace(10, 0.5, 5, about="about ") == "0.50 Mpx/s, about 10 s left"


def test_cells_of_an_earlier_run_do_not_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with progress.shown("out.tif", megapixels=8, quiet=False) as tell:
        tell(4, 8)
        now = 104.0
        tell(5, 8)  # too early for a word
        now = 112.0
        tell(7, 8)
        tell(8, 8)
    assert capsys.readouterr().err.splitlines() == [
        "out.tif 87 % 0.50 Mpx/s, 4 s left",
        "out.tif 100 % 0.67 Mpx/s, 0 s left",
    ]


def test_quiet_shows_nothing() -> None:
    with progress.shown("out.tif", megapixels=8, quiet=True) as tell:
        assert tell is None
