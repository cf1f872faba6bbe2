"""The command line: one command, one module, imported when it is called.

Each module named in :data:`COMMANDS` defines a click command called ``command``. A failure becomes
one line and an exit status here and nowhere else.
"""

from __future__ import annotations

import atexit
import gc
import importlib
from collections.abc import Iterator
from contextlib import contextmanager

import click

from rs_superres._version import __version__
from rs_superres.errors import SuperResError

COMMANDS = {
    "upscale": ("upscale", "Super-resolve a raster by any factor."),
    "batch": ("batch", "Super-resolve a folder of rasters, on one machine or a cluster."),
    "train": ("train", "Train a model on your scenes, or tune one to your sensor."),
    "eval": ("eval", "Measure models on images, scenes or pairs, and report."),
    "verify": ("verify", "Audit an upscaled raster against its source."),
    "info": ("info", "Say what the tool sees in a raster and would do with it."),
    "models": ("models", "List the models, show one, import a checkpoint."),
    "demo": ("demo", "Draw a sample scene, upscale it and picture before and after."),
}
"""Each command's module and what it does: the help is written from these, importing nothing."""

INTERRUPTED = 130
"""The shell's status for a command that Ctrl-C ended: 128 + SIGINT."""


class Commands(click.Group):
    """A group that imports the module of a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's)
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 (click's)
        cmd_name: str,
    ) -> click.Command | None:
        """The command of a name; None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{COMMANDS[cmd_name][0]}", __package__)
        command: click.Command = module.command
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 (click's)
        formatter: click.HelpFormatter,
    ) -> None:
        """The table of commands in the help, without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take ``--debug`` wherever it stands: one adds it to a line that has just failed."""
        end = args.index("--") if "--" in args else len(args)
        if "--debug" in args[:end]:
            args = ["--debug", *(a for a in args[:end] if a != "--debug"), *args[end:]]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; turn what it raises into one line and an exit status."""
        # Else an interpreter that ends looks through all of torch for garbage, for half a second.
        atexit.unregister(gc.freeze)  # once, however often a process invokes it
        atexit.register(gc.freeze)
        with telling(
            "rs-sr", debug=ctx.params["debug"], hint=" (run with --debug for the traceback)"
        ):
            return super().invoke(ctx)


@contextmanager
def telling(program: str, *, debug: bool = False, hint: str = "") -> Iterator[None]:
    """Turn what is raised into one line and an exit status.

    Args:
        program: what the line begins with.
        debug: let a failure through, with its traceback.
        hint: said of a failure that is not one of ours.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        _complain(program, "interrupted")
        raise click.exceptions.Exit(INTERRUPTED) from error
    # click's own, which it turns into statuses; a closed pipe (`| head`) is one of them.
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except Exception as error:
        if debug:
            raise
        if isinstance(error, SuperResError):
            _complain(program, f"error: {error}")
        else:
            _complain(program, f"error: {type(error).__name__}: {error}{hint}")
        raise click.exceptions.Exit(1) from error


def _complain(program: str, message: str) -> None:
    """One line on stderr, whatever line breaks the message has."""
    click.echo(f"{program}: {' '.join(message.split())}", err=True)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rs-sr")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
def main(debug: bool) -> None:
    """Super-resolve satellite and aerial rasters at any real scale, with NeurOp-Diff."""
