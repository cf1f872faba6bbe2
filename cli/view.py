"""``rs-sr view``: one HTML page to look at a result next to its source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import flags, messages, options, process, sections
from .progress import shown
from .verify import command as verify
from .verify import verdict

if TYPE_CHECKING:
    from rs_superres.view import View

ANY_PORT = 0
"""The port that stands for any that is free."""


@click.command(
    cls=sections.Command,
    sections=sections.VIEW,
    examples=[
        "rs-sr view out.tif scene.tif",
        "rs-sr view out.tif scene.tif --serve",
        "rs-sr view out.tif scene.tif --bounds 500000 5399000 500500 5399500",
    ],
)
@click.argument("out")
@options.sources
@click.option(
    "-o",
    "--page",
    type=options.FILE,
    metavar="PAGE.html",
    help="The page to write; by default OUT with the ending .html.",
)
@click.option(
    "--serve",
    is_flag=True,
    help="Serve the page on 127.0.0.1 until Ctrl-C. Without --page, no file is written.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=ANY_PORT,
    metavar="PORT",
    help="The port for --serve; by default one that is free.",
)
@click.option(
    "--uncertainty", metavar="STD.tif", help="Show this raster, on the grid of OUT, as a layer."
)
@click.option(
    "--bounds",
    type=float,
    nargs=4,
    multiple=True,
    metavar="L B R T",
    help="Show this part at full resolution, in units of the CRS or, without a CRS, in source "
    "pixels; repeatable. By default, parts of a large result are chosen by their detail.",
)
@options.bands_held("Bands of SOURCE that OUT holds, in the order of OUT.")
@click.option(
    "--rgb",
    type=options.BandsParam(),
    metavar="R,G,B",
    default=(),
    help="Bands of OUT that are shown as red, green and blue; found by default.",
)
@click.option(
    "--max-size",
    type=options.Bytes(),
    default="32MB",
    show_default=True,
    metavar="32MB",
    help="Largest size of the page.",
)
@click.option(
    "--verify/--no-verify",
    default=None,
    help="Audit OUT as rs-sr verify does. By default, results of up to 32 megapixels are audited.",
)
@options.overwrite
@options.as_json
@options.quiet
@process.own_stderr
def command(
    out: str,
    source: tuple[str, ...],
    sources: tuple[str, ...],
    page: Path | None,
    serve: bool,
    port: int,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    **chosen: Any,
) -> None:
    """Write a page to look at OUT, any upscaled raster, next to its SOURCE.

    The page is one file that needs no network: source, cubic interpolation and result on one map,
    with a slider between them; bands and stretch to choose; the tags of OUT, and its audit. Give
    several SOURCEs if their bands were stacked.
    """
    source = options.sources_given(source, sources)
    options.check_source(source)
    # Not at the top: these import rasterio and scipy, and --help must not wait for them.
    from rs_superres.system.files import write_file
    from rs_superres.view import page_path

    if port != ANY_PORT and not serve:
        raise click.UsageError("--port needs --serve")
    written = not serve or page is not None
    rasters = [*source, *filter(None, [chosen["uncertainty"]])]
    path = page_path(out, page, rasters, overwrite=overwrite) if written else None
    view = _build(out, source, quiet=quiet or as_json, **chosen)
    if path is not None:
        write_file(path, view.html)
    if as_json:
        click.echo(json.dumps(_facts(view, path), indent=2))
    else:
        _print(view, path)
    if serve:
        _serve(view.html, port)


def _build(out: str, source: tuple[str, ...], *, quiet: bool, **chosen: Any) -> View:
    """Build the page."""
    # Not at the top, as in the command.
    from rs_superres.errors import InputError
    from rs_superres.raster import read_grid
    from rs_superres.view import ViewOptions, view

    requested = ViewOptions(**chosen)
    try:
        requested.check()
    except InputError as error:
        raise click.UsageError(messages.in_flags(str(error))) from error
    shape = read_grid(out).shape
    megapixels = shape.height * shape.width / 1e6
    with shown(Path(out).name, megapixels=megapixels, quiet=quiet) as progress:
        return view(
            out,
            source if len(source) > 1 else source[0],
            requested,
            progress=progress,
            translate=lambda text: flags.translate(messages.in_flags(text), verify),
        )


def _facts(view: View, path: Path | None) -> dict[str, Any]:
    """Return what is on a page as plain values for JSON."""
    return {
        "page": None if path is None else str(path),
        "bytes": len(view.html.encode()),
        "parts": [
            {
                "name": part.name,
                "row": part.window.row,
                "column": part.window.column,
                "height": part.window.height,
                "width": part.window.width,
                "reduced": part.overview is not None,
            }
            for part in view.parts
        ],
        "notes": [messages.in_flags(note) for note in view.notes],
        "passed": None if view.audit is None else not view.audit.failed,
    }


def _print(view: View, path: Path | None) -> None:
    """Print the name and the size of a page, what it shows, and the audit's verdict."""
    if path is not None:
        size = len(view.html.encode()) / 1e6
        parts = ", ".join(part.name.lower() for part in view.parts)
        messages.echo(f"{path}: {size:.2f} MB; {parts}")
    if view.audit is not None:
        messages.echo(f"verify: {verdict(view.audit)}")
    for note in view.notes:
        messages.note(note)


def _serve(html: str, port: int) -> None:
    """Serve a page until Ctrl-C, which is the usual end."""
    from rs_superres.view.server import address_of, serving

    with serving(html, port) as server:
        messages.say(f"serving the page on {address_of(server)}, to this machine only; Ctrl-C ends")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            messages.say("stopped")
