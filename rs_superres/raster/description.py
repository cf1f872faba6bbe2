"""What a raster says of itself: everything but its pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.rpc import RPC

from rs_superres.errors import InputError
from rs_superres.grid import Grid, Shape

_STALE = ("STATISTICS_",)
"""Beginnings of band tags that no longer hold in a result."""


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

    @property
    def is_alpha(self) -> bool:
        """Whether it is an alpha band, by its colour interpretation."""
        return bool(self.interpretation == ColorInterp.alpha.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a raster says of itself."""

    path: str
    driver: str
    grid: Grid
    bands: tuple[Band, ...]
    dataset_mask: bool
    """Whether one mask, in the file or beside it, holds for all bands."""
    tags: Mapping[str, str]
    mask_flags: tuple[tuple[str, ...], ...] = ()
    """rasterio's names of what each band's mask comes from."""
    control_points: tuple[GroundControlPoint, ...] = ()
    control_crs: str | None = None
    rational: RPC | None = None
    """Its rational polynomial coefficients."""
    pages: tuple[str, ...] = field(default=())
    """Names of further images in the same file."""

    @property
    def dtype(self) -> str:
        """The dtype of all its bands."""
        return self.bands[0].dtype


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
    """Read everything but pixels."""
    if dataset.count == 0:
        found = ", ".join(dataset.subdatasets) or "none"
        raise InputError(f"{path} holds no bands of its own; open one of its sub-datasets: {found}")
    bands = tuple(
        Band(
            dtype=dataset.dtypes[i],
            nodata=dataset.nodatavals[i],
            description=dataset.descriptions[i],
            unit=dataset.units[i],
            interpretation=dataset.colorinterp[i].name,
            scale=dataset.scales[i],
            offset=dataset.offsets[i],
            tags={k: v for k, v in dataset.tags(i + 1).items() if not k.startswith(_STALE)},
        )
        for i in range(dataset.count)
    )
    points, points_crs = dataset.gcps
    flags = dataset.mask_flag_enums
    return Description(
        path=path,
        driver=dataset.driver,
        grid=grid_of(dataset),
        bands=bands,
        dataset_mask=any(
            MaskFlags.per_dataset in f and MaskFlags.alpha not in f and MaskFlags.nodata not in f
            for f in flags
        ),
        tags=dataset.tags(),
        mask_flags=tuple(tuple(flag.name for flag in f) for f in flags),
        control_points=tuple(points),
        control_crs=points_crs.to_wkt() if points_crs else None,
        rational=dataset.rpcs,
        pages=tuple(s for s in dataset.subdatasets if not s.startswith("GTIFF_DIR:1:")),
    )


def same_crs(one: Grid, other: Grid) -> bool:
    """Whether two grids have one CRS, however it is written; PROJ compares."""
    if one.crs is None or other.crs is None:
        return one.crs == other.crs
    return bool(CRS.from_wkt(one.crs) == CRS.from_wkt(other.crs))
