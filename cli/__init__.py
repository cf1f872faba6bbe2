"""The command line: a module for each command, imported when the command is called.

Each module that :data:`COMMANDS` lists defines a click command called ``command``. The group turns
an exception into one line and an exit status, so that no command has to.
"""

from __future__ import annotations

import importlib
import re

import click

from rs_superres._version import __version__

from . import logs, messages, process, sections

COMMANDS = {
    "upscale": ("upscale", "Super-resolve a raster by any factor."),
    "batch": ("batch", "Super-resolve many rasters, on one machine or a cluster."),
    "demo": ("demo", "Draw a sample scene, upscale it, and write a picture of both."),
    "info": ("info", "Inspect a raster: bands, values, and what upscale would do."),
    "verify": ("verify", "Audit an upscaled raster against its source."),
    "view": ("view", "Write a page to look at a result next to its source."),
    "models": ("models", "List models, show one, or import a checkpoint."),
    "eval": ("eval", "Compare models with bicubic interpolation, and write a report."),
    "train": ("train", "Train a model on your rasters, or fine-tune one to your sensor."),
}
"""Each command's module and summary. ``--help`` prints these without importing the modules."""

FIRST = ("upscale", "batch", "info", "verify", "view")
"""The commands that ``rs-sr`` alone shows."""

EXAMPLES = (
    "rs-sr upscale scene.tif --scale 3.5 -o out.tif",
    "rs-sr view out.tif scene.tif",
    "rs-sr info scene.tif",
)
"""Examples of the most usual commands; ``rs-sr`` alone shows the first one."""

HELP = (
    ("rs-sr --help", "All commands."),
    ("rs-sr upscale --help", "All options of upscale."),
)
"""Where ``rs-sr`` alone sends a reader who wants more."""

_ANYWHERE = re.compile(r"--debug|--verbose|-v+")


class Commands(sections.Group):
    """A group that imports a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """Return the commands' names, in the order of the help."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 (click's signature)
        cmd_name: str,
    ) -> click.Command | None:
        """Import and return a command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{COMMANDS[cmd_name][0]}", __package__)
        command: click.Command = module.command
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 (click's signature)
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the commands' summaries in sections, without importing the commands."""
        rows = {name: (name, text) for name, (_, text) in COMMANDS.items()}
        sections.write(formatter, rows, sections.COMMANDS.items())

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Accept ``--debug`` and ``-v`` after the command too: you add them to a failed line."""
        process.keep_command_line(ctx, args)
        if not args and not ctx.resilient_parsing:
            click.echo(_first_page(ctx))
            ctx.exit()
        end = args.index("--") if "--" in args else len(args)
        ours = [arg for arg in args[:end] if _ANYWHERE.fullmatch(arg)]
        rest = [arg for arg in args[:end] if not _ANYWHERE.fullmatch(arg)]
        return super().parse_args(ctx, [*ours, *rest, *args[end:]])

    def hint(self, ctx: click.Context, name: str) -> str:
        """Return what to do instead of calling a command that does not exist."""
        if "." in name or "/" in name or "\\" in name:
            return f" To upscale a raster: rs-sr upscale {name} --scale 2 -o out.tif"
        return super().hint(ctx, name)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; turn an exception into one line and an exit status."""
        process.skip_collection_at_exit()
        if ctx.params["quiet"]:
            ctx.default_map = {name: {"quiet": True} for name in COMMANDS}
        with (
            logs.shown(ctx.params["verbose"]),
            messages.failures_as_lines(
                ctx,
                "rs-sr",
                debug=ctx.params["debug"],
                hint=" (run with --debug for the traceback)",
            ),
        ):
            return super().invoke(ctx)


def _first_page(ctx: click.Context) -> str:
    """Return what ``rs-sr`` alone shows: the commands that matter most, and where the rest is."""
    formatter = ctx.make_formatter()
    formatter.write_text((ctx.command.help or "").partition("\n")[0])
    formatter.write_paragraph()
    formatter.write_dl([(f"  {name}", COMMANDS[name][1]) for name in FIRST])
    sections.write_lines(formatter, "Example", EXAMPLES[:1])
    with formatter.section("Help"):
        formatter.write_dl(HELP)
    return formatter.getvalue().rstrip()


@click.command(
    cls=Commands,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": sections.WIDTH,
        "auto_envvar_prefix": "RS_SR",
    },
    examples=EXAMPLES,
)
@click.version_option(__version__, prog_name="rs-sr")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@click.option(
    "-v",
    "--verbose",
    count=True,
    help="Log to stderr what happens; -vv adds the logs of GDAL, rasterio and dask.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
def main(**_: object) -> None:
    """Super-resolve satellite and aerial rasters at any real scale.

    rs-sr COMMAND --help shows the options of a command. -v and --debug work before and after it.
    """
