"""Reading what a dataset says of itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rasterio.shutil
from affine import Affine
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import MemoryFile

from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Grid, Shape
from rs_superres.raster.description import Band, Description, holds
from rs_superres.raster.gdal import FAILURES, telling

_STALE = ("STATISTICS_",)
"""Beginnings of band tags that no longer hold in a result."""

_FOREIGN_DOMAINS = (
    "IMAGE_STRUCTURE",  # of the file, not of the raster
    "SUBDATASETS",
    "DERIVED_SUBDATASETS",
    "TILE_METADATA",
    "COLOR_PROFILE",
    "rio_creation_kwds",
    "xml:VRT",
    "RPC",  # moved to the new pixels instead
    "GEOLOCATION",
)
"""Metadata domains that do not hold for a result."""


def grid_of(dataset: Any) -> Grid:
    """The grid of an open dataset.

    An identity transform is what rasterio says where there is none. With a CRS it is taken at its
    word: files exist that place a raster so, and their corners must not move either.
    """
    crs = dataset.crs.to_wkt() if dataset.crs else None
    placed = dataset.transform != Affine.identity() or (crs is not None and not dataset.gcps[0])
    transform = dataset.transform if placed else None
    return Grid(Shape(dataset.height, dataset.width), transform, crs)


def describe(path: str, dataset: Any) -> Description:
    """Read everything but pixels.

    Raises:
        InputError: it holds no bands of its own.
        RasterError: what it says of itself cannot be read.
    """
    with telling(f"cannot read what {path} says of itself"):
        return _described(path, dataset)


def _described(path: str, dataset: Any) -> Description:
    """The same, in rasterio's words where it fails."""
    if dataset.count == 0:
        found = ", ".join(dataset.subdatasets) or "none"
        raise InputError(f"{path} holds no bands of its own; open one of its sub-datasets: {found}")
    _check_parts(path, dataset)
    bands = _bands(dataset)
    points, points_crs = dataset.gcps
    pages = tuple(s for s in dataset.subdatasets if not s.startswith("GTIFF_DIR:1:"))
    flags = dataset.mask_flag_enums
    alone = [
        not {MaskFlags.per_dataset, MaskFlags.nodata, MaskFlags.alpha, MaskFlags.all_valid} & set(f)
        for f in flags
    ]
    shared = any(
        MaskFlags.per_dataset in f
        and MaskFlags.alpha not in f
        # A nodata value of all bands together (NODATA_VALUES) is a mask of the dataset.
        and (MaskFlags.nodata not in f or b.nodata is None)
        for f, b in zip(flags, bands, strict=True)
    )
    return Description(
        path=path,
        driver=dataset.driver,
        grid=grid_of(dataset),
        bands=bands,
        dataset_mask=shared or alone == [True],
        band_masks=any(alone) and len(bands) > 1,
        tags={k: v for k, v in dataset.tags().items() if k != "NODATA_VALUES"},
        domains=_domains(dataset),
        mask_flags=tuple(tuple(flag.name for flag in f) for f in flags),
        colour_profile=dataset.tags(ns="COLOR_PROFILE"),
        control_points=tuple(points),
        control_crs=points_crs.to_wkt() if points_crs else None,
        rational=dataset.rpcs,
        pages=pages,
        files=tuple(dataset.files) or (path,),
        foreign_nodata=_foreign_nodata(dataset),
        notes=tuple(_notes(dataset, pages)),
    )


def _check_parts(path: str, dataset: Any) -> None:
    """Refuse a virtual raster of files that are not there: GDAL may read them as zeros."""
    if dataset.driver != "VRT":
        return
    local = [f for f in dataset.files if ":" not in f and not f.startswith("/vsi")]
    missing = [f for f in local if not Path(f).exists()]
    if missing:
        raise RasterError(
            f"{path} is made of {missing[0]}, which is not there ({len(missing)} such); put it "
            "there, or take it out of the VRT"
        )


def _bands(dataset: Any) -> tuple[Band, ...]:
    """The bands of an open dataset."""
    # rasterio makes the lists of all bands anew each time, too slow to ask for them band by band.
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
    listed = (_Listed(*facts) for facts in zip(*columns, strict=True))
    return tuple(_band(dataset, facts) for facts in listed)


class _Listed(NamedTuple):
    """What rasterio lists of a band."""

    number: int
    dtype: str
    nodata: float | None
    description: str | None
    unit: str | None
    colour: ColorInterp
    scale: float
    offset: float


def _band(dataset: Any, listed: _Listed) -> Band:
    """One band of an open dataset."""
    number, dtype, nodata = listed.number, listed.dtype, listed.nodata
    bits = dataset.tags(number, ns="IMAGE_STRUCTURE").get("NBITS")
    palette = listed.colour == ColorInterp.palette
    colours: dict[int, tuple[int, int, int, int]] = dataset.colormap(number) if palette else {}
    return Band(
        dtype=dtype,
        nodata=nodata if nodata is not None and _has(dtype, nodata) else None,
        description=listed.description,
        unit=listed.unit,
        interpretation=listed.colour.name,
        scale=listed.scale,
        offset=listed.offset,
        tags={k: v for k, v in dataset.tags(number).items() if not k.startswith(_STALE)},
        domains=_domains(dataset, number),
        bits=int(bits) if bits is not None and np.dtype(dtype).kind == "u" else None,
        colours=tuple(colours[k] for k in sorted(colours)),
    )


def _has(dtype: str, nodata: float) -> bool:
    """Whether a nodata value can mark anything; GDAL's complex dtypes are of no account here."""
    return np.dtype(dtype).kind not in "iuf" or holds(dtype, nodata)


def _domains(dataset: Any, number: int = 0) -> dict[str, dict[str, str]]:
    """The tags of a dataset, or of a band, in the domains that hold for a result too."""
    found = {
        name: dict(dataset.tags(number, ns=name))
        for name in dataset.tag_namespaces(number)
        if name and name not in _FOREIGN_DOMAINS
    }
    return {name: tags for name, tags in found.items() if tags}


def _notes(dataset: Any, pages: tuple[str, ...]) -> list[str]:
    """What of a dataset cannot be kept."""
    notes = []
    if pages:
        notes.append(f"only the first image is read; the file has also {', '.join(pages)}")
    if "GEOLOCATION" in dataset.tag_namespaces():
        notes.append("the geolocation arrays fit the source's pixels only, and are left out")
    return notes


def _foreign_nodata(dataset: Any) -> str | None:
    """A nodata value that no pixel can have, since the dtype does not hold it.

    rasterio does not tell of them; a VRT of the dataset does.
    """
    if np.dtype(dataset.dtypes[0]).kind not in "iu" or None not in dataset.nodatavals:
        return None
    with MemoryFile(ext=".vrt") as virtual:
        try:
            rasterio.shutil.copy(dataset, virtual.name, driver="VRT")
        except FAILURES:
            return None  # a dataset that has no virtual copy says nothing more of itself
        found = re.findall(r"<NoDataValue>([^<]+)</NoDataValue>", virtual.read().decode())
    return next((v for v in found if not _has(dataset.dtypes[0], float(v))), None)
