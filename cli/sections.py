"""What ``--help`` shows under which heading: the sections of options and commands, and examples.

A section lists its options by their longest flags. Headings and options come in the order of these
tables, whatever the order of a command's decorators. A test fails if an option has no section.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

Table = Mapping[str, str]
"""Flags or names of commands by heading, separated by spaces."""

COMMANDS: Table = {
    "Upscale": "upscale batch demo",
    "Look and check": "info verify view",
    "Models": "models eval train",
}
"""The sections of the commands."""

GENERAL: Table = {
    "What to make": "--scene --out --scale --res --like --bounds --aoi --weights --norm-groups "
    "--overwrite",
    "Bands and values": "--bands --rgb --nearest --classes --nodata --value-range --limits",
    "Quality of the source": "--sensor --mtf --noise",
    "Model and detail": "--model --steps --texture --seed --samples --ensemble --consistency",
    "Output files": "--uncertainty --preview --stac --format --co",
    "Speed and memory": "--device --precision --memory --workers",
    "Cluster": "--scheduler --tls-ca --tls-cert --tls-key",
    "Interrupted runs": "--skip-existing --resume --scratch",
    "Reports and help": "--dry-run --lattice --report --json --quiet --verbose --debug --version "
    "--help",
}
"""The sections of the options. A command's own sections come before these."""

VERIFY: Table = {
    "What to check": "--source --bands --aoi --wald",
    "Only with --wald": "--scale --model --steps --texture --sensor --mtf --noise --rgb --nearest "
    "--classes --nodata --value-range --device --precision",
}

VIEW: Table = {
    "What to show": "--source --bands --rgb --bounds --uncertainty --verify",
    "The page": "--page --max-size --overwrite --serve --port",
}

EVAL: Table = {
    "What to evaluate": "--data --pairs --limit --model --scales",
    "Quality of the source": "--degradation --spoil --given",
    "How to upscale": "--steps --seeds --samples --ensemble --consistency --value-range",
    "The report": "--out --lpips --lpips-backbone --overwrite",
}

TRAIN: Table = {
    "What to train": "--data --val --model --config --out",
    "How long": "--max-steps --max-time --resume",
}

OTHER = "Other"
"""The heading of what no table lists."""

WIDTH = 100
"""Columns of the help on a wide terminal."""

LONGEST = 26
"""Columns of flags and values; a longer one has its description on the next line."""


class Command(click.Command):
    """A command whose help shows options in sections, and ends with examples.

    Args:
        args: as for :class:`click.Command`.
        sections: the sections that this command has before those of :data:`GENERAL`.
        examples: command lines.
        kwargs: as for :class:`click.Command`.
    """

    def __init__(
        self, *args: Any, sections: Table | None = None, examples: Sequence[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.sections: Table = sections or {}
        self.examples = examples

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in sections."""
        rows = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if isinstance(param, click.Option) and record is not None:
                rows[longest_flag(param)] = record
        write(formatter, rows, [*self.sections.items(), *GENERAL.items()])

    def format_epilog(
        self,
        ctx: click.Context,  # noqa: ARG002 (click's signature)
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the examples, which are never wrapped."""
        write_lines(formatter, "Examples", self.examples)


class Group(Command, click.Group):
    """A group whose help shows commands before options."""

    command_class = Command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command to call; say what to do if there is none of that name."""
        if not ctx.resilient_parsing and args[0] not in self.list_commands(ctx):
            ctx.fail(f"No such command {args[0]!r}.{self.hint(ctx, args[0])}")
        return super().resolve_command(ctx, args)

    def hint(self, ctx: click.Context, name: str) -> str:
        """Return a sentence that names the command that was probably meant; empty if unknown.

        click suggests commands only from version 8.4 on.
        """
        close = difflib.get_close_matches(name.lower(), self.list_commands(ctx), n=1)
        return f" Did you mean {close[0]!r}?" if close else ""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the options in sections."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)


def longest_flag(option: click.Option) -> str:
    """Return the flag that the tables call an option by: ``--bands`` rather than ``--bidx``."""
    return max(option.opts, key=len)


def grouped(
    names: Iterable[str], table: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, list[str]]]:
    """Yield the headings of a table, each with those of the given names that it lists.

    A name belongs to the first section that lists it. Empty sections are left out. The last one,
    :data:`OTHER`, has the names that no section lists.
    """
    left = dict.fromkeys(names)
    for heading, listed in [*table, (OTHER, " ".join(left))]:
        here = [name for name in listed.split() if name in left]
        for name in here:
            del left[name]
        if here:
            yield heading, here


def write(
    formatter: click.HelpFormatter,
    rows: Mapping[str, tuple[str, str]],
    table: Iterable[tuple[str, str]],
) -> None:
    """Write a two-column list for each section, with all second columns in line.

    Args:
        formatter: collects the help.
        rows: what to write in the two columns, by flag or name.
        table: headings, with the flags or names in each section.
    """
    short = [len(first) for first, _ in rows.values() if len(first) <= LONGEST]
    width = max(short, default=LONGEST)
    for heading, names in grouped(rows, table):
        with formatter.section(heading):
            shown = [rows[name] for name in names]
            formatter.write_dl([(f"{first:{width}}", text) for first, text in shown], width)


def write_lines(formatter: click.HelpFormatter, heading: str, lines: Sequence[str]) -> None:
    """Write a section of lines that are not wrapped."""
    if not lines:
        return
    with formatter.section(heading):
        for line in lines:
            formatter.write(f"{'':{formatter.current_indent}}{line}\n")
