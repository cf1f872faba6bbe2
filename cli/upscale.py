"""``rs-sr upscale``: one raster in, the same raster out, finer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options, stderr
from .dry_run import rehearsed
from .progress import shown

if TYPE_CHECKING:
    from rs_superres.engine import Plan


@click.command()
@click.argument("source", nargs=-1, required=True)
@click.option("-o", "--out", type=options.FILE, required=True, help="The result.")
@click.option("--scale", help="Magnification, any number above 1.")
@click.option(
    "--res", "resolution", type=options.Resolution(), help="Pixel size, X or X,Y, units of the CRS."
)
@click.option("--like", type=options.FILE, help="Take this raster's grid.")
@click.option(
    "--bounds",
    nargs=4,
    type=float,
    metavar="L B R T",
    help="Only this part: left, bottom, right, top in the CRS (source pixels without one).",
)
@click.option(
    "--aoi", type=options.FILE, metavar="FILE.geojson", help="Only inside these polygons, any CRS."
)
@options.model
@options.steps
@options.seed
@click.option(
    "-b",
    "--bidx",
    type=options.Bands(),
    metavar="N,N...",
    default=(),
    help="Bands that are written, in this order.",
)
@click.option(
    "--rgb",
    type=options.Bands(),
    metavar="R,G,B",
    default=(),
    help="Bands of SOURCE that are sharpened together.",
)
@click.option(
    "--nearest",
    type=options.Bands(),
    metavar="N,N...",
    default=(),
    help="Bands of SOURCE carried by nearest neighbour: quality, classes, bit masks.",
)
@click.option(
    "--classes",
    type=click.Choice(["expand", "nearest"]),
    help="Turn a palette into colours, or carry classes and 1-bit masks by nearest neighbour.",
)
@click.option("--nodata", type=float, metavar="V", help="The value that is nodata in SOURCE.")
@click.option(
    "--value-range", type=options.Numbers(2), metavar="LO,HI", help="Values that map to -1 and 1."
)
@options.device
@options.precision
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["cog", "gtiff"]),
    default="cog",
    show_default=True,
    help="Cloud-optimised or plain GeoTIFF.",
)
@click.option("--co", "creation", multiple=True, metavar="K=V", help="GDAL creation option.")
@options.overwrite
@click.option("--no-resume", is_flag=True, help="Drop what an interrupted run left.")
@click.option("--scratch", type=options.FILE, help="Folder for unfinished work.")
@click.option("--preview", type=options.FILE, help="Write a picture of before and after (PNG).")
@click.option("--dry-run", is_flag=True, help="Say what would be done and what it takes.")
@click.option(
    "--lattice",
    type=options.FILE,
    metavar="FILE.geojson",
    help="With --dry-run: write the cells as polygons, to look at in a GIS.",
)
@options.as_json
@options.quiet
@stderr.ours
def command(
    source: tuple[str, ...],
    out: Path,
    model: str | None,
    steps: int | None,
    seed: int,
    bidx: tuple[int, ...],
    rgb: tuple[int, ...],
    nearest: tuple[int, ...],
    classes: Any,
    nodata: float | None,
    device: str,
    precision: Any,
    file_format: Any,
    overwrite: bool,
    no_resume: bool,
    preview: Path | None,
    dry_run: bool,
    lattice: Path | None,
    as_json: bool,
    quiet: bool,
    **rest: Any,
) -> None:
    """Super-resolve SOURCE by any factor, keeping its place, units and metadata.

    Several SOURCEs on one grid become the bands of one result.

    \b
    rs-sr upscale scene.tif --scale 3.5 -o out.tif
    rs-sr upscale scene.tif --res 2.5 -o out.tif
    """  # noqa: D301 - click's mark for lines that are not to be wrapped
    # Not at the top: the engine needs torch and rasterio, which --help must not wait for.
    from rs_superres import engine, roles, zoo

    if lattice is not None and not dry_run:
        raise click.UsageError("--lattice goes with --dry-run")
    asked = engine.Options(
        model=model or zoo.DEFAULT,
        steps=steps,
        seed=seed,
        bands=roles.Wish(bands=bidx, rgb=rgb, nearest=nearest, classes=classes, nodata=nodata),
        device=device,
        precision=precision,
        format=file_format,
        overwrite=overwrite,
        resume=not no_resume,
        **rest,
    )
    decided = engine.plan(source, out, asked)
    for warning in decided.warnings():
        click.echo(f"rs-sr: warning: {warning}", err=True)
    for note in decided.notes():
        click.echo(f"rs-sr: note: {note}", err=True)
    told = described(decided)
    if dry_run:
        told |= rehearsed(decided, lattice=lattice, overwrite=overwrite, as_json=as_json)
        _tell(told, as_json=as_json)
        return
    megapixels = decided.window.height * decided.window.width / 1e6
    with shown(out.name, megapixels=megapixels, quiet=quiet or as_json) as progress:
        report = engine.run(decided, progress=progress)
    if report.dropped:
        click.echo(f"rs-sr: started anew: {report.dropped}", err=True)
    if preview is not None:
        from rs_superres.preview import preview_of, save

        picture = preview_of(
            decided.sources, decided.roles.selection, out, decided.zoom, decided.window
        )
        save(picture, preview)
    told |= {
        "resumed_cells": report.resumed,
        "blank_cells": report.blank,
        "seconds": round(report.seconds, 2),
    }
    if as_json or not quiet:
        _tell(told, as_json=as_json)


def described(decided: Plan) -> dict[str, Any]:
    """What a run does, by name: plain values."""
    grid = decided.zoom.output.crop(decided.window)
    return {
        "source": decided.sources[0] if len(decided.sources) == 1 else list(decided.sources),
        "out": str(decided.out),
        "source_size": [
            decided.description.grid.shape.width,
            decided.description.grid.shape.height,
        ],
        "size": [grid.shape.width, grid.shape.height],
        "pixel_size": None if grid.transform is None else [grid.transform.a, grid.transform.e],
        "scale": decided.zoom.scale,
        "bands": len(decided.description.bands),
        "dtype": decided.description.dtype,
        "band_roles": str(decided.roles),
        "value_range": [[g.value_range.low, g.value_range.high] for g in decided.recipe.groups],
        "model": decided.model.name,
        "model_sha256": decided.model.checksum,
        "steps": decided.steps,
        "seed": decided.options.seed,
        "device": decided.device,
        "precision": decided.precision,
        "cells": len(decided.cells),
        "cells_outside_aoi": len(decided.recipe.lattice.cells(decided.window)) - len(decided.cells),
        "disk_bytes": decided.disk_bytes,
        "pages_not_read": list(decided.description.pages),
    }


def _tell(told: dict[str, Any], *, as_json: bool) -> None:
    """Print what a run did or would do."""
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    width = max(len(k) for k in told)
    for key, value in told.items():
        if value not in (None, []):
            click.echo(f"{key.replace('_', ' '):{width}}  {value}")
