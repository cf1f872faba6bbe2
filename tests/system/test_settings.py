"""A setting that several blocks override is restored when the last of them ends."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from rs_superres.system.settings import ScopedSetting


class Recorder:
    """A setting that records every read and write."""

    def __init__(self) -> None:
        self.value = 7
        self.calls: list[str | int] = []

    def read(self) -> int:
        self.calls.append("read")
        return self.value

    def write(self, value: int) -> None:
        self.calls.append(value)
        self.value = value


def test_overlapping_blocks_restore_the_original_value() -> None:
    """Blocks that end in the order in which they began, as on several threads."""
    recorder = Recorder()
    setting = ScopedSetting(recorder.read, recorder.write)
    first, second = ExitStack(), ExitStack()
    first.enter_context(setting.held(1))
    second.enter_context(setting.held(2))
    assert recorder.value == 2
    first.close()
    assert recorder.value == 2
    second.close()
    assert recorder.calls == ["read", 1, "read", 2, 7]


def test_nested_blocks_restore_the_original_value_at_the_end() -> None:
    recorder = Recorder()
    setting = ScopedSetting(recorder.read, recorder.write)
    with setting.held(1):
        with setting.held(2):
            assert recorder.value == 2
        assert recorder.value == 2  # the latest value lasts until all blocks have ended
    assert recorder.value == 7


def test_a_failing_block_restores_the_original_value() -> None:
    recorder = Recorder()
    with pytest.raises(ZeroDivisionError), ScopedSetting(recorder.read, recorder.write).held(1):
        _ = 1 / 0
    assert recorder.value == 7
