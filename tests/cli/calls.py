"""The command as a shell takes it from its entry point, and the JSON that it prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

import click
from click.testing import Result

[entry] = entry_points(group="console_scripts", name="rs-sr")
main: click.Group = entry.load()

Call = Callable[..., Result]


def facts_of(result: Result) -> dict[str, Any]:
    """Return the facts that ``--json`` printed."""
    assert result.exit_code == 0, result.stderr
    facts: dict[str, Any] = json.loads(result.stdout)
    return facts
