"""The metadata of a raster: `Description`, and `Band` for each of its bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC

from rs_superres.grid import Grid
from rs_superres.raster.products.product import Product

Domains = Mapping[str, Mapping[str, str]]
"""Tags by metadata domain, without the default domain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The metadata of one band."""

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
    """Number of bits of an unsigned integer, if it is less than that of the dtype."""
    colours: tuple[tuple[int, int, int, int], ...] = ()
    """The colour table: red, green, blue and alpha of the values 0, 1, ..."""
    classes: str = field(default="", repr=False)
    """Category names and attribute table, as the XML elements of a VRT; empty without them."""
    alpha: int | None = field(default=None, repr=False)  # as of old in checksums of a description
    """Index of the alpha band that says how opaque this band's pixels are; None without one."""
    factor: int = field(default=1, repr=False)
    """Pixels along a side of the raster that share a value: the band's own pixels are larger."""
    nearest: bool = field(default=False, repr=False)
    """Whether the values are classes or bits, which must not be interpolated."""

    @property
    def is_alpha(self) -> bool:
        """Whether the colour interpretation is alpha."""
        return bool(self.interpretation == ColorInterp.alpha.name)

    @property
    def is_palette(self) -> bool:
        """Whether the values are indices of a colour table."""
        return bool(self.interpretation == ColorInterp.palette.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """The metadata of a raster."""

    path: str
    """The raster's path, or a short description of several files or of an array."""
    driver: str
    grid: Grid
    bands: tuple[Band, ...]
    dataset_mask: bool
    """Whether all bands share one mask, in the file or in a sidecar file."""
    epoch: float | None = None
    """The coordinate epoch of a dynamic CRS, in decimal years."""
    band_masks: bool = False
    """Whether bands have separate masks, apart from nodata and alpha."""
    foreign_nodata: str | None = None
    """A nodata value that the dtype does not hold, so it marks no pixel."""
    tags: Mapping[str, str]
    """Tags of the default metadata domain."""
    domains: Domains = field(default_factory=dict)
    mask_flags: tuple[tuple[str, ...], ...] = ()
    """For each band, rasterio's names of what its mask comes from."""
    colour_profile: Mapping[str, str] = field(default_factory=dict)
    """The ICC profile and similar values, by the names of GDAL's creation options."""
    min_is_white: bool = False
    """Whether a viewer shows the smallest value as white (TIFF's photometric MINISWHITE)."""
    control_points: tuple[GroundControlPoint, ...] = ()
    control_crs: str | None = None
    """The CRS of the ground control points, as WKT."""
    rational: RPC | None = None
    """Rational polynomial coefficients."""
    pages: tuple[str, ...] = field(default=())
    """Names of further images in the same file, which are not read."""
    files: tuple[str, ...] = ()
    """All files from which the raster is read."""
    notes: tuple[str, ...] = ()
    """Sentences about metadata that a result cannot keep."""
    product: Product | None = field(default=None, repr=False)
    """The product that the raster is read from; None for other rasters."""

    @property
    def dtype(self) -> str:
        """The dtype that all bands share."""
        return self.bands[0].dtype

    @property
    def sensor(self) -> str | None:
        """The name of the sensor that made the raster, if it is a product of one."""
        return None if self.product is None else self.product.sensor

    @property
    def default_bands(self) -> tuple[int, ...]:
        """Numbers of the bands, from 1, that a result has if the caller chooses none."""
        if self.product is None:
            return tuple(range(1, len(self.bands) + 1))
        return tuple(i for i, band in enumerate(self.product.bands, start=1) if band.default)

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel in memory: the values of all bands and their validity."""
        return sum(np.dtype(b.dtype).itemsize + 1 for b in self.bands)

    @property
    def nodata(self) -> float | None:
        """The nodata value of a result: a GeoTIFF holds one for all bands."""
        return nodata_of(self.bands)


def nodata_of(bands: Sequence[Band]) -> float | None:
    """Return the nodata value of the first band that has one."""
    return next((b.nodata for b in bands if b.nodata is not None), None)


def holds(dtype: str, value: float) -> bool:
    """Return whether an integer or float dtype can represent a value.

    A float dtype holds every value within its range, even if it rounds the value.
    """
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return bool(not np.isfinite(value) or abs(value) <= np.finfo(kind).max)
    limits = np.iinfo(kind)
    return bool(np.isfinite(value) and value == int(value) and limits.min <= value <= limits.max)


def same_crs(one: Grid, other: Grid) -> bool:
    """Return whether two grids have the same CRS; PROJ compares them, not their text."""
    if one.crs is None or other.crs is None:
        return one.crs == other.crs
    return bool(CRS.from_wkt(one.crs) == CRS.from_wkt(other.crs))
