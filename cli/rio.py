"""``rio superres``: the command ``rs-sr upscale`` as a plugin of rasterio's command line."""

from __future__ import annotations

import click

from . import telling
from .upscale import command as upscale


class Plugin(click.Command):
    """A command that tells its failures itself, since the group that it is in does not."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; turn what it raises into one line and an exit status."""
        with telling("rio superres"):
            return super().invoke(ctx)


command = Plugin(
    "superres",
    callback=upscale.callback,
    params=upscale.params,
    help=(upscale.help or "").replace("rs-sr upscale", "rio superres"),
    short_help="Super-resolve a raster by any factor.",
    # rasterio's own commands know no -h either, but whoever comes from rs-sr does.
    context_settings={"help_option_names": ["-h", "--help"]},
)
