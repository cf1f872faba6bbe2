"""What an ``xarray.DataArray`` and its result say of themselves, by rioxarray's conventions."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import rioxarray  # noqa: F401 (registers the accessor ``rio``)
import xarray as xr
from affine import Affine
from rioxarray.exceptions import MissingSpatialDimensionError

from rs_superres.engine.pixels import PixelPlan
from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Grid, Shape
from rs_superres.image.radiometry import DTYPES
from rs_superres.raster import Band, Description, Target, inspect
from rs_superres.raster.metadata import holds

BAND = "band"
"""The dimension whose members are a scene's bands."""

UNEVEN = 0.01
"""Pixels: how far coordinates may be off an even spacing; those in single precision are."""

COLOURS = ("red", "green", "blue", "alpha")
"""Names of bands that tell their colour interpretation."""

KEPT_ENCODING = ("_FillValue", "dtype", "scale_factor", "add_offset", "rasterio_dtype")
"""What of an encoding holds for a result too; chunks and file do not."""

STALE = ("STATISTICS_", "transform", "res")
"""Beginnings of the names of attributes that no longer hold."""

PER_BAND = ("long_name", "units", "scales", "offsets", "nodatavals", "descriptions")
"""Attributes that rioxarray gives a value for each band."""


def spatial_dims(array: xr.DataArray | xr.Dataset) -> tuple[Hashable, Hashable]:
    """The dimensions of rows and of columns.

    Raises:
        InputError: it has none that is known.
    """
    try:
        return array.rio.y_dim, array.rio.x_dim
    except MissingSpatialDimensionError as error:
        raise InputError(
            f"the array has dimensions {', '.join(map(str, array.dims)) or 'none'}, expected y and "
            "x (or latitude and longitude) among them; rename them, or call rio.set_spatial_dims"
        ) from error


def describe(array: xr.DataArray) -> Description:
    """What an array says of itself, as a raster would.

    Raises:
        InputError: it cannot be super-resolved, or its coordinates are not evenly spaced.
    """
    y, x = spatial_dims(array)
    named = "the array" if array.name is None else f"the array {array.name}"
    if any(np.isnan(size) for size in array.shape):
        raise InputError(
            f"{named} has chunks of unknown size; call compute_chunk_sizes() on its dask array"
        )
    if 0 in array.shape:
        sizes = ", ".join(f"{dim} {size}" for dim, size in array.sizes.items())
        raise InputError(f"{named} is empty ({sizes}), expected at least a pixel")
    if array.dtype.name not in DTYPES:
        raise InputError(
            f"{named} has dtype {array.dtype.name}, supported are {', '.join(DTYPES)}; convert it "
            'first, as in array.astype("float64")'
        )
    shape = Shape(array.sizes[y], array.sizes[x])
    points = tuple(array.rio.get_gcps() or ())
    crs = None if array.rio.crs is None else array.rio.crs.to_wkt()
    placed = Grid(shape, None) if points else Grid(shape, _transform(array, y, x, crs), crs)
    bands = _bands(array)
    return Description(
        path=named,
        driver="xarray",
        grid=placed,
        bands=bands,
        mask_flags=tuple(("all_valid",) if b.nodata is None else ("nodata",) for b in bands),
        dataset_mask=False,
        tags={},
        control_points=points,
        control_crs=crs if points else None,
    )


def _bands(array: xr.DataArray) -> tuple[Band, ...]:
    """The bands of an array: their colours by the file that it was read from, or by their names."""
    count = array.sizes.get(BAND, 1)
    numbers = array.coords[BAND].values.reshape(-1).tolist() if BAND in array.coords else []
    names = array.attrs.get("long_name")
    if not isinstance(names, tuple | list) or len(names) != count:
        names = numbers or [None] * count
    told = _in_file(array, numbers) or [
        Band(
            dtype=array.dtype.name,
            interpretation=str(name).lower() if str(name).lower() in COLOURS else "undefined",
        )
        for name in names
    ]
    return tuple(replace(b, dtype=array.dtype.name, nodata=_nodata(array)) for b in told)


def _in_file(array: xr.DataArray, numbers: Sequence[Any]) -> list[Band]:
    """What the file says of an array's bands; nothing where no file is known or there."""
    path = array.encoding.get("source")
    if not isinstance(path, str) or not numbers or array.encoding.get("rasterio_dtype") is None:
        return []
    try:
        bands = inspect(path)[0].bands
    except (InputError, RasterError):
        return []
    if not all(isinstance(n, int) and 1 <= n <= len(bands) for n in numbers):
        return []
    return [bands[n - 1] for n in numbers]


def _nodata(array: xr.DataArray) -> float | None:
    """The value that is nodata; None where it marks nothing, since the dtype does not hold it."""
    try:
        nodata = array.rio.nodata
    except (OverflowError, ValueError):
        return None
    return float(nodata) if nodata is not None and holds(array.dtype.name, nodata) else None


def _transform(array: xr.DataArray, y: Hashable, x: Hashable, crs: str | None) -> Affine | None:
    """Pixel to map coordinates: the one that is written, where the coordinates agree."""
    attrs = array.coords[array.rio.grid_mapping].attrs if _mapped(array) else {}
    told = attrs.get("GeoTransform")
    written = None if told is None else Affine.from_gdal(*map(float, str(told).split()))
    turned = written is not None and not (written.b == written.d == 0)
    if not turned and y in array.coords and x in array.coords:
        written = _by_coordinates(array, y, x, written)
    # As of files: an identity is what stands there where there is none.
    return None if written == Affine.identity() and crs is None else written


def _mapped(array: xr.DataArray) -> bool:
    """Whether there is a coordinate that holds the CRS and the transform."""
    return array.rio.grid_mapping in array.coords


def _by_coordinates(
    array: xr.DataArray, y: Hashable, x: Hashable, written: Affine | None
) -> Affine:
    """The transform that coordinates of pixel centres tell; exactly the written one's if it can."""
    known = (written.e, written.a) if written is not None else (None, None)
    (top, down), (left, across) = (
        _even(array.coords[dim].values.astype(np.float64), str(dim), step)
        for dim, step in zip((y, x), known, strict=True)
    )
    if written is not None:
        column, row = (v - 0.5 for v in ~written @ (left, top))
        off = max(abs(column - round(column)), abs(row - round(row)))
        sides = max(array.sizes[x], array.sizes[y])
        uneven = max(abs(across / written.a - 1), abs(down / written.e - 1)) * sides
        if max(off, uneven) < UNEVEN:
            return written @ Affine.translation(round(column), round(row))
    return Affine(across, 0, left - across / 2, 0, down, top - down / 2)


def _even(values: Any, name: str, step: float | None) -> tuple[float, float]:
    """First value and spacing of coordinates.

    Raises:
        InputError: there is no even spacing.
    """
    if len(values) > 1:
        step = float(values[-1] - values[0]) / (len(values) - 1)
    elif step is None:
        raise InputError(
            f"the array has one pixel along {name}, whose size its coordinate does not tell; call "
            "rio.write_transform first"
        )
    even = values[0] + step * np.arange(len(values))
    if (
        not step
        or not np.isfinite(values).all()
        or np.abs(values - even).max() > UNEVEN * abs(step)
    ):
        raise InputError(
            f"the coordinates along {name} are not evenly spaced; bring the array onto a regular "
            f"grid first (rio.reproject, interp), or drop them (drop_vars({name!r}))"
        )
    return float(values[0]), step


def result(
    data: Any, source: xr.DataArray, dims: tuple[Hashable, Hashable], design: PixelPlan
) -> xr.DataArray:
    """The array of a result: the source's names and attributes, the output's place.

    Args:
        data: in the source's dimensions.
        source: what it was made from, with the bands of the result.
        dims: those of rows and of columns.
        design: of the result.
    """
    y, x = dims
    target = Target(
        source=design.description, zoom=design.zoom, window=design.window, tags={}, masked=False
    )
    transform = target.grid.transform
    coords: dict[Hashable, Any] = {
        name: coordinate.variable.copy(deep=True)
        for name, coordinate in source.coords.items()
        if y not in coordinate.dims and x not in coordinate.dims
    }
    straight = transform is None or transform.b == transform.d == 0
    if straight and (transform is not None or (y in source.coords and x in source.coords)):
        shape = target.grid.shape
        first = (transform or Affine.identity()) @ Affine.translation(0.5, 0.5)
        centres = {
            "y": first.f + first.e * np.arange(shape.height),
            "x": first.c + first.a * np.arange(shape.width),
        }
        for dim, name in ((y, "y"), (x, "x")):
            attrs = source.coords[dim].attrs if dim in source.coords else {}
            coords[dim] = xr.Variable((dim,), centres[name], dict(attrs))
    made = xr.DataArray(data, coords, source.dims, attrs=_attrs(source.attrs, design))
    made.name = source.name  # later, since a dask array would give it its own for want of one
    made.encoding = {k: v for k, v in source.encoding.items() if k in KEPT_ENCODING}
    made.rio.set_spatial_dims(x, y, inplace=True)
    if target.source.control_points:
        made.rio.write_gcps(target.control_points(), target.source.control_crs, inplace=True)
    if transform is not None or _mapped(source):
        made.rio.write_transform(transform or Affine.identity(), inplace=True)
    if design.roles.selection.nodata is not None:
        made.rio.write_nodata(design.roles.selection.nodata, inplace=True)
    return made


def _attrs(told: Mapping[Any, Any], design: PixelPlan) -> dict[Any, Any]:
    """The attributes that still hold, and the provenance of a result."""
    kept = {k: v for k, v in told.items() if not str(k).startswith(STALE)}
    tags = {k: v for k, v in design.tags().items() if v}
    return {**kept, **tags}


def with_bands(array: xr.DataArray, numbers: tuple[int, ...]) -> xr.DataArray:
    """Those bands of an array, counted from 1, in this order, with their attributes."""
    count = array.sizes.get(BAND, 1)
    if BAND not in array.dims or numbers == tuple(range(1, count + 1)):
        return array
    chosen = array.isel({BAND: [n - 1 for n in numbers]})
    for name in PER_BAND:
        told = array.attrs.get(name)
        if isinstance(told, tuple | list) and len(told) == count:
            chosen.attrs[name] = tuple(told[n - 1] for n in numbers)
    chosen.encoding = dict(array.encoding)
    return chosen
