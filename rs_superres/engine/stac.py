"""A STAC item that describes a result: extensions projection, raster, eo and processing."""

from __future__ import annotations

import json
import math
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rs_superres._version import __version__
from rs_superres.engine.planning import Plan
from rs_superres.raster import COLOURS, Band, colour_of, crs_code, footprint, names_host, pixel_size

EXTENSIONS = (
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "https://stac-extensions.github.io/eo/v2.0.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
)
"""The extensions whose fields an item has."""

MEDIA_TYPES = {
    "cog": "image/tiff; application=geotiff; profile=cloud-optimized",
    "gtiff": "image/tiff; application=geotiff",
}
"""The media types of results by their format."""


def write_item(plan: Plan, path: Path, item: Path) -> None:
    """Write the item of a result.

    Args:
        plan: the plan of the run.
        path: the file to write.
        item: the final name of the file, in the folder of the result.
    """
    described = item_of(plan, item.absolute().parent)
    path.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


def item_of(plan: Plan, folder: Path) -> dict[str, Any]:
    """Return the item of a result as plain values.

    If the source does not say when it was taken, ``datetime`` is the time of the run.

    Args:
        plan: the plan of the run.
        folder: the folder of the item, from which addresses of files start.
    """
    import pystac  # noqa: PLC0415 (slow to load, and only needed here)

    target = plan.target()
    grid, source = target.grid, plan.pixels.description
    place = footprint(grid)
    product = {} if source.product is None else source.product.tags
    taken = _time(product.get("PRODUCT_START_TIME") or source.tags.get("TIFFTAG_DATETIME") or "")
    size = pixel_size(grid)
    now = datetime.now(UTC)
    item = pystac.Item(
        id=plan.out.stem,
        geometry=place,
        bbox=None if place is None else _box(place),
        datetime=taken or now,
        properties={
            "created": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            **({"gsd": float(f"{size:.6g}")} if size is not None else {}),
            **_named("platform", product.get("SPACECRAFT_NAME", "").lower()),
            "proj:code": crs_code(grid.crs),
            "processing:software": {"rs-sr": __version__},
            "processing:lineage": target.tags["SUPERRES_METHOD"],
        },
    )
    item.stac_extensions = [*EXTENSIONS]
    for name in plan.sources:
        link = name if names_host(name) or name.startswith("/vsi") else _relative(name, folder)
        item.add_link(pystac.Link("derived_from", link))
    files = [("data", plan.out, MEDIA_TYPES[plan.options.format], ["data"])]
    if plan.options.preview is not None:
        files.append(("preview", plan.options.preview, "image/png", ["overview"]))
    if plan.options.uncertainty is not None:
        kind = MEDIA_TYPES[plan.options.format]
        files.append(("uncertainty", plan.options.uncertainty, kind, ["data", "uncertainty"]))
    for key, path, kind, roles in files:
        item.add_asset(
            key, pystac.Asset(href=_relative(path, folder), media_type=kind, roles=roles)
        )
    transform = grid.transform
    item.assets["data"].extra_fields = {
        "proj:shape": [grid.shape.height, grid.shape.width],
        **({} if transform is None else {"proj:transform": list(transform[:9])}),
        "bands": [_band(band) for band in target.source.bands],
    }
    described: dict[str, Any] = item.to_dict(include_self_link=False, transform_hrefs=False)
    return described


def _band(band: Band) -> dict[str, Any]:
    """Return what an item says of a band."""
    colour, wavelength = colour_of(band), band.tags.get("WAVELENGTH", "")
    described: dict[str, Any] = {
        **_named("name", band.description or ""),
        "data_type": band.dtype,
        **_named("unit", band.unit or ""),
        **_named("eo:common_name", colour if colour in {*COLOURS, "nir"} else ""),
    }
    if wavelength:
        described["eo:center_wavelength"] = float(wavelength) / 1000
    if band.nodata is not None:
        finite = math.isfinite(band.nodata)
        described["nodata"] = band.nodata if finite else str(band.nodata)
    if (band.scale, band.offset) != (1, 0):
        described |= {"raster:scale": band.scale, "raster:offset": band.offset}
    return described


def _named(name: str, value: str) -> dict[str, str]:
    """Return a field, unless its value is empty."""
    return {name: value} if value else {}


def _relative(path: str | Path, folder: Path) -> str:
    """Return an address of a file that starts from a folder."""
    return Path(os.path.relpath(Path(path).absolute(), folder)).as_posix()


def _time(text: str) -> datetime | None:
    """Return a time, in ISO form or as TIFF writes it; None if it is none."""
    for form in (None, "%Y:%m:%d %H:%M:%S"):
        try:
            time = datetime.fromisoformat(text) if form is None else datetime.strptime(text, form)  # noqa: DTZ007
        except ValueError:
            continue
        return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return None


def _box(geometry: dict[str, Any]) -> list[float]:
    """Return the bounding box of a polygon or several: west, south, east, north."""
    polygons = geometry["coordinates"]
    if geometry["type"] == "Polygon":
        polygons = [polygons]
    points = [point for polygon in polygons for ring in polygon for point in ring]
    xs, ys = zip(*((x, y) for x, y, *_ in points), strict=True)
    return [min(xs), min(ys), max(xs), max(ys)]
