"""Write docs/cli.md: what each command says of itself under ``--help``.

Run from anywhere: ``.venv/bin/python docs/reference.py``. A test fails while the page is stale.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import click

OUT = Path(__file__).parent / "cli.md"
WIDTH = 96
HEAD = """# Command line

Made from the commands' own `--help` by `docs/reference.py`. Every command exits with 0 only when all was done, with 1 for a failure told in one line (`--debug` for the traceback), with 2 for a wrong call.
"""  # noqa: E501 (a paragraph of Markdown)


def commands(command: click.Command, name: str, above: click.Context) -> Iterator[click.Context]:
    """The contexts of a command and of those below it, each within that of its group."""
    context = click.Context(command, parent=above, info_name=name)
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            inner = command.get_command(context, below)
            if inner is not None:
                yield from commands(inner, below, context)


def reference() -> str:
    """The page."""
    [entry] = entry_points(group="console_scripts", name="rs-sr")
    main: click.Command = entry.load()
    top = click.Context(main, terminal_width=WIDTH, **main.context_settings)
    parts = [
        f"## {context.command_path.strip()}\n\n```text\n{context.get_help()}\n```\n"
        for context in commands(main, "rs-sr", top)
    ]
    return "\n".join([HEAD, *parts])


if __name__ == "__main__":
    OUT.write_text(reference(), encoding="utf-8")
