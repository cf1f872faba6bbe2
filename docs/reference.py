"""Write docs/cli.md from the ``--help`` of each command.

Run ``.venv/bin/python docs/reference.py`` from any folder. A test fails if the page is outdated.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import click

OUT = Path(__file__).parent / "cli.md"
WIDTH = 96
HEAD = """# Command line

This page is generated from the commands' `--help` by `docs/reference.py`. Every command exits with 0 if everything was done, with 1 after an error, which it prints in one line (`--debug` prints the traceback), and with 2 if it was called wrongly.

## Defaults from the environment

Each option can have its default in an environment variable: `RS_SR`, the command and the option, in capitals with underscores. The command line takes precedence. For a flag, use 1 or 0. Separate the values of an option that you may repeat by spaces, and paths by `:` (on Windows by `;`).

```text
export RS_SR_UPSCALE_DEVICE=cuda:1 RS_SR_UPSCALE_MEMORY=8GB
export RS_SR_TRAIN_DEVICE=cuda:1 RS_SR_EVAL_OVERWRITE=1
```

The variable has the name of the longest flag, except these: `RS_SR_UPSCALE_RESOLUTION` (`--res`), `RS_SR_UPSCALE_BIDX` (`--bands`) and `RS_SR_UPSCALE_CREATION` (`--co`), which `batch` has too, `RS_SR_VERIFY_BIDX` and `RS_SR_VIEW_BIDX` (`--bands`), and `RS_SR_TRAIN_START` and `RS_SR_EVAL_MODELS` (`-m`). `RS_SR_QUIET`, `RS_SR_VERBOSE` and `RS_SR_DEBUG` apply to all commands. `rio superres` does not read these variables.

## Completion in the shell

The shell completes commands, options, models, devices and other fixed values once you add this line to `~/.bashrc`:

```text
eval "$(_RS_SR_COMPLETE=bash_source rs-sr)"
```

For zsh, use `zsh_source` in `~/.zshrc`. For fish, run `_RS_SR_COMPLETE=fish_source rs-sr > ~/.config/fish/completions/rs-sr.fish`.
"""  # noqa: E501 (paragraphs of Markdown)


def contexts(command: click.Command, name: str, parent: click.Context) -> Iterator[click.Context]:
    """Yield the contexts of a command and, for a group, of all its subcommands."""
    context = click.Context(command, parent=parent, info_name=name)
    yield context
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            subcommand = command.get_command(context, child)
            if subcommand is not None:
                yield from contexts(subcommand, child, context)


def reference() -> str:
    """Return the page as Markdown."""
    [entry] = entry_points(group="console_scripts", name="rs-sr")
    main: click.Command = entry.load()
    top = click.Context(main, terminal_width=WIDTH, **main.context_settings)
    sections = [
        f"## {context.command_path.strip()}\n\n```text\n{context.get_help()}\n```\n"
        for context in contexts(main, "rs-sr", top)
    ]
    return "\n".join([HEAD, *sections])


if __name__ == "__main__":
    OUT.write_text(reference(), encoding="utf-8")
