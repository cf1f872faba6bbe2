"""``rs-sr upscale``: super-resolve one raster, or rehearse it with ``--dry-run``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import messages, options, process, sections
from .progress import duration, shown

if TYPE_CHECKING:
    from rs_superres.engine import Plan, Report
    from rs_superres.engine.compute import Compute
    from rs_superres.engine.forecast import Forecast
    from rs_superres.engine.residual import Residual


@click.command(
    cls=sections.Command,
    examples=[
        "rs-sr upscale scene.tif --scale 3.5 -o out.tif",
        "rs-sr upscale S2B_T33UUB.SAFE --res 5 --steps 0 -o finer.tif",
        "rs-sr upscale scene.tif --scale 4 --aoi fields.geojson -o part.tif --dry-run",
    ],
)
@click.argument("source", nargs=-1, required=True)
@click.option(
    "-o",
    "--out",
    type=click.Path(),  # a text, because a Path loses the slash at the end of a folder
    required=True,
    help="The result's file, or a folder, in which it gets the source's name.",
)
@options.upscaling
@options.scheduler
@options.run_option("uncertainty", type=options.FILE, metavar="STD.tif")
@options.run_option("preview", type=options.FILE, metavar="P.png")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print what a run would do and the time, memory and disk it needs.",
)
@click.option(
    "--lattice",
    type=options.FILE,
    metavar="FILE.geojson",
    help="With --dry-run: also write the cells as polygons, to view in a GIS.",
)
@options.as_json
@options.quiet
@process.own_stderr
def command(
    source: tuple[str, ...],
    out: str | Path,
    scheduler: str | None,
    tls: dict[str, Path | None],
    dry_run: bool,
    lattice: Path | None,
    as_json: bool,
    quiet: bool,
    **chosen: Any,
) -> None:
    """Super-resolve SOURCE by any factor, keeping its location, units and metadata.

    Several SOURCEs on one grid become the bands of one result.
    """
    if lattice is not None and not dry_run:
        raise click.UsageError("--lattice needs --dry-run")
    requested = options.of_run(**chosen)
    # Not at the top: the engine imports torch and rasterio, which --help must not wait for.
    with process.heavy_imports():
        from rs_superres import engine

    if scheduler is not None:
        from rs_superres.batch.cells import with_absolute_arguments

        source, out, requested = with_absolute_arguments(source, out, requested)
    plan = engine.plan(source, out, requested)
    for warning in plan.warnings():
        messages.warn(warning)
    for note in plan.notes():
        messages.note(note)
    facts = plan_facts(plan)
    if dry_run:
        forecast = _rehearse(plan, lattice, overwrite=requested.overwrite)
        facts |= forecast_facts(plan, forecast, lattice)
        lines = [*plan_lines(plan), *forecast_lines(plan, forecast, lattice)]
    else:
        report = _run(plan, scheduler, tls, quiet=quiet or as_json)
        facts |= report_facts(report)
        lines = [*plan_lines(plan, written=True), *report_lines(plan, report)]
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    elif dry_run or not quiet:
        messages.echo(*lines)
        if process.verbosity():
            messages.echo(*table(facts))


# Running


def _run(plan: Plan, scheduler: str | None, tls: dict[str, Path | None], *, quiet: bool) -> Report:
    """Run a plan and show its progress."""
    from rs_superres import engine

    megapixels = plan.window.height * plan.window.width / 1e6
    with (
        _compute(scheduler, tls, quiet=quiet) as compute,
        shown(plan.out.name, megapixels=megapixels, quiet=quiet) as progress,
    ):
        report = engine.run(plan, progress=progress, compute=compute)
    if report.dropped:
        messages.say(f"started anew: {report.dropped}")
    return report


@contextmanager
def _compute(
    scheduler: str | None, tls: dict[str, Path | None], *, quiet: bool
) -> Iterator[Compute]:
    """Yield what computes cells: this process, or a cluster."""
    from rs_superres.engine.compute import compute_here

    if scheduler is None and not any(tls.values()):
        yield compute_here
        return
    from rs_superres.batch.cells import compute_on

    with process.cluster(scheduler, tls=tls, quiet=quiet) as client:
        yield compute_on(client)


def _rehearse(plan: Plan, lattice: Path | None, *, overwrite: bool) -> Forecast:
    """Measure what a run takes; write its lattice if ``lattice`` is given."""
    from rs_superres.engine.forecast import forecast, write_lattice

    if lattice is not None and not write_lattice(plan, lattice, overwrite=overwrite):
        messages.say(f"{lattice} is in output pixels, because the source is not georeferenced")
    return forecast(plan)


# Facts for machines


def plan_facts(plan: Plan) -> dict[str, Any]:
    """Return what a run does as plain values by name."""
    grid, source = plan.pixels.zoom.output.crop(plan.window), plan.pixels.description.grid.shape
    ranges = [group.value_range for group in plan.recipe.groups]
    return {
        "source": plan.sources[0] if len(plan.sources) == 1 else list(plan.sources),
        "out": str(plan.out),
        "source_size": [source.width, source.height],
        "size": [grid.shape.width, grid.shape.height],
        "pixel_size": (
            None
            if grid.transform is None
            else [_rounded(grid.transform.a, 12), _rounded(grid.transform.e, 12)]
        ),
        "scale": _rounded(plan.pixels.zoom.scale, 12),
        "bands": len(plan.pixels.description.bands),
        "dtype": plan.pixels.description.dtype,
        "band_roles": plan.pixels.roles.facts(),
        "value_range": [[_rounded(r.low, 10), _rounded(r.high, 10)] for r in ranges],
        "model": plan.pixels.model.name,
        "model_sha256": plan.pixels.model.checksum,
        "steps": plan.pixels.steps,
        "seed": plan.options.seed,
        "samples": plan.options.samples,
        "ensemble": plan.options.ensemble,
        "consistency": plan.options.consistency,
        "device": plan.pixels.device,
        "precision": plan.pixels.precision,
        "cells": len(plan.cells),
        "cells_outside_aoi": len(plan.recipe.lattice.cells(plan.window)) - len(plan.cells),
        "disk_bytes": plan.disk_bytes,
        "pages_not_read": list(plan.pixels.description.pages),
    }


def report_facts(report: Report) -> dict[str, Any]:
    """Return what a run did as plain values by name."""
    residual = report.residual
    return {
        "consistency_residual": {
            "rms": [_rounded(v, 4) for v in residual.rms],
            "mean": [_rounded(v, 4) for v in residual.bias],
            "pixels": residual.pixels,
        },
        "resumed_cells": report.resumed,
        "blank_cells": report.blank,
        "seconds": round(report.seconds, 2),
    }


def forecast_facts(plan: Plan, forecast: Forecast, lattice: Path | None) -> dict[str, Any]:
    """Return what a run would take as plain values by name."""
    return {
        "cells_to_compute": forecast.cells_to_compute,
        "cells_to_compute_exact": forecast.exact,
        "estimated_seconds": round(forecast.seconds, 2),
        "cell_seconds": round(forecast.cell_seconds, 4),
        "cells_at_once": forecast.at_once,
        "estimated_memory_bytes": forecast.memory_bytes,
        "leftovers": str(plan.scratch) if plan.scratch.exists() else None,
        "leftover_cells": forecast.leftover_cells,
        "leftovers_resumed": forecast.resumes,
        "lattice": None if lattice is None else str(lattice),
    }


def _rounded(value: float, digits: int) -> float | None:
    """Round to significant digits: a scale of 3.000000000000064 is one of 3.

    JSON has no NaN and no infinity: they become None.
    """
    return float(f"{value:.{digits}g}") if isfinite(value) else None


# Lines for people


def plan_lines(plan: Plan, *, written: bool = False) -> list[str]:
    """Return what a run writes and how, in two lines; with the file's size once it is written."""
    shape, count = plan.window, len(plan.pixels.description.bands)
    size = f", {_bytes(plan.out.stat().st_size)}" if written else ""
    mode = f"{plan.pixels.steps} steps" if plan.pixels.steps else "the operator alone"
    if plan.pixels.steps == 1:
        mode = "1 step"
    if plan.options.ensemble > 1:
        mode += f", ensemble of {plan.options.ensemble}"
    if plan.options.samples > 1:
        mode += f", mean of {plan.options.samples} samples"
    bands = f"{count} {'band' if count == 1 else 'bands'}, {plan.pixels.description.dtype}"
    place = f"on {plan.pixels.device} in {plan.pixels.precision}"
    scale, asked = f"{plan.pixels.zoom.scale:.6g}", plan.options.scale
    if asked is not None and f"{float(Fraction(str(asked))):.6g}" != scale:
        scale += f" ({asked}, rounded to whole pixels)"
    return [
        f"{plan.out}: {shape.width} x {shape.height} pixels, {bands}{size}",
        f"scale {scale}, model {plan.pixels.model.name}, {mode}, {place}",
    ]


def report_lines(plan: Plan, report: Report) -> list[str]:
    """Return what a run took, and how close it comes to its source, in two lines."""
    apart = []
    if report.resumed:
        apart.append(f"{report.resumed} of an earlier run")
    if report.blank:
        apart.append(f"{report.blank} without valid pixels")
    cells = f"{report.cells} {'cell' if report.cells == 1 else 'cells'}"
    return [
        f"{duration(report.seconds)} for {cells}" + (f" ({', '.join(apart)})" if apart else ""),
        residual_line(report.residual, consistency=plan.options.consistency),
    ]


def residual_line(residual: Residual, *, consistency: bool) -> str:
    """Return in plain words how close a downsampled result comes to its source."""
    if not residual.rms:
        return "not compared with the source: all bands were resampled by nearest neighbour"
    off = "" if consistency else "consistency off: "
    if not residual.pixels:
        return f"{off}not compared with the source: every pixel is near a hole or a border"
    worst = " in the worst band" if len(residual.rms) > 1 else ""
    return (
        f"{off}downsampled, it differs from the source by {max(residual.rms):.3g} digital numbers "
        f"(RMS{worst})"
    )


def forecast_lines(plan: Plan, forecast: Forecast, lattice: Path | None) -> list[str]:
    """Return what a run would take, in lines for people."""
    about = "" if forecast.exact else "about "
    cells = f"{about}{forecast.cells_to_compute} of {len(plan.cells)} cells to compute"
    each = f"{forecast.cell_seconds:.3g} s each as measured here, {forecast.at_once} at once"
    lines = [
        f"about {duration(forecast.seconds)}: {cells}, {each}",
        f"about {_bytes(forecast.memory_bytes)} of memory, up to {_bytes(plan.disk_bytes)} of disk",
    ]
    if plan.scratch.exists():
        use = "resumes from" if forecast.resumes else "discards"
        lines.append(
            f"the run {use} what an earlier run left: {forecast.leftover_cells} finished cells in "
            f"{plan.scratch}"
        )
    if lattice is not None:
        lines.append(f"cells as polygons: {lattice}")
    return lines


def table(facts: dict[str, Any]) -> list[str]:
    """Return facts as names and values in two columns, without empty ones."""
    width = max(map(len, facts))
    return [
        f"{name.replace('_', ' '):{width}}  {_plain(value)}"
        for name, value in facts.items()
        if value not in (None, [])
    ]


def _plain(value: Any) -> str:
    """Write a value without Python's brackets and quotes."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "; ".join(f"{name} {_plain(v)}" for name, v in value.items() if v not in (None, []))
    if isinstance(value, list):
        return ("; " if any(isinstance(v, list) for v in value) else ", ").join(map(_plain, value))
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _bytes(count: int) -> str:
    """Return an amount of memory or disk in the unit that suits it."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} bytes"
