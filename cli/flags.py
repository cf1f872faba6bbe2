"""Translate the keywords in the library's messages to the flags of a command."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

_KEYWORD = re.compile(
    r"""
    (?<![\w./\\=&?-])               # not inside a path, a URL or another KEY=VALUE
    (?P<name>[a-z]\w*)=
    (?P<value>
        "[^"]*" | '[^']*'           # classes='expand'
        | \([^()]*\) | \[[^\[\]]*\] # value_range=(0, 255)
        | [^\s,;:()\[\]"'`/\\]+(?:,[^\s,;:()\[\]"'`/\\]+)*  # steps=0, value_range=LO,HI
    )?
    (?=[\s,;:.)\]"'`]|$)
    """,
    re.VERBOSE,
)
_FILE_NAME = re.compile(r"\.[A-Za-z]\w*$")


def translate(message: str, command: click.Command) -> str:
    """Replace the keywords in a message by the flags of a command.

    ``overwrite=True`` becomes ``--overwrite``, ``resume=False`` becomes ``--no-resume``,
    ``steps=0`` becomes ``--steps 0`` and ``resolution=`` becomes ``--res``. All other text
    stays, even if it has an equals sign: only options of the command are replaced.

    Args:
        message: Text that may contain ``keyword=`` or ``keyword=value``.
        command: The command that runs. For a group, the options of all its commands are replaced.
    """
    options = _by_keyword(command)

    def flag(match: re.Match[str]) -> str:
        text, name, value = match[0], match["name"], match["value"] or ""
        # The pattern also matches a full stop that ends the sentence, which is not part of the
        # value.
        full_stops = value[len(value.rstrip(".")) :]
        bare = value.removesuffix(full_stops)
        if value and not bare:
            return text
        replacement = _flag(options, name, bare)
        return text if replacement is None else f"{replacement}{full_stops}"

    return _KEYWORD.sub(flag, message)


def _by_keyword(command: click.Command) -> dict[str, click.Option]:
    """Index options by parameter name and by flag name (``file_format`` and ``format``)."""
    options: dict[str, click.Option] = {}
    for option in _options(command):
        options.setdefault(_longest(option.opts).lstrip("-").replace("-", "_"), option)
        if option.name is not None:
            options.setdefault(option.name, option)
    return options


def _options(command: click.Command) -> Iterator[click.Option]:
    """Yield the options of a command; for a group, also those of its commands."""
    yield from (param for param in command.params if isinstance(param, click.Option))
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from _options(inner)


def _flag(options: dict[str, click.Option], name: str, value: str) -> str | None:
    """Return the flag for a keyword and its value, which may be ""; None if no option fits."""
    option, opposite = options.get(name), options.get(f"no_{name}")
    if value == "False":
        if option is not None and option.secondary_opts:
            return _longest(option.secondary_opts)
        return None if opposite is None else _longest(opposite.opts)
    if option is None:
        return None if opposite is None or value else _longest(opposite.opts)
    if not value or (value == "True" and option.is_flag):
        return _longest(option.opts)
    if _FILE_NAME.search(value) and not isinstance(option.type, click.Path):
        return None  # a file called steps=0.tif
    return f"{_longest(option.opts)} {_as_typed(value, option)}"


def _as_typed(value: str, option: click.Option) -> str:
    """Write a Python value as a flag takes it: (0, 255) as 0,255, or as 0 255 for several words."""
    if value[0] not in "([":
        return value.strip("\"'")
    items = [item.strip(" \"'") for item in value[1:-1].split(",")]
    return (" " if option.nargs > 1 else ",").join(item for item in items if item)


def _longest(flags: list[str]) -> str:
    """Return the longest of an option's flags: ``--bidx`` rather than ``-b``."""
    return max(flags, key=len)
