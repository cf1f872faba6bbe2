"""The line of the user's code that called this library, and warnings that point at it."""

from __future__ import annotations

import inspect
import warnings
from types import FrameType

_PACKAGE = __name__.partition(".")[0]


def warn_caller(message: str, category: type[Warning]) -> None:
    """Issue a warning for the first line up the call stack that is not in this package.

    The number of frames in between varies: arrays, datasets and the accessor take different ways.
    From Python 3.12 on, ``skip_file_prefixes`` of `warnings.warn` can replace this function.
    """
    _, frames = caller(inspect.currentframe())
    # Level 1 is this function, the first of the frames.
    warnings.warn(message, category, stacklevel=frames + 1)


def caller(frame: FrameType | None) -> tuple[FrameType | None, int]:
    """Return the first frame that is not in this package, and how many frames come before it.

    Args:
        frame: where to start to go up the call stack.
    """
    frames = 0
    while frame is not None and _is_ours(frame.f_globals.get("__name__", "")):
        frame, frames = frame.f_back, frames + 1
    return frame, frames


def _is_ours(module: str) -> bool:
    """Return whether a module belongs to this package."""
    return module == _PACKAGE or module.startswith(f"{_PACKAGE}.")
