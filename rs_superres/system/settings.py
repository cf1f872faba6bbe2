"""A setting of the whole process that calls side by side hold for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

Value = TypeVar("Value")


class ScopedSetting(Generic[Value]):
    """A setting that is as it was when nobody holds it any more.

    Each call sets it, and the last of those that overlap puts back what stood before the first.

    Args:
        ask: what it is now; asked before every setting.
        put: sets it.
    """

    def __init__(self, ask: Callable[[], Value], put: Callable[[Value], None]) -> None:
        self._ask, self._put = ask, put
        self._lock = threading.Lock()
        self._before: list[Value] = []
        """For each call that goes on, what stood before the first of them."""

    @contextmanager
    def held(self, value: Value) -> Iterator[None]:
        """Hold a value while the block runs."""
        with self._lock:
            now = self._ask()
            self._put(value)
            self._before.append(self._before[0] if self._before else now)
        try:
            yield
        finally:
            with self._lock:
                before = self._before.pop()
                if not self._before:
                    self._put(before)
