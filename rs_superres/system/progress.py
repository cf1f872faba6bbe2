"""Progress of a long call: a callback of the caller, a bar of tqdm, or nothing."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from types import TracebackType
from typing import Any

from rs_superres.errors import InputError
from rs_superres.system.caller import caller

Progress = Callable[[int, int], None]
"""Called with the number of finished parts and the number of all parts."""

ProgressOption = Progress | bool | None
"""What a caller may ask for; see :func:`shown_progress`."""


def shown_progress(
    option: ProgressOption, label: str, *, unit: str, total: int, done: int = 0
) -> AbstractContextManager[Progress | None]:
    """Return a context that gives what to call after each part; None if nothing is shown.

    Args:
        option: a callback, which is given back; True for a bar, False for nothing. None is a bar
            if the line that called this library belongs to a Jupyter notebook, else nothing.
        label: what is being done, for the bar.
        unit: what a part is, for the bar.
        total: the number of all parts.
        done: how many of them an earlier run finished.

    Raises:
        InputError: the option is something else.
    """
    if option is None:
        option = _called_by_notebook()
    if option is True:
        return _Bar(label, unit=unit, total=total, done=done)
    if option is False:
        return nullcontext()
    if not callable(option):
        raise InputError(
            f"progress={option!r}, expected True, False, None or a function that takes the number "
            "of finished parts and of all parts"
        )
    return nullcontext(option)


def counted(progress: Progress | None, total: int, done: int = 0) -> Callable[[], None]:
    """Return a function to call after each part, in any thread, which reports how many are done.

    Args:
        progress: what it calls; None for nothing.
        total: the number of all parts.
        done: how many of them are done already.
    """
    numbers = count(done + 1)

    def finished() -> None:
        number = next(numbers)
        if progress is not None:
            progress(number, total)

    return finished


def _called_by_notebook() -> bool:
    """Return whether the line that called this library belongs to a notebook.

    Its process is then an IPython kernel, which runs cells in the module ``__main__``. A library
    that a cell calls, and that calls this one, has a name of its own.
    """
    ipython = sys.modules.get("IPython")
    if ipython is None or getattr(ipython.get_ipython(), "kernel", None) is None:
        return False
    frame, _ = caller(inspect.currentframe())
    return frame is not None and frame.f_globals.get("__name__") == "__main__"


class _Bar:
    """A bar of tqdm: a widget in a notebook that has ipywidgets, else text on standard error."""

    def __init__(self, label: str, *, unit: str, total: int, done: int) -> None:
        with warnings.catch_warnings():
            # A notebook without ipywidgets gets a bar of text, of which tqdm warns.
            warnings.simplefilter("ignore")
            # Not at the top: few callers want a bar.
            from tqdm.auto import tqdm  # noqa: PLC0415

        # Pixels come in millions: they are counted in kpx and Mpx.
        scaled = unit == "px"
        self._bar: Any = tqdm(desc=label, unit=unit, unit_scale=scaled, total=total, initial=done)

    def __enter__(self) -> Progress:
        return self._show

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing the bar, which stays as it is."""
        self._bar.close()

    def _show(self, done: int, total: int) -> None:
        """Draw how much is done, if it is time to."""
        self._bar.total = total
        self._bar.update(done - self._bar.n)
