"""What is asked of a run: the options of ``upscale``, which ``batch`` takes too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from . import options

if TYPE_CHECKING:
    from rs_superres.engine import Options

F = TypeVar("F", bound=Callable[..., Any])

OPTIONS = (
    click.option("--scale", help="Magnification, any number above 1."),
    click.option(
        "--res",
        "resolution",
        type=options.Resolution(),
        help="Pixel size, X or X,Y, units of the CRS.",
    ),
    click.option("--like", type=options.FILE, help="Take this raster's grid."),
    click.option(
        "--bounds",
        nargs=4,
        type=float,
        metavar="L B R T",
        help="Only this part: left, bottom, right, top in the CRS (source pixels without one).",
    ),
    click.option(
        "--aoi",
        type=options.FILE,
        metavar="FILE.geojson",
        help="Only inside these polygons, any CRS.",
    ),
    options.model,
    options.steps,
    options.seed,
    click.option(
        "--samples",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Results that are drawn and averaged.",
    ),
    click.option(
        "--consistency/--no-consistency",
        default=True,
        show_default=True,
        help="Make the result, brought back to the source's grid, equal the source.",
    ),
    click.option(
        "-b",
        "--bidx",
        type=options.Bands(),
        metavar="N,N...",
        default=(),
        help="Bands that are written, in this order.",
    ),
    click.option(
        "--rgb",
        type=options.Bands(),
        metavar="R,G,B",
        default=(),
        help="Bands of SOURCE that are sharpened together.",
    ),
    click.option(
        "--nearest",
        type=options.Bands(),
        metavar="N,N...",
        default=(),
        help="Bands of SOURCE carried by nearest neighbour: quality, classes, bit masks.",
    ),
    click.option(
        "--classes",
        type=click.Choice(["expand", "nearest"]),
        help="Turn a palette into colours, or carry classes and 1-bit masks by nearest neighbour.",
    ),
    click.option("--nodata", type=float, metavar="V", help="The value that is nodata in SOURCE."),
    options.value_range,
    options.device,
    options.precision,
    click.option(
        "--memory",
        type=options.Bytes(),
        metavar="2GB",
        help="What a process may take; changes no pixel.  [default: half of the machine's]",
    ),
    click.option(
        "--format",
        "file_format",
        type=click.Choice(["cog", "gtiff"]),
        default="cog",
        show_default=True,
        help="Cloud-optimised or plain GeoTIFF.",
    ),
    click.option("--co", "creation", multiple=True, metavar="K=V", help="GDAL creation option."),
    options.overwrite,
    click.option("--no-resume", is_flag=True, help="Drop what an interrupted run left."),
    click.option("--scratch", type=options.FILE, help="Folder for unfinished work."),
)
"""In the order of the help."""


def upscaling(command: F) -> F:
    """Give a command all of :data:`OPTIONS`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def asked(chosen: dict[str, Any]) -> Options:
    """The options of a run from those of the command line, which it takes out of ``chosen``."""
    from rs_superres import api, zoo

    taken = {name: chosen.pop(name) for name in TAKEN}
    return api.options(
        {
            "model": chosen.pop("model") or zoo.DEFAULT,
            "format": chosen.pop("file_format"),
            "resume": not chosen.pop("no_resume"),
            **taken,
        }
    )


TAKEN = (
    *("scale", "resolution", "like", "bounds", "aoi", "steps", "seed", "value_range"),
    *("samples", "uncertainty", "preview", "consistency"),
    *("bidx", "rgb", "nearest", "classes", "nodata"),
    *("device", "precision", "creation", "overwrite", "scratch", "memory"),
)
"""Options that go by the same name in Python."""
