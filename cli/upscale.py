"""``rs-sr upscale``: one raster in, the same raster out, finer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rs_superres.options import Options

from . import options, process
from .process import cluster, loading
from .progress import shown

if TYPE_CHECKING:
    from rs_superres.engine import Plan
    from rs_superres.engine.compute import Compute
if TYPE_CHECKING:
    from rs_superres.engine import Plan


@click.command()
@click.argument("source", nargs=-1, required=True)
@click.option("-o", "--out", type=options.FILE, required=True, help="The result.")
@options.upscaling
@options.scheduler
@options.run_option("uncertainty", type=options.FILE, metavar="STD.tif")
@options.run_option("preview", type=options.FILE, metavar="P.png")
@click.option("--dry-run", is_flag=True, help="Say what would be done and what it takes.")
@click.option(
    "--lattice",
    type=options.FILE,
    metavar="FILE.geojson",
    help="With --dry-run: write the cells as polygons, to look at in a GIS.",
)
@options.as_json
@options.quiet
@process.ours
def command(
    source: tuple[str, ...],
    out: Path,
    scheduler: str | None,
    dry_run: bool,
    lattice: Path | None,
    as_json: bool,
    quiet: bool,
    **chosen: Any,
) -> None:
    """Super-resolve SOURCE by any factor, keeping its place, units and metadata.

    Several SOURCEs on one grid become the bands of one result.

    \b
    rs-sr upscale scene.tif --scale 3.5 -o out.tif
    rs-sr upscale scene.tif --res 2.5 -o out.tif
    """  # noqa: D301 - click's mark for lines that are not to be wrapped
    # Not at the top: the engine needs torch and rasterio, which --help must not wait for.
    with loading():
        from rs_superres import engine

    if lattice is not None and not dry_run:
        raise click.UsageError("--lattice goes with --dry-run")
    wanted = Options(**chosen)
    if scheduler is not None:
        from rs_superres.batch.cells import everywhere

        source, out, wanted = everywhere(source, out, wanted)
    decided = engine.plan(source, out, wanted)
    for warning in decided.warnings():
        click.echo(f"rs-sr: warning: {warning}", err=True)
    for note in decided.notes():
        click.echo(f"rs-sr: note: {note}", err=True)
    told = described(decided)
    if dry_run:
        told |= rehearsed(decided, lattice=lattice, overwrite=wanted.overwrite, as_json=as_json)
    else:
        told |= _ran(decided, scheduler, quiet=quiet or as_json)
    if dry_run or as_json or not quiet:
        _tell(told, as_json=as_json)


def _ran(decided: Plan, scheduler: str | None, *, quiet: bool) -> dict[str, Any]:
    """Run what was planned; what came of it, by name: plain values."""
    from rs_superres import engine

    megapixels = decided.window.height * decided.window.width / 1e6
    with (
        _computing(scheduler, quiet=quiet) as compute,
        shown(decided.out.name, megapixels=megapixels, quiet=quiet) as progress,
    ):
        report = engine.run(decided, progress=progress, compute=compute)
    if report.dropped:
        click.echo(f"rs-sr: started anew: {report.dropped}", err=True)
    return {
        "consistency_residual": str(report.residual),
        "resumed_cells": report.resumed,
        "blank_cells": report.blank,
        "seconds": round(report.seconds, 2),
    }


@contextmanager
def _computing(scheduler: str | None, *, quiet: bool) -> Iterator[Compute]:
    """How cells are computed: in this process, or on a cluster."""
    from rs_superres.engine.compute import compute_here

    if scheduler is None:
        yield compute_here
        return
    from rs_superres.batch.cells import compute_on

    with cluster(scheduler, quiet=quiet) as client:
        yield compute_on(client)


def described(decided: Plan) -> dict[str, Any]:
    """What a run does, by name: plain values."""
    grid = decided.pixels.zoom.output.crop(decided.window)
    return {
        "source": decided.sources[0] if len(decided.sources) == 1 else list(decided.sources),
        "out": str(decided.out),
        "source_size": [
            decided.pixels.description.grid.shape.width,
            decided.pixels.description.grid.shape.height,
        ],
        "size": [grid.shape.width, grid.shape.height],
        "pixel_size": None if grid.transform is None else [grid.transform.a, grid.transform.e],
        "scale": decided.pixels.zoom.scale,
        "bands": len(decided.pixels.description.bands),
        "dtype": decided.pixels.description.dtype,
        "band_roles": str(decided.pixels.roles),
        "value_range": [[g.value_range.low, g.value_range.high] for g in decided.recipe.groups],
        "model": decided.pixels.model.name,
        "model_sha256": decided.pixels.model.checksum,
        "steps": decided.pixels.steps,
        "seed": decided.options.seed,
        "samples": decided.options.samples,
        "consistency": decided.options.consistency,
        "device": decided.pixels.device,
        "precision": decided.pixels.precision,
        "cells": len(decided.cells),
        "cells_outside_aoi": len(decided.recipe.lattice.cells(decided.window)) - len(decided.cells),
        "disk_bytes": decided.disk_bytes,
        "pages_not_read": list(decided.pixels.description.pages),
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


MINUTE, HOUR, DAY = 60, 3600, 86400


def rehearsed(
    decided: Plan, *, lattice: Path | None, overwrite: bool, as_json: bool
) -> dict[str, Any]:
    """Measure what a run takes, and write its lattice where that is asked for.

    Returns:
        Facts by name: numbers for machines, words for people.
    """
    from rs_superres.engine.forecast import forecast, write_lattice

    if lattice is not None and not write_lattice(decided, lattice, overwrite=overwrite):
        click.echo(
            f"rs-sr: {lattice} is in pixels of the output: the source has no place on a map",
            err=True,
        )
    found = forecast(decided)
    told: dict[str, Any] = {
        "cells_to_compute": found.cells_to_compute,
        "cells_to_compute_exact": found.exact,
        "estimated_seconds": round(found.seconds, 2),
        "cell_seconds": round(found.cell_seconds, 4),
        "cells_at_once": found.at_once,
        "estimated_memory_bytes": found.memory_bytes,
        "leftovers": str(decided.scratch) if decided.scratch.exists() else None,
        "leftover_cells": found.leftover_cells,
        "leftovers_resumed": found.resumes,
        "lattice": None if lattice is None else str(lattice),
    }
    return told if as_json else _in_words(told)


def _in_words(told: dict[str, Any]) -> dict[str, Any]:
    """The same for people."""
    count, sampled = told["cells_to_compute"], not told["cells_to_compute_exact"]
    words: dict[str, Any] = {
        "cells_to_compute": f"about {count}, from a sample" if sampled else count,
        "estimated_time": (
            f"about {duration(told['estimated_seconds'])}, at {told['cell_seconds']:.3g} s a cell "
            f"as measured here, {told['cells_at_once']} at once"
        ),
        "estimated_memory": f"about {told['estimated_memory_bytes'] / 1e9:.1f} GB",
        "lattice": told["lattice"],
    }
    if told["leftovers"] is not None:
        use = "the run goes on from them" if told["leftovers_resumed"] else "the run drops them"
        words["leftovers"] = f"{told['leftovers']}, {told['leftover_cells']} finished cells; {use}"
    return words


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, name in ((DAY, "days"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= 1.5 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
