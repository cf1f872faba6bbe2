"""Read what rs-sr prints: progress, messages, and the reason of a failure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .errors import PluginError

_PERCENT = re.compile(r".+ (\d{1,3}) %(?:  \S.*)?")
"""As in ``out.tif 33 %  0.05 Mpx/s, about 38 s left``."""

_SCENES = re.compile(r"(\d+) of (\d+) scenes, [\d.]+ Mpx(?:  \S.*)?")
"""As in ``3 of 12 scenes, 40.1 Mpx  0.5 Mpx/s``."""

_MESSAGE = re.compile(r"rs-sr: (?:(error|warning|note): )?(.+)")
_USAGE = re.compile(r"Error: (.+)")


@dataclass(frozen=True)
class Message:
    """A line that rs-sr wrote to standard error."""

    kind: str
    """``error``, ``warning``, or ``note``."""
    text: str
    """The line without the program's name."""


def percent(line: str) -> float | None:
    """Return how much is done, from 0 to 100; None if the line does not say it."""
    if line.startswith("rs-sr: "):
        return None
    match = _SCENES.fullmatch(line)
    if match:
        return 100 * int(match[1]) / max(int(match[2]), 1)
    match = _PERCENT.fullmatch(line)
    return min(float(match[1]), 100.0) if match else None


def message(line: str) -> Message:
    """Return a line of standard error as a message."""
    match = _MESSAGE.fullmatch(line)
    if match:
        return Message(match[1] or "note", match[2])
    match = _USAGE.fullmatch(line)
    return Message("error", match[1]) if match else Message("note", line)


def failure(lines: Sequence[str], status: int) -> str:
    """Return why rs-sr failed, in one line.

    Args:
        lines: The lines of standard error.
        status: The exit status.
    """
    messages = [message(line) for line in lines if line.strip() and percent(line) is None]
    errors = [each.text for each in messages if each.kind == "error"]
    if errors:
        return errors[-1]
    if status < 0:
        return f"rs-sr was ended by signal {-status}; the system does so if memory runs out"
    return messages[-1].text if messages else f"rs-sr ended with status {status}, without a reason"


def facts(text: str) -> dict[str, Any]:
    """Return what a command printed because of ``--json``.

    Raises:
        PluginError: It is not JSON.
    """
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise PluginError(
            "rs-sr printed no report: its version does not fit that of the plugin; update both"
        )
    return parsed
