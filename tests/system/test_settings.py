"""A setting that several calls hold at once is as it was after the last of them."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from rs_superres.system.settings import ScopedSetting


class Told:
    """A setting, and every word that reached it."""

    def __init__(self) -> None:
        self.value = 7
        self.words: list[str | int] = []

    def ask(self) -> int:
        self.words.append("?")
        return self.value

    def put(self, value: int) -> None:
        self.words.append(value)
        self.value = value


def test_calls_that_overlap_leave_it_as_it_was() -> None:
    """Ended in the order in which they began, as threads may."""
    told = Told()
    setting = ScopedSetting(told.ask, told.put)
    first, second = ExitStack(), ExitStack()
    first.enter_context(setting.held(1))
    second.enter_context(setting.held(2))
    assert told.value == 2
    first.close()
    assert told.value == 2
    second.close()
    assert told.words == ["?", 1, "?", 2, 7]


def test_a_failure_inside_puts_it_back() -> None:
    told = Told()
    with pytest.raises(ZeroDivisionError), ScopedSetting(told.ask, told.put).held(1):
        _ = 1 / 0
    assert told.value == 7
