"""STAC items as sources: the assets of an item that lie on one grid, by their names.

Source: STAC specification 1.0 and 1.1, and its extensions eo, raster and projection.
"""

from __future__ import annotations

import json
import math
import re
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from rs_superres.errors import RasterError
from rs_superres.raster.gdal import allows_hosts, host_refusal, refers_to_host
from rs_superres.raster.products.files import stated
from rs_superres.raster.products.product import Product, ProductBand

ADDRESS = re.compile(r"https?://\S+(?:\.json|/items/[^/?#]+)(?:[?#]\S*)?", re.IGNORECASE)
"""An address of an item."""

LARGEST_ITEM = 16 * 2**20
"""Largest item that is read, in bytes."""

TIMEOUT = 30
"""Seconds that a host may take to answer."""

SENSORS = {
    **{f"sentinel-2{x}": "sentinel-2" for x in "abcd"},
    "landsat-8": "landsat-8",
    "landsat-9": "landsat-8",
    "worldview-2": "worldview-2",
    "worldview02": "worldview-2",
    "wv02": "worldview-2",
    "worldview-3": "worldview-3",
    "worldview03": "worldview-3",
    "wv03": "worldview-3",
    "geoeye-1": "geoeye-1",
    "ge01": "geoeye-1",
    "quickbird-2": "quickbird",
    "qb02": "quickbird",
}
"""The names of sensors by ``platform``."""

COLOURS = ("blue", "green", "red", "nir")
"""The common names of the bands that a result has if the caller chooses none."""

RASTERS = ("image/tiff", "image/jp2", "image/vnd.stac.geotiff", "application/x-geotiff")
"""The beginnings of the media types of assets that are rasters."""

CLASSES = re.compile(r"^(scl|fmask|qa(_?\w+)?|\w+_qa|classification)$", re.IGNORECASE)
"""The names of assets and bands that hold classes or bits."""

OFFSET_APPLIED = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
"""Properties of Earth Search: the pixels of Sentinel-2 have no offset any more.

The bands of such an item may still state the offset of the agency's product.
"""

SHARED = (
    *("nodata", "raster:scale", "raster:offset", "eo:common_name", "eo:center_wavelength"),
    *("scale", "offset"),
)
"""Fields of bands that STAC 1.1 states once, for an asset, if all bands have the same."""


def find(path: Path) -> Product | None:
    """Return the item that a file holds; None if the file is none.

    Raises:
        RasterError: it is an item, but names no raster, or hosts that the caller has not named.
    """
    if path.suffix.lower() not in {".json", ".geojson"} or not path.is_file():
        return None
    if path.stat().st_size > LARGEST_ITEM:
        return None
    item = _parsed(path.read_bytes())
    if item is None:
        return None
    return _product(item, str(path), path.absolute().as_posix(), files=(str(path),))


def find_address(address: str) -> Product | None:
    """Return the item at an address; None if the address is none of an item.

    Raises:
        RasterError: the host does not answer, or with something else.
    """
    if not ADDRESS.fullmatch(address):
        return None
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:  # noqa: S310 (http)
            item = _parsed(answer.read(LARGEST_ITEM))
    except (OSError, urllib.error.URLError, ValueError) as error:
        raise RasterError(f"cannot read {address}: {error}") from error
    if item is None:
        raise RasterError(f"{address} is no STAC item, expected one")
    return _product(item, address, address, files=())


def _parsed(data: bytes) -> dict[str, Any] | None:
    """Return the item that a text holds; None if it holds something else."""
    try:
        item = json.loads(data)
    except (ValueError, RecursionError):
        return None
    is_item = isinstance(item, dict) and item.get("type") == "Feature" and "stac_version" in item
    return item if is_item and isinstance(item.get("assets"), dict) else None


def _product(item: dict[str, Any], path: str, base: str, files: tuple[str, ...]) -> Product:
    """Find the rasters among the assets of an item.

    Args:
        item: the item.
        path: the item, as the caller named it.
        base: the place that relative addresses of assets start from.
        files: the files that were read.
    """
    found = item.get("properties")
    properties: dict[str, Any] = found if isinstance(found, dict) else {}
    bands = [band for key, asset in item["assets"].items() for band in _bands(key, asset, base)]
    if not bands:
        raise RasterError(f"{path}: no asset of this STAC item is a raster, expected one")
    if any(properties.get(name) is True for name in OFFSET_APPLIED):
        bands = [replace(band, offset=0.0) if band.offset else band for band in bands]
    chosen = _chosen(bands)
    bands = [replace(band, default=i in chosen) for i, band in enumerate(bands)]
    hosts = any(refers_to_host(band.file) for band in bands)
    if hosts and not allows_hosts(path):
        raise host_refusal(path)
    software = properties.get("processing:software")
    platform, time = (str(properties.get(key) or "") for key in ("platform", "datetime"))
    words = f"STAC item {item.get('id')}", platform, time.partition("T")[0]
    tags = {
        "PRODUCT_URI": str(item.get("id", "")),
        "SPACECRAFT_NAME": platform,
        "PRODUCT_START_TIME": time,
    }
    return Product(
        path=path,
        title=", ".join(filter(None, words)),
        # The pixels of a result of rs-sr are not those that the sensor took.
        sensor=None if "rs-sr" in str(software) else SENSORS.get(platform.lower()),
        bands=tuple(bands),
        tags=stated(**tags),
        files=files,
    )


def _chosen(bands: Sequence[ProductBand]) -> set[int]:
    """Return the indices of the bands that a result has if the caller chooses none.

    Red, green, blue and near infrared that have assets of their own come first, since a composite
    may have other values. Otherwise these are all bands of the first asset that has colours, or of
    the first one.
    """
    count = Counter(band.file for band in bands)
    alone: dict[str, int] = {}
    for i, band in enumerate(bands):
        if band.colour and count[band.file] == 1:
            alone.setdefault(band.colour, i)
    if len(alone) >= 3:
        return {*alone.values()}
    coloured = [band.file for band in bands if band.colour in COLOURS[:3]]
    first = (coloured or [band.file for band in bands])[0]
    return {i for i, band in enumerate(bands) if band.file == first}


def _bands(key: str, asset: Any, base: str) -> Iterator[ProductBand]:
    """Yield the bands of an asset that is a raster; none of pictures and of metadata."""
    if not isinstance(asset, dict) or not isinstance(asset.get("href"), str):
        return
    found = asset.get("roles")
    roles = found if isinstance(found, list) else []
    kind = str(asset.get("type") or "")
    by_name = re.search(r"\.(tiff?|jp2)$", urlsplit(asset["href"]).path, re.IGNORECASE)
    if not (kind.startswith(RASTERS) or (not kind and by_name)) or {"thumbnail", "overview"} & {
        *map(str, roles)
    }:
        return
    described = _dicts(asset, "bands") or _dicts(asset, "eo:bands")
    values = _dicts(asset, "bands") or _dicts(asset, "raster:bands")
    shared = {name: value for name, value in asset.items() if name in SHARED}
    count = max(len(described), len(values))
    classified = {"data-mask", "classification"} & {*map(str, roles)} or any(
        name.startswith("classification:") for d in (asset, *described, *values) for name in d
    )
    for i in range(max(1, count)):
        eo = {**shared, **(described[i] if i < len(described) else {})}
        raster = {**shared, **(values[i] if i < len(values) else {})}
        name = str(eo.get("name") or i + 1)
        colour = str(eo.get("eo:common_name") or eo.get("common_name") or "")
        wavelength = _number(eo, "eo:center_wavelength", "center_wavelength")  # micrometres
        yield ProductBand(
            name=key if count <= 1 else f"{key}/{name}",
            file=_href(asset["href"], base),
            number=i + 1 if count else 0,
            default=False,
            nearest=bool(classified or CLASSES.search(key) or CLASSES.search(name)),
            colour=colour if colour in COLOURS else "",
            wavelength=None if wavelength is None else 1000 * wavelength,
            nodata=_number(raster, "nodata"),
            scale=_number(raster, "raster:scale", "scale"),
            offset=_number(raster, "raster:offset", "offset"),
        )


def _href(href: str, base: str) -> str:
    """Return the name by which GDAL opens an asset."""
    if href.startswith("s3://"):
        return "/vsis3/" + href.removeprefix("s3://")
    if href.startswith("/vsi") or re.match(r"\w+://", href):
        return href
    if re.match(r"https?://", base):
        return urljoin(base, href)
    plain = Path(base).parent / href
    return str(plain if plain.exists() else Path(base).parent / unquote(href))


def _dicts(asset: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return a list of objects; empty if there is none."""
    found = asset.get(key)
    if not isinstance(found, list):
        return []
    return [entry if isinstance(entry, dict) else {} for entry in found]


def _finite(value: object) -> bool:
    """Return whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _number(values: Mapping[str, Any], *keys: str) -> float | None:
    """Return the first number with one of some keys; None without one, or for NaN."""
    return next((float(values[key]) for key in keys if _finite(values.get(key))), None)
