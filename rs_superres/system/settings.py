"""Overriding a process-wide setting for the duration of a block, from several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

Value = TypeVar("Value")


class ScopedSetting(Generic[Value]):
    """A process-wide setting that several threads can override at once.

    Every block writes its value when it begins, so the latest one applies to all. When the last of
    the overlapping blocks ends, the value from before the first one is restored.

    Args:
        read: returns the current value. It is called before each write of an override.
        write: sets the value.
    """

    def __init__(self, read: Callable[[], Value], write: Callable[[Value], None]) -> None:
        self._read, self._write = read, write
        self._lock = threading.Lock()
        self._originals: list[Value] = []
        """The value from before the first of the active blocks, once per active block."""

    @contextmanager
    def held(self, value: Value) -> Iterator[None]:
        """Override the setting with ``value`` while the block runs."""
        with self._lock:
            current = self._read()
            self._write(value)
            self._originals.append(self._originals[0] if self._originals else current)
        try:
            yield
        finally:
            with self._lock:
                original = self._originals.pop()
                if not self._originals:
                    self._write(original)
