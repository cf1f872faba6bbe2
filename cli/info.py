"""``rs-sr info``: describe a raster, and how ``rs-sr upscale`` would process it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from . import messages, options, process, sections
from .upscale import command as upscale


@click.command(
    cls=sections.Command,
    examples=[
        "rs-sr info scene.tif",
        "rs-sr info S2B_T33UUB.SAFE",
        "rs-sr info scene.tif --json",
    ],
)
@click.argument("file")
@options.as_json
@process.own_stderr
def command(file: str, as_json: bool) -> None:
    """Inspect FILE: its bands, value range, and how it would be processed by default.

    The exit status is 1 if FILE cannot be upscaled as it is.
    """
    messages.speak_of(upscale)
    # Not at the top: it imports torch and rasterio, which --help must not wait for.
    from rs_superres.errors import InputError
    from rs_superres.scene.survey import survey

    facts = survey(file).facts()
    facts["options"] = [messages.in_flags(name) for name in facts["options"]]
    for name in ("warnings", "hints"):
        facts[name] = [messages.in_flags(text) for text in facts[name]]
    if facts["refused"] is not None:
        facts["refused"] = messages.in_flags(facts["refused"])
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _print(facts)
        for warning in facts["warnings"]:
            messages.warn(warning)
        for hint in facts["hints"]:
            messages.note(hint)
    if facts["refused"] is not None:
        raise InputError(facts["refused"])


def _print(facts: dict[str, Any]) -> None:
    """Print the facts for people."""
    pairs = [("file", facts["path"]), *_file(facts), *_grid(facts["grid"]), *_extras(facts)]
    for name, value in pairs:
        messages.echo(f"{name:12} {value}")
    for band in facts["bands"]:
        messages.echo(f"  {_band(band)}")
    if facts["refused"] is None:
        messages.echo("through the network")
        for line in _network(facts):
            messages.echo(f"  {line}")


def _file(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the product, the driver and the size."""
    product, (width, height) = facts["product"], facts["size"]
    if product is not None:
        yield "product", product["understood"]
        if product["other_bands"]:
            yield "other bands", f"{' '.join(product['other_bands'])} (--bands)"
        if product["sensor"] is not None:
            yield "sensor", f"{product['sensor']} (--sensor none ignores it)"
    yield "driver", facts["driver"]
    yield "size", f"{width} x {height} pixels"


def _grid(grid: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the CRS, the pixel size and the corners."""
    code = "" if grid["crs_code"] is None else f" ({grid['crs_code']})"
    yield "CRS", "none" if grid["crs"] is None else f"{grid['crs']}{code}"
    if grid["transform"] is None:
        yield "transform", "none"
        return
    unit = "" if grid["unit"] is None else f" {grid['unit']}"
    odd = [f"rotated by {grid['rotation']:.6g} degrees"] if grid["rotation"] else []
    odd += ["sheared"] if grid["sheared"] else []
    odd += ["south up"] if grid["south_up"] else []
    x, y = grid["pixel_size"]
    yield "pixel size", ", ".join([f"{x:.10g} x {y:.10g}{unit}", *odd])
    for name, (x, y) in grid["corners"].items():
        yield name.replace("_", " "), f"{x:.10g}, {y:.10g}"


def _extras(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield GCPs, RPCs, the pages that are not read, and the number of bands."""
    if facts["control_points"]:
        yield "GCPs", f"{facts['control_points']}, in {facts['control_crs']}"
    if facts["rational_polynomials"]:
        yield "RPCs", "yes"
    for page in facts["pages_not_read"]:
        yield "not read", page
    yield "bands", str(len(facts["bands"]))


def _band(band: dict[str, Any]) -> str:
    """Return a band's line."""
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
    """Yield a line for each band group, for alpha, and for the default model."""
    for group in facts["groups"]:
        low, high = group["value_range"]
        numbers = ", ".join(str(band) for band in group["bands"])
        how = "together, as RGB" if len(group["bands"]) > 1 else "alone, as grey"
        yield f"{numbers:>8}  {how}: {low:.6g} to {high:.6g}, {group['rule']}"
        if group["mtf"] is not None:
            yield f"          estimated: MTF of {group['mtf']:g}, noise of {group['noise']:g}"
    if any(group["mtf"] is not None for group in facts["groups"]):
        yield "          an MTF is a rough guess of the blur: give --sensor or --mtf if you know it"
    for band in facts["bands"]:
        if band["network"] == "alpha":
            yield f"{band['band']:>8}  alpha: interpolated, not through the network"
        if band["network"] == "nearest":
            yield f"{band['band']:>8}  classes or bits: by nearest neighbour"
    model = facts["model"]
    low, high = model["scales"]
    yield f"   model  {model['name']}, {model['steps']} steps, trained at x{low:g} to x{high:g}"
    yield f" options  possible: {', '.join(facts['options'])}"
