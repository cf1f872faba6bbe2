"""``rs-sr info``: what the tool sees in a raster, and would do with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from . import options, process


@click.command()
@click.argument("file")
@options.as_json
@process.ours
def command(file: str, as_json: bool) -> None:
    """Say what the tool sees in FILE, and what it would do with it at the defaults.

    Exits with 1 where FILE is of a kind that is refused.
    """
    # Not at the top: it brings torch and rasterio, which --help must not wait for.
    from rs_superres.errors import InputError
    from rs_superres.scene.survey import survey

    facts = survey(file).facts()
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _tell([("file", facts["path"]), *_file(facts), *_place(facts["grid"]), *_gist(facts)])
        for band in facts["bands"]:
            click.echo(f"  {_band(band)}")
        if facts["refused"] is None:
            click.echo("through the network")
            for line in _network(facts):
                click.echo(f"  {line}")
    if facts["refused"] is not None:
        raise InputError(facts["refused"])


def _tell(pairs: list[tuple[str, str]]) -> None:
    """Names and values in two columns."""
    for name, value in pairs:
        click.echo(f"{name:12} {value}")


def _file(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Driver and size."""
    width, height = facts["size"]
    yield "driver", facts["driver"]
    yield "size", f"{width} x {height} pixels"


def _place(grid: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """CRS, pixel size, corners."""
    code = "" if grid["crs_code"] is None else f" ({grid['crs_code']})"
    yield "CRS", "none" if grid["crs"] is None else f"{grid['crs']}{code}"
    if grid["transform"] is None:
        yield "transform", "none"
        return
    unit = "" if grid["unit"] is None else f" {grid['unit']}"
    turned = [f"turned by {grid['rotation']:.6g} degrees"] if grid["rotation"] else []
    turned += ["sheared"] if grid["sheared"] else []
    turned += ["south up"] if grid["south_up"] else []
    x, y = grid["pixel_size"]
    yield "pixel size", ", ".join([f"{x:.10g} x {y:.10g}{unit}", *turned])
    for name, (x, y) in grid["corners"].items():
        yield name.replace("_", " "), f"{x:.10g}, {y:.10g}"


def _gist(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What else places it, what is not read, how many bands."""
    if facts["control_points"]:
        yield "GCPs", f"{facts['control_points']}, in {facts['control_crs']}"
    if facts["rational_polynomials"]:
        yield "RPCs", "there"
    for page in facts["pages_not_read"]:
        yield "not read", page
    yield "bands", str(len(facts["bands"]))


def _band(band: dict[str, Any]) -> str:
    """One band in a line."""
    words = [f"{band['band']:3}  {band['dtype']:8}{band['interpretation']:10}"]
    if band["description"]:
        words.append(f'"{band["description"]}"')
    if band["unit"]:
        words.append(f"in {band['unit']}")
    if (band["scale"], band["offset"]) != (1, 0):
        words.append(f"times {band['scale']:g} plus {band['offset']:g}")
    if band["nodata"] is not None and "nodata" not in band["mask"]:
        words.append(f"nodata {band['nodata']}")
    return "  ".join([*words, f"mask: {band['mask']}"])


def _network(facts: dict[str, Any]) -> Iterator[str]:
    """What the default would do."""
    for group in facts["groups"]:
        low, high = group["value_range"]
        numbers = ", ".join(str(b) for b in group["bands"])
        yield (
            f"{numbers:>8}  {'together, as RGB' if len(group['bands']) > 1 else 'alone, as grey'}: "
            f"{low:.6g} to {high:.6g}, {group['rule']}"
        )
    for band in facts["bands"]:
        if band["network"] == "alpha":
            yield f"{band['band']:>8}  not: alpha, interpolated"
    model = facts["model"]
    low, high = model["scales"]
    yield (
        f"   model  {model['name']}, {model['steps']} steps, trained at x{low:g} to x{high:g}; "
        f"takes {', '.join(facts['options'])}"
    )
