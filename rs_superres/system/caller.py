"""Warnings that point at the line of the user's code that called this library."""

from __future__ import annotations

import inspect
import warnings

_PACKAGE = __name__.partition(".")[0]


def warn_caller(message: str, category: type[Warning]) -> None:
    """Issue a warning for the first line up the call stack that is not in this package.

    The number of frames in between varies: arrays, datasets and the accessor take different ways.
    From Python 3.12 on, ``skip_file_prefixes`` of `warnings.warn` can replace this function.
    """
    frame, level = inspect.currentframe(), 1
    while frame is not None and _is_ours(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    # Level 1 is this function, the first frame of the loop.
    warnings.warn(message, category, stacklevel=level)


def _is_ours(module: str) -> bool:
    """Return whether a module belongs to this package."""
    return module == _PACKAGE or module.startswith(f"{_PACKAGE}.")
