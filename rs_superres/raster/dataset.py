"""Reads the grid and the metadata of an open rasterio dataset."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import rasterio.shutil
from affine import Affine
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import MemoryFile

from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Grid, Shape
from rs_superres.raster.gdal import FAILURES, Dataset, raster_errors
from rs_superres.raster.metadata import Band, Description, holds
from rs_superres.raster.names import described_colour
from rs_superres.raster.selection import bands_with_role
from rs_superres.raster.transparency import with_alpha

_STALE_TAGS = ("STATISTICS_",)
"""Prefixes of band tags that do not hold for a result."""

_DROPPED_DOMAINS = (
    "IMAGE_STRUCTURE",  # describes the file, not the raster
    "SUBDATASETS",
    "DERIVED_SUBDATASETS",
    "TILE_METADATA",
    "COLOR_PROFILE",
    "rio_creation_kwds",
    "xml:VRT",
    "RPC",  # moved to the output pixels instead
    "GEOLOCATION",
)
"""Metadata domains that do not hold for a result."""


_PIXEL_COUNT = "1"
"""GDAL's usage of the columns of an attribute table that hold numbers of pixels."""


def grid_of(dataset: Dataset) -> Grid:
    """Return the grid of an open dataset.

    rasterio reports an identity transform if there is none. With a CRS and without control points
    the identity is taken literally: some files are georeferenced like this.
    """
    crs = dataset.crs.to_wkt() if dataset.crs else None
    georeferenced = dataset.transform != Affine.identity() or (
        crs is not None and not dataset.gcps[0]
    )
    transform = dataset.transform if georeferenced else None
    return Grid(Shape(dataset.height, dataset.width), transform, crs)


def describe(path: str, dataset: Dataset) -> Description:
    """Read everything but pixels.

    Raises:
        InputError: The dataset has no bands, only sub-datasets.
        RasterError: The metadata cannot be read.
    """
    with raster_errors(f"cannot read the metadata of {path}"):
        return _read_description(path, dataset)


def _read_description(path: str, dataset: Dataset) -> Description:
    """Read everything but pixels; rasterio's errors pass unchanged."""
    if dataset.count == 0:
        names = ", ".join(dataset.subdatasets) or "none"
        raise InputError(f"{path} has no bands of its own; open one of its sub-datasets: {names}")
    _check_vrt_files(path, dataset)
    points, points_crs = dataset.gcps
    pages = tuple(s for s in dataset.subdatasets if not s.startswith("GTIFF_DIR:1:"))
    virtual = _virtual(dataset)
    classes = _read_classes(virtual, dataset.count)
    bands = tuple(
        replace(band, classes=xml) for band, xml in zip(_read_bands(dataset), classes, strict=True)
    )
    flags = [
        [MaskFlags.all_valid] if MaskFlags.alpha in f and b.alpha is None and not b.is_alpha else f
        for f, b in zip(dataset.mask_flag_enums, bands, strict=True)
    ]
    separate = [
        not {MaskFlags.per_dataset, MaskFlags.nodata, MaskFlags.alpha, MaskFlags.all_valid} & set(f)
        for f in flags
    ]
    shared = any(
        MaskFlags.per_dataset in f
        and MaskFlags.alpha not in f
        # One nodata value for all bands together (NODATA_VALUES) is a mask of the dataset.
        and (MaskFlags.nodata not in f or b.nodata is None)
        for f, b in zip(flags, bands, strict=True)
    )
    return Description(
        path=path,
        driver=dataset.driver,
        grid=grid_of(dataset),
        bands=bands,
        dataset_mask=shared or separate == [True],
        band_masks=any(separate) and len(bands) > 1,
        tags={k: v for k, v in dataset.tags().items() if k != "NODATA_VALUES"},
        domains=_read_domains(dataset),
        mask_flags=tuple(tuple(flag.name for flag in f) for f in flags),
        colour_profile=dataset.tags(ns="COLOR_PROFILE"),
        control_points=tuple(points),
        control_crs=points_crs.to_wkt() if points_crs else None,
        rational=dataset.rpcs,
        pages=pages,
        files=tuple(dataset.files) or (path,),
        foreign_nodata=_read_foreign_nodata(dataset, virtual),
        epoch=_read_epoch(virtual),
        min_is_white=dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES",
        notes=tuple(_notes(dataset, pages)),
    )


def _check_vrt_files(path: str, dataset: Dataset) -> None:
    """Refuse a VRT if one of its local files is missing: GDAL may read zeros instead."""
    if dataset.driver != "VRT":
        return
    local = [f for f in dataset.files if ":" not in f and not f.startswith("/vsi")]
    missing = [f for f in local if not Path(f).exists()]
    if missing:
        raise RasterError(
            f"{path} refers to {missing[0]}, which does not exist ({len(missing)} missing); "
            "restore the file, or remove it from the VRT"
        )


class _BandFacts(NamedTuple):
    """The facts about a band that rasterio lists for all bands together."""

    number: int
    dtype: str
    nodata: float | None
    description: str | None
    unit: str | None
    colour: ColorInterp
    scale: float
    offset: float


def _read_bands(dataset: Dataset) -> tuple[Band, ...]:
    """Read the metadata of all bands."""
    # rasterio rebuilds each list on every access, so reading them once per band is too slow.
    columns = (
        dataset.indexes,
        dataset.dtypes,
        dataset.nodatavals,
        dataset.descriptions,
        dataset.units,
        dataset.colorinterp,
        dataset.scales,
        dataset.offsets,
    )
    facts = (_BandFacts(*row) for row in zip(*columns, strict=True))
    bands = [_not_alpha_if_nir(_read_band(dataset, f)) for f in facts]
    # A result of rs-sr says which of its bands hold classes or bits.
    nearest = bands_with_role(dataset.tags(), "nearest")
    return with_alpha([replace(b, nearest=i in nearest) for i, b in enumerate(bands)])


def _not_alpha_if_nir(band: Band) -> Band:
    """Return a band without its mark as alpha if its name or wavelength says near infrared.

    Many tools write four bands with the mark, whatever the fourth one holds.
    """
    infrared = band.is_alpha and described_colour(band) == "nir"
    return replace(band, interpretation=ColorInterp.undefined.name) if infrared else band


def _read_band(dataset: Dataset, facts: _BandFacts) -> Band:
    """Read the metadata of one band."""
    number, dtype, nodata = facts.number, facts.dtype, facts.nodata
    bits = dataset.tags(number, ns="IMAGE_STRUCTURE").get("NBITS")
    palette = facts.colour == ColorInterp.palette
    colours = dataset.colormap(number) if palette else {}
    return Band(
        dtype=dtype,
        nodata=nodata if nodata is not None and _can_mark(dtype, nodata) else None,
        description=facts.description,
        unit=facts.unit,
        interpretation=facts.colour.name,
        scale=facts.scale,
        offset=facts.offset,
        tags={k: v for k, v in dataset.tags(number).items() if not k.startswith(_STALE_TAGS)},
        domains=_read_domains(dataset, number),
        bits=int(bits) if bits is not None and dtype.startswith("uint") else None,
        colours=tuple(colours[k] for k in sorted(colours)),
    )


def _can_mark(dtype: str, nodata: float) -> bool:
    """Return whether pixels of a dtype can have a nodata value; True for complex dtypes."""
    # NumPy does not know complex_int16, rasterio's name of the smallest complex dtype.
    return dtype.startswith("complex") or holds(dtype, nodata)


def _read_domains(dataset: Dataset, number: int = 0) -> dict[str, dict[str, str]]:
    """Read the metadata domains of the dataset (0) or of a band that hold for a result too."""
    domains = {
        name: dict(dataset.tags(number, ns=name))
        for name in dataset.tag_namespaces(number)
        if name and name not in _DROPPED_DOMAINS
    }
    return {name: tags for name, tags in domains.items() if tags}


def _notes(dataset: Dataset, pages: tuple[str, ...]) -> list[str]:
    """Return sentences about the parts of a dataset that a result cannot keep."""
    notes = []
    if pages:
        notes.append(f"only the first image is read; the file also has {', '.join(pages)}")
    if "GEOLOCATION" in dataset.tag_namespaces():
        notes.append("the geolocation arrays fit only the source's pixels, so they are left out")
    return notes


def _virtual(dataset: Dataset) -> str:
    """Return a VRT copy of a dataset, which shows what rasterio hides; empty if there is none."""
    with MemoryFile(ext=".vrt") as virtual:
        try:
            rasterio.shutil.copy(dataset, virtual.name, driver="VRT")
        except FAILURES:
            return ""  # not every dataset can be copied to a VRT
        text: bytes = virtual.read()
    return text.decode(errors="replace")


def epoch_of(dataset: Dataset) -> float | None:
    """Return the coordinate epoch of an open dataset, in decimal years; None if it has none."""
    return _read_epoch(_virtual(dataset))


def _read_epoch(virtual: str) -> float | None:
    """Read the coordinate epoch of the CRS from a VRT copy."""
    epoch = re.search(r'<SRS[^>]* coordinateEpoch="([^"]+)"', virtual)
    return None if epoch is None else float(epoch[1])


def _read_classes(virtual: str, count: int) -> list[str]:
    """Read each band's category names and attribute table from a VRT copy; empty without them."""
    if "<CategoryNames>" not in virtual and "<GDALRasterAttributeTable" not in virtual:
        return [""] * count
    try:
        bands = ET.fromstring(virtual).findall("VRTRasterBand")  # noqa: S314 (GDAL's)
    except ET.ParseError:
        return [""] * count  # a name holds a character that XML does not allow
    return [_classes(band) for band in bands]


def _classes(band: ET.Element) -> str:
    """Return a band's category names and attribute table without numbers of pixels, as XML."""
    names, table = band.find("CategoryNames"), band.find("GDALRasterAttributeTable")
    if table is not None:
        columns = table.findall("FieldDefn")
        counts = [i for i, c in enumerate(columns) if c.findtext("Usage") == _PIXEL_COUNT]
        for element in [table, *table.findall("Row")]:
            tag = "FieldDefn" if element is table else "F"
            cells = element.findall(tag)
            for i in counts:
                element.remove(cells[i])
        for i, column in enumerate(table.findall("FieldDefn")):
            column.set("index", str(i))
    elements = [element for element in (names, table) if element is not None]
    return "".join(ET.tostring(element, encoding="unicode") for element in elements)


def _read_foreign_nodata(dataset: Dataset, virtual: str) -> str | None:
    """Read a nodata value that the dtype does not hold from a VRT copy."""
    if not dataset.dtypes[0].startswith(("int", "uint")) or None not in dataset.nodatavals:
        return None
    values = re.findall(r"<NoDataValue>([^<]+)</NoDataValue>", virtual)
    return next((v for v in values if not _can_mark(dataset.dtypes[0], float(v))), None)
