"""What a raster says of itself: everything but its pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC

from rs_superres.grid import Grid

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
