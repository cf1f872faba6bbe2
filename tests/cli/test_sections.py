"""The help of every command: options in sections, examples, and both flags of the help."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise

import click
import pytest
from click.testing import CliRunner

from tests.cli.calls import main

sections = importlib.import_module("rs_superres.cli.sections")


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield a group and all commands below it, each with the words that call it."""
    yield path, group
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name), command


ALL = list(commands(main))
every_command = pytest.mark.parametrize(
    ("path", "command"), ALL, ids=[" ".join(path) or "rs-sr" for path, _ in ALL]
)


def help_of(*path: str, width: int = 80, flag: str = "--help") -> str:
    result = CliRunner().invoke(main, [*path, flag], terminal_width=width)
    assert result.exit_code == 0
    return result.stdout


def flags(command: click.Command) -> list[str]:
    """Return the flags that the tables may call a command's options by."""
    params = command.get_params(click.Context(command, help_option_names=["-h", "--help"]))
    return [sections.longest_flag(param) for param in params if isinstance(param, click.Option)]


@every_command
def test_every_option_has_a_section(path: tuple[str, ...], command: click.Command) -> None:
    assert isinstance(command, sections.Command)
    table = [*command.sections.items(), *sections.GENERAL.items()]
    shown = dict(sections.grouped(flags(command), table))
    assert sections.OTHER not in shown, f"add {shown[sections.OTHER]} to cli/sections.py"
    page = help_of(*path)
    assert "\nOptions:" not in page
    for heading in shown:
        assert f"\n{heading}:\n" in page


def test_every_command_has_a_section() -> None:
    names = main.list_commands(click.Context(main))
    shown = dict(sections.grouped(names, sections.COMMANDS.items()))
    assert list(shown) == list(sections.COMMANDS)
    assert [name for group in shown.values() for name in group] == names
    assert "\nUpscale:\n  upscale  " in help_of()


def test_the_tables_list_nothing_that_is_gone() -> None:
    used = {flag for _, command in ALL for flag in flags(command)}
    assert {flag for listed in sections.GENERAL.values() for flag in listed.split()} <= used
    for path, command in ALL:
        assert isinstance(command, sections.Command)
        own = {flag for listed in command.sections.values() for flag in listed.split()}
        assert own <= set(flags(command)), path


def test_what_no_section_lists_is_shown_last() -> None:
    command = sections.Command(
        "new", params=[click.Option(["--new"], help="Is new."), click.Option(["--scale"])]
    )
    page = CliRunner().invoke(command, ["--help"]).stdout
    assert page.index("--scale") < page.index("\nOther:\n  --new ")


def test_the_first_section_that_lists_an_option_shows_it() -> None:
    table = [("Empty", "--b"), ("Own", "--a"), ("General", "--a --c")]
    assert list(sections.grouped(["--c", "--a"], table)) == [("Own", ["--a"]), ("General", ["--c"])]


def test_descriptions_begin_in_one_column() -> None:
    lines = help_of("train").splitlines()
    texts = ("A raster, or a folder", "Time limit", "auto uses bf16", "Show no progress")
    assert len({line.index(text) for text in texts for line in lines if text in line}) == 1
    # These flags are too long for the column, so their description is on the next line.
    [after] = [b for a, b in pairwise(lines) if a == "  --precision [auto|fp32|bf16]"]
    assert after.strip().startswith("auto uses bf16")


@every_command
def test_the_help_names_values_after_what_they_are(
    path: tuple[str, ...],
    command: click.Command,  # noqa: ARG001 (only its words are needed)
) -> None:
    assert not re.search(r"^  -.* (TEXT|INTEGER|FLOAT)\b", help_of(*path), re.MULTILINE)


@pytest.mark.parametrize("width", [80, 120])
@every_command
def test_the_help_fits_on_the_terminal(
    path: tuple[str, ...],
    command: click.Command,  # noqa: ARG001 (only its words are needed)
    width: int,
) -> None:
    assert max(map(len, help_of(*path, width=width).splitlines())) <= width


def test_a_wide_terminal_is_used() -> None:
    code = "from rs_superres.cli import main; main(['upscale', '-h'])"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "160"},
    )
    assert 90 < max(map(len, ran.stdout.splitlines())) <= sections.WIDTH


@every_command
def test_both_flags_show_the_help(
    path: tuple[str, ...],
    command: click.Command,  # noqa: ARG001 (only its words are needed)
) -> None:
    assert help_of(*path, flag="-h") == help_of(*path)


@every_command
def test_the_help_ends_with_examples(path: tuple[str, ...], command: click.Command) -> None:
    assert isinstance(command, sections.Command)
    assert 2 <= len(command.examples) <= 3
    lines = "".join(f"  {line}\n" for line in command.examples)
    page = help_of(*path, width=40)  # lines to copy are never wrapped
    assert page.endswith(f"\nExamples:\n{lines}")
    for line in command.examples:
        assert path == () or line.split()[1:][: len(path)] == list(path)
