"""Reading what a dataset says of itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rasterio.shutil
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import MemoryFile
from rasterio.rpc import RPC

from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Grid, Shape
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


Domains = Mapping[str, Mapping[str, str]]
"""Tags by metadata domain, the default one apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One band, as its file describes it."""

    dtype: str
    nodata: float | None = None
    description: str | None = None
    unit: str | None = None
    interpretation: str = "undefined"
    """rasterio's name of the colour interpretation."""
    scale: float = 1.0
    offset: float = 0.0
    tags: Mapping[str, str] = field(default_factory=dict)
    domains: Domains = field(default_factory=dict)
    bits: int | None = None
    """How many bits an integer has where they are fewer than its dtype's."""
    colours: tuple[tuple[int, int, int, int], ...] = ()
    """The colour table: red, green, blue and alpha of the values 0, 1, ..."""

    @property
    def is_alpha(self) -> bool:
        """Whether it is an alpha band, by its colour interpretation."""
        return bool(self.interpretation == ColorInterp.alpha.name)

    @property
    def is_palette(self) -> bool:
        """Whether its values are indices of a colour table."""
        return bool(self.interpretation == ColorInterp.palette.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a raster says of itself."""

    path: str
    driver: str
    grid: Grid
    bands: tuple[Band, ...]
    dataset_mask: bool
    """Whether one mask, in the file or beside it, holds for all bands."""
    band_masks: bool = False
    """Whether bands have masks of their own, nodata and alpha apart."""
    foreign_nodata: str | None = None
    """A nodata value that no pixel can have, since the dtype does not hold it: it marks nothing."""
    tags: Mapping[str, str]
    domains: Domains = field(default_factory=dict)
    mask_flags: tuple[tuple[str, ...], ...] = ()
    """rasterio's names of what each band's mask comes from."""
    colour_profile: Mapping[str, str] = field(default_factory=dict)
    """ICC profile and its like, by the names of GDAL's creation options."""
    control_points: tuple[GroundControlPoint, ...] = ()
    control_crs: str | None = None
    rational: RPC | None = None
    """Its rational polynomial coefficients."""
    pages: tuple[str, ...] = field(default=())
    """Names of further images in the same file."""
    files: tuple[str, ...] = ()
    """All files that it is read from."""
    notes: tuple[str, ...] = ()
    """What of it cannot be kept, a sentence each."""

    @property
    def dtype(self) -> str:
        """The dtype of all its bands."""
        return self.bands[0].dtype

    @property
    def pixel_bytes(self) -> int:
        """What one pixel takes in memory: all bands, and for each whether it is valid."""
        return sum(np.dtype(b.dtype).itemsize + 1 for b in self.bands)

    @property
    def nodata(self) -> float | None:
        """The nodata value of a result: a GeoTIFF holds one for all bands."""
        return nodata_of(self.bands)


def nodata_of(bands: Sequence[Band]) -> float | None:
    """The nodata value of the first band that has one."""
    return next((b.nodata for b in bands if b.nodata is not None), None)


def holds(dtype: str, value: float) -> bool:
    """Whether a dtype has a value."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return bool(not np.isfinite(value) or abs(value) <= np.finfo(kind).max)
    limits = np.iinfo(kind)
    return bool(np.isfinite(value) and value == int(value) and limits.min <= value <= limits.max)


def same_crs(one: Grid, other: Grid) -> bool:
    """Whether two grids have one CRS, however it is written; PROJ compares."""
    if one.crs is None or other.crs is None:
        return one.crs == other.crs
    return bool(CRS.from_wkt(one.crs) == CRS.from_wkt(other.crs))
