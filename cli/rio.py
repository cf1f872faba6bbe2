"""``rio superres``: the command ``rs-sr upscale`` as a plugin of rasterio's command line."""

from __future__ import annotations

import click

from . import logs, messages, sections
from .upscale import command as upscale


class Plugin(sections.Command):
    """A command that reports its failures itself, because rasterio's group does not."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; turn an exception into one line and an exit status."""
        # `rio -v` sets up logging itself: only warnings are captured here.
        with logs.shown(0), messages.failures_as_lines(ctx, "rio superres"):
            return super().invoke(ctx)


command = Plugin(
    "superres",
    callback=upscale.callback,
    params=upscale.params,
    help=upscale.help,
    examples=[line.replace("rs-sr upscale", "rio superres") for line in upscale.examples],
    short_help="Super-resolve a raster by any factor.",
    # rasterio's own commands do not take -h, but users of rs-sr expect it.
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": sections.WIDTH,
    },
)
