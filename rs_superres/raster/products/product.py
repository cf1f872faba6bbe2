"""What a product of a satellite or a drone consists of: files, bands, masks, and what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Ring = tuple[tuple[float, float], ...]
"""A closed line of points in the CRS, (x, y) each."""

Polygon = tuple[Ring, ...]
"""The outline of an area, and those of the holes in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityMask:
    """A raster that says which pixels of a band are not to be used."""

    name: str
    """The raster, as GDAL opens it."""
    planes: tuple[int, ...]
    """Its bands, counted from 1; a pixel is not used if one of them has one of ``bits``."""
    bits: int = -1
    """The bits that count; by default all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductBand:
    """A band of a product, in a file of its own."""

    name: str
    """The band's name in the product, such as B02."""
    file: str
    """The raster, as GDAL opens it."""
    number: int = 1
    """The band's number in the raster, from 1; 0 for all bands, as the raster describes them."""
    default: bool = True
    """Whether a result has the band if the caller chooses none."""
    nearest: bool = False
    """Whether the values are classes or bits, which must not be interpolated."""
    colour: str = ""
    """red, green, blue or nir; empty for another band."""
    wavelength: float | None = None
    """Centre wavelength, nm."""
    nodata: float | None = None
    """The digital number of pixels without data; None for that of the file."""
    scale: float | None = None
    """Factor from digital numbers to physical values; None for that of the file."""
    offset: float | None = None
    """What is added after scaling; None for that of the file."""
    unusable: tuple[float, ...] = ()
    """Further digital numbers that mark a pixel as unusable, such as that of saturation."""
    quality: QualityMask | None = None
    holes: tuple[Polygon, ...] = ()
    """Areas that are not to be used."""
    classes: Sequence[str] = ()
    """The names of the values 0, 1, ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """The files of a product that are read together, and what its metadata say."""

    path: str
    """The product, as the caller named it."""
    title: str
    """Sensor, processing and place in words: "Sentinel-2B L2A, baseline 05.10, T33UUB"."""
    sensor: str | None
    """The name of the sensor, as ``sensor=`` takes it; None if rs-sr does not know its blur."""
    bands: tuple[ProductBand, ...]
    """The bands, in spectral order. Those on one grid, and on coarser ones that divide it."""
    apart: Mapping[str, str] = field(default_factory=dict)
    """Bands on other grids by their name, as GDAL opens them: each can be upscaled by itself."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Facts for the tags of a result, such as the time of acquisition."""
    files: tuple[str, ...] = ()
    """The files that were read to find this out."""
    stem: str = ""
    """What the names of all files begin with, if a folder may hold others; else empty."""

    def words(self, names: Iterable[str]) -> str:
        """Say in one line what the product is, and which of its bands are used."""
        return f"{self.title}: {' '.join(names)}"
