"""Write lines to standard error: failures, warnings and notes, in the words of the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import click

from rs_superres.errors import SuperResError

from . import flags

INTERRUPTED = 130
"""The shell's exit status for a command that Ctrl-C ended: 128 + SIGINT."""

_PROGRAM = f"{__name__}.program"
_OPTIONS_OF = f"{__name__}.options_of"

_CONTROL = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f"  # all but the tab; ESC begins a terminal's commands
    "\u200e\u200f\u2028-\u202e\u2066-\u2069"  # ends of lines, and the direction of writing
    "\ud800-\udfff]"  # bytes of names that are not UTF-8
)
"""Characters that command a terminal, or change what a reader sees."""


def echo(*lines: str, err: bool = False) -> None:
    """Print lines. Control characters, which names and texts of files may hold, are escaped.

    Args:
        lines: Lines of text; a line break within one is shown as an escape sequence.
        err: Print to standard error.
    """
    for line in lines:
        click.echo(printable(line), err=err)


def printable(text: str) -> str:
    """Replace control characters by Python's escape sequences."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


@contextmanager
def failures_as_lines(
    ctx: click.Context, program: str, *, debug: bool = False, hint: str = ""
) -> Iterator[None]:
    """Turn an exception into one line on stderr and an exit status.

    Args:
        ctx: The context of the command, or of its group.
        program: The name that every line begins with.
        debug: Let exceptions through, for the traceback.
        hint: Text to add to an unexpected exception, one that is not a ``SuperResError``.

    Raises:
        click.exceptions.Exit: The block failed: status 1, or 130 after Ctrl-C.
    """
    ctx.meta[_PROGRAM] = program
    try:
        yield
    except KeyboardInterrupt as error:
        _write(f"{program}: interrupted")
        raise click.exceptions.Exit(INTERRUPTED) from error
    except click.ClickException as error:
        # It may hold names that the shell expanded.
        error.message = printable(error.message)  # type: ignore[misc]  # click never sets it again
        raise
    # click itself turns these into exit statuses. A closed pipe (`| head`) is one of them.
    except (click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except Exception as error:
        if debug:
            raise
        if isinstance(error, SuperResError):
            _write(f"{program}: error: {in_flags(str(error), ctx)}")
        else:
            _write(f"{program}: error: {type(error).__name__}: {error}{hint}")
        raise click.exceptions.Exit(1) from error


def warn(text: str) -> None:
    """Write a warning of the library."""
    say(f"warning: {text}")


def note(text: str) -> None:
    """Write a note of the library."""
    say(f"note: {text}")


def say(text: str) -> None:
    """Write a line that begins with the program's name."""
    ctx = click.get_current_context()
    _write(f"{ctx.meta.get(_PROGRAM, 'rs-sr')}: {in_flags(text, ctx)}")


def in_flags(text: str, ctx: click.Context | None = None) -> str:
    """Replace the library's keywords in a text by the flags of the command that runs.

    Args:
        text: A message of the library.
        ctx: The context of the command or of its group; the current one by default.
    """
    ctx = ctx or click.get_current_context()
    return flags.translate(text, ctx.meta.get(_OPTIONS_OF) or _running(ctx))


def speak_of(command: click.Command) -> None:
    """Let messages name the flags of another command than the one that runs.

    ``rs-sr info`` says what ``rs-sr upscale`` would do, and with which of its options.
    """
    click.get_current_context().meta[_OPTIONS_OF] = command


def _running(ctx: click.Context) -> click.Command:
    """Return the command that a group has called, or the context's own."""
    command = ctx.command
    if isinstance(command, click.Group) and ctx.invoked_subcommand is not None:
        return command.get_command(ctx, ctx.invoked_subcommand) or command
    return command


def _write(message: str) -> None:
    """Write one line, even if the message has several."""
    echo(" ".join(message.split()), err=True)
