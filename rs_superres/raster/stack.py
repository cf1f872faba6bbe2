"""Combine the metadata of several rasters on one grid into the metadata of one raster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
from rasterio.enums import ColorInterp

from rs_superres.errors import InputError, RasterError
from rs_superres.grid import SNAP, Grid, Shape
from rs_superres.raster.classes import category_names
from rs_superres.raster.metadata import Band, Description, Domains, same_crs
from rs_superres.raster.products import Product, ProductBand


def stacked(parts: Sequence[Description]) -> Description:
    """Return the metadata of one raster that has the bands of all ``parts``, in their order.

    Tags that all rasters share stay tags of the dataset. Other tags move to the bands.

    Raises:
        InputError: The rasters differ in grid or dtype.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    for part in parts[1:]:
        _check_alike(first, part)
    tags = _common([p.tags for p in parts])
    domain_names = {n for p in parts for n in p.domains}
    domains: Domains = {
        n: _common([p.domains.get(n, {}) for p in parts]) for n in sorted(domain_names)
    }
    return replace(
        first,
        path=f"{first.path} and {len(parts) - 1} more",
        bands=_renumbered([_bands(p, tags) for p in parts]),
        dataset_mask=False,
        # A file's mask applies only to the bands of that file.
        band_masks=any(p.dataset_mask or p.band_masks for p in parts),
        tags=tags,
        domains={n: t for n, t in domains.items() if t},
        mask_flags=tuple(chain.from_iterable(p.mask_flags for p in parts)),
        pages=tuple(chain.from_iterable(p.pages for p in parts)),
        files=tuple(chain.from_iterable(p.files for p in parts)),
        notes=tuple(f"{p.path}: {n}" for p in parts for n in p.notes),
    )


def product_stack(product: Product, parts: Sequence[Description]) -> Description:
    """Return the metadata of a product: those of its bands on the grid of the finest ones.

    Args:
        product: the product.
        parts: the metadata of the file of each of its bands.

    Raises:
        RasterError: the pixels of a band do not divide into those of the finest ones.
    """
    grid = finest([part.grid for part in parts])
    dtype = _common_dtype(product, parts)
    bands = []
    for band, part in zip(product.bands, parts, strict=True):
        factor = factor_between(grid, part.grid)
        if factor is None:
            raise RasterError(
                f"{band.file} has pixels that do not divide into those of the other bands of "
                f"{product.path}; the product is damaged"
            )
        bands.append(_product_band(band, part.bands[band.number - 1], dtype, factor))
    flags = [
        p.mask_flags[b.number - 1] if b.nodata is None else ("nodata",)
        for b, p in zip(product.bands, parts, strict=True)
    ]
    masks = [band.quality.name for band in product.bands if band.quality is not None]
    files = dict.fromkeys((*product.files, *chain.from_iterable(p.files for p in parts), *masks))
    return replace(
        parts[0],
        path=product.path,
        grid=grid,
        bands=tuple(bands),
        dataset_mask=False,
        band_masks=False,
        tags=product.tags,
        domains={},
        mask_flags=tuple(flags),
        pages=(),
        files=tuple(files),
        product=product,
    )


def _common_dtype(product: Product, parts: Sequence[Description]) -> str:
    """Return the dtype of all bands of a product.

    Bits and classes take that of the other bands if it has as many bits: their values are small.
    """
    dtypes = [part.bands[b.number - 1].dtype for b, part in zip(product.bands, parts, strict=True)]
    continuous = [d for b, d in zip(product.bands, dtypes, strict=True) if not b.nearest]
    common = np.result_type(*(continuous or dtypes))
    fits = all(np.dtype(dtype).itemsize <= common.itemsize for dtype in dtypes)
    return common.name if fits else np.result_type(*dtypes).name


def finest(grids: Sequence[Grid]) -> Grid:
    """Return the grid with the smallest pixels."""
    return min(grids, key=_pixel_area)


def _pixel_area(grid: Grid) -> float:
    """Return the area of a pixel in square units of the CRS."""
    return 1.0 if grid.transform is None else abs(grid.transform.determinant)


def factor_between(fine: Grid, coarse: Grid) -> int | None:
    """Return how many pixels along a side of one grid a pixel of another covers; None if none."""
    if fine == coarse:
        return 1
    if fine.transform is None or coarse.transform is None:
        return None
    factor = round(np.sqrt(_pixel_area(coarse) / _pixel_area(fine)))
    if factor < 1:
        return None
    scaled = fine.coarser(factor)
    divides = fine.shape == Shape(scaled.shape.height * factor, scaled.shape.width * factor)
    return factor if divides and _same_pixels(scaled, coarse) else None


def _product_band(band: ProductBand, stored: Band, dtype: str, factor: int) -> Band:
    """Return the metadata of a band: what its file and the product's metadata say of it."""
    wavelength = {}
    if band.wavelength is not None:
        wavelength = {"WAVELENGTH": f"{band.wavelength:g}", "WAVELENGTH_UNIT": "nm"}
    known = band.colour in ColorInterp.__members__  # older releases of rasterio know no "nir"
    colour = band.colour if known else ColorInterp.undefined.name
    return replace(
        stored,
        dtype=dtype,
        bits=None,
        nodata=stored.nodata if band.nodata is None else band.nodata,
        description=band.name,
        interpretation=colour,
        scale=stored.scale if band.scale is None else band.scale,
        offset=stored.offset if band.offset is None else band.offset,
        tags=wavelength,
        domains={},
        classes=category_names(band.classes),
        colours=(),
        factor=factor,
        nearest=band.nearest,
    )


def _bands(part: Description, common: Mapping[str, str]) -> list[Band]:
    """Return the bands of one raster, with the tags of the raster that are not in ``common``.

    A band without a description is named after its file, with a number if there are several.
    """
    tags = {k: v for k, v in part.tags.items() if k not in common}
    stem = Path(part.path).stem
    names = [stem] if len(part.bands) == 1 else [f"{stem} {i + 1}" for i in range(len(part.bands))]
    return [
        replace(band, description=band.description or name, tags={**tags, **band.tags})
        for band, name in zip(part.bands, names, strict=True)
    ]


def _renumbered(parts: Sequence[Sequence[Band]]) -> tuple[Band, ...]:
    """Join the bands of all rasters; each alpha band is then counted among all of them."""
    bands: list[Band] = []
    for part in parts:
        first = len(bands)
        bands += [b if b.alpha is None else replace(b, alpha=first + b.alpha) for b in part]
    return tuple(bands)


def _common(tags: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the tags that have the same value in all datasets."""
    return {k: v for k, v in tags[0].items() if all(t.get(k) == v for t in tags[1:])}


def _check_alike(first: Description, other: Description) -> None:
    """Refuse two rasters that cannot be bands of one raster."""
    if other.dtype != first.dtype:
        raise InputError(
            f"{other.path} has dtype {other.dtype}, {first.path} has {first.dtype}; stacked "
            "sources must have the same dtype; rs-sr batch upscales each to its own result"
        )
    if other.epoch != first.epoch:
        raise InputError(
            f"{other.path} has the coordinate epoch {other.epoch}, {first.path} has {first.epoch}; "
            "stacked sources must have the same epoch; upscale these separately"
        )
    if (
        not _same_pixels(first.grid, other.grid)
        or [p.asdict() for p in first.control_points] != [p.asdict() for p in other.control_points]
        or first.rational != other.rational
    ):
        raise InputError(
            f"{other.path} is on another grid than {first.path}; stacked sources must have "
            "the same grid; rs-sr batch upscales each to its own result (like= gives all results "
            "one grid)"
        )


def _same_pixels(one: Grid, other: Grid) -> bool:
    """Return whether the pixels of two grids coincide, to within :data:`SNAP` of a pixel."""
    if one.shape != other.shape or not same_crs(one, other):
        return False
    if one.transform is None or other.transform is None:
        return one.transform == other.transform
    other_to_one = ~one.transform @ other.transform
    corners = [(x, y) for x in (0, one.shape.width) for y in (0, one.shape.height)]
    corners_in_one = [other_to_one @ corner for corner in corners]
    return all(
        max(abs(x - u), abs(y - v)) < SNAP
        for (x, y), (u, v) in zip(corners, corners_in_one, strict=True)
    )
