"""Reads and writes the metadata of an ``xarray.DataArray`` by rioxarray's conventions."""

from __future__ import annotations

import re
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
from rs_superres.raster import Band, Description, Target, inspect, with_alpha
from rs_superres.raster.metadata import holds

BAND = "band"
"""Name of the dimension along which the bands of a scene lie."""

UNEVEN = 0.01
"""Largest accepted error of evenly spaced coordinates, in pixels; float32 coordinates need it."""

COUNTED = re.compile(r"band_\d+")
"""Names that rioxarray gives to bands as variables: they say nothing but the position."""

KEPT_ENCODING = ("_FillValue", "dtype", "scale_factor", "add_offset", "rasterio_dtype")
"""Keys of an encoding that hold for a result too; those about chunks and files do not."""

STALE = ("STATISTICS_", "transform", "res")
"""Prefixes of attributes that do not hold for a result."""

PER_BAND = ("long_name", "units", "scales", "offsets", "nodatavals", "descriptions")
"""Attributes in which rioxarray has one value for each band."""


def spatial_dims(array: xr.DataArray | xr.Dataset) -> tuple[Hashable, Hashable]:
    """Return the names of the dimensions that count rows and columns: y and x.

    Raises:
        InputError: The array has no such dimensions, or none with a known name.
    """
    try:
        return array.rio.y_dim, array.rio.x_dim
    except MissingSpatialDimensionError as error:
        raise InputError(
            f"the array has dimensions {', '.join(map(str, array.dims)) or 'none'}, expected y and "
            "x (or latitude and longitude) among them; rename them, or call rio.set_spatial_dims"
        ) from error


def describe(array: xr.DataArray) -> Description:
    """Return the metadata of an array in the form of a raster's.

    Raises:
        InputError: The array cannot be super-resolved, or its coordinates are not evenly spaced.
    """
    y, x = spatial_dims(array)
    name = "the array" if array.name is None else f"the array {array.name}"
    if any(np.isnan(size) for size in array.shape):
        raise InputError(
            f"{name} has chunks of unknown size; call compute_chunk_sizes() on its dask array"
        )
    if 0 in array.shape:
        sizes = ", ".join(f"{dim} {size}" for dim, size in array.sizes.items())
        raise InputError(f"{name} is empty ({sizes}), expected at least one pixel")
    if array.dtype.name not in DTYPES:
        hint = (
            "take the amplitude first: abs(array)"
            if array.dtype.kind == "c"
            else 'convert it first, for example with array.astype("float64")'
        )
        raise InputError(
            f"{name} has dtype {array.dtype.name}, supported are {', '.join(DTYPES)}; {hint}"
        )
    shape = Shape(array.sizes[y], array.sizes[x])
    points = tuple(array.rio.get_gcps() or ())
    crs = None if array.rio.crs is None else array.rio.crs.to_wkt()
    grid = Grid(shape, None) if points else Grid(shape, _transform(array, y, x, crs), crs)
    bands = _bands(array)
    return Description(
        path=name,
        driver="xarray",
        grid=grid,
        bands=bands,
        mask_flags=tuple(("all_valid",) if b.nodata is None else ("nodata",) for b in bands),
        dataset_mask=False,
        tags={},
        control_points=points,
        control_crs=crs if points else None,
    )


def _bands(array: xr.DataArray) -> tuple[Band, ...]:
    """Return the bands of an array.

    What they say of themselves comes from the file that the array was read from, or else from their
    names, and from coordinates along the bands such as ``common_name`` and ``wavelength``.
    """
    count = array.sizes.get(BAND, 1)
    labels = array.coords[BAND].values.reshape(-1).tolist() if BAND in array.coords else []
    names = array.attrs.get("long_name")
    if not isinstance(names, tuple | list) or len(names) != count:
        names = labels or [None] * count
    about = {n: c.values for n, c in array.coords.items() if c.dims == (BAND,) and n != BAND}
    bands = _bands_of_file(array, labels) or [
        Band(
            dtype=array.dtype.name,
            description=name if isinstance(name, str) and not COUNTED.fullmatch(name) else None,
            interpretation="alpha" if str(name).lower() == "alpha" else "undefined",
            tags={str(key): str(values[i]) for key, values in about.items()},
        )
        for i, name in enumerate(names)
    ]
    bands = [replace(b, dtype=array.dtype.name, nodata=_nodata(array), alpha=None) for b in bands]
    return with_alpha(bands)


def _bands_of_file(array: xr.DataArray, labels: Sequence[Any]) -> list[Band]:
    """Return an array's bands as its file describes them; an empty list if the file is unknown.

    Args:
        array: Read by rioxarray, which keeps the path of the file in the encoding.
        labels: Coordinates of the band dimension: band numbers in the file, from 1.
    """
    path = array.encoding.get("source")
    if not isinstance(path, str) or not labels or array.encoding.get("rasterio_dtype") is None:
        return []
    try:
        bands = inspect(path)[0].bands
    except (InputError, RasterError):
        return []
    if not all(isinstance(n, int) and 1 <= n <= len(bands) for n in labels):
        return []
    return [bands[n - 1] for n in labels]


def _nodata(array: xr.DataArray) -> float | None:
    """Return the nodata value; None if there is none or the dtype does not hold it."""
    try:
        nodata = array.rio.nodata
    except (OverflowError, ValueError):
        return None
    return float(nodata) if nodata is not None and holds(array.dtype.name, nodata) else None


def _transform(array: xr.DataArray, y: Hashable, x: Hashable, crs: str | None) -> Affine | None:
    """Return the transform from pixel to map coordinates; None if there is none.

    The ``GeoTransform`` attribute counts if the coordinates agree with it, or if it is rotated.
    """
    attrs = array.coords[array.rio.grid_mapping].attrs if _has_grid_mapping(array) else {}
    text = attrs.get("GeoTransform")
    transform = None if text is None else Affine.from_gdal(*map(float, str(text).split()))
    rotated = transform is not None and not (transform.b == transform.d == 0)
    if not rotated and y in array.coords and x in array.coords:
        transform = _transform_of_coordinates(array, y, x, transform)
    # As in files, an identity without a CRS means that there is no transform.
    return None if transform == Affine.identity() and crs is None else transform


def _has_grid_mapping(array: xr.DataArray) -> bool:
    """Return whether a coordinate holds the CRS and the transform."""
    return array.rio.grid_mapping in array.coords


def _transform_of_coordinates(
    array: xr.DataArray, y: Hashable, x: Hashable, written: Affine | None
) -> Affine:
    """Return the transform for which the coordinates are those of pixel centres.

    Args:
        array: Has coordinates along y and x.
        y: The dimension that counts rows.
        x: The dimension that counts columns.
        written: The transform in the attributes. If the coordinates agree with it, up to a shift
            by whole pixels, the result is exactly this transform, shifted.

    Raises:
        InputError: The coordinates are not evenly spaced.
    """
    steps = (written.e, written.a) if written is not None else (None, None)
    (top, down), (left, across) = (
        _first_and_step(array.coords[dim].values.astype(np.float64), str(dim), step)
        for dim, step in zip((y, x), steps, strict=True)
    )
    if written is not None:
        column, row = (v - 0.5 for v in ~written @ (left, top))
        offset = max(abs(column - round(column)), abs(row - round(row)))
        sides = max(array.sizes[x], array.sizes[y])
        drift = max(abs(across / written.a - 1), abs(down / written.e - 1)) * sides
        if max(offset, drift) < UNEVEN:
            return written @ Affine.translation(round(column), round(row))
    return Affine(across, 0, left - across / 2, 0, down, top - down / 2)


def _first_and_step(values: Any, name: str, step: float | None) -> tuple[float, float]:
    """Return the first value and the spacing of coordinates.

    Args:
        values: Coordinates of pixel centres along one dimension.
        name: The dimension, for messages.
        step: The spacing to use for a single coordinate, if known.

    Raises:
        InputError: The coordinates are not evenly spaced, or the spacing is unknown.
    """
    if len(values) > 1:
        step = float(values[-1] - values[0]) / (len(values) - 1)
    elif step is None:
        raise InputError(
            f"the array has one pixel along {name}, so the size of a pixel is unknown; "
            "call rio.write_transform first"
        )
    even = values[0] + step * np.arange(len(values))
    if (
        not step
        or not np.isfinite(values).all()
        or np.abs(values - even).max() > UNEVEN * abs(step)
    ):
        raise InputError(
            f"the coordinates along {name} are not evenly spaced; resample the array to a regular "
            f"grid first (rio.reproject, interp), or drop them (drop_vars({name!r}))"
        )
    return float(values[0]), step


def with_metadata(
    data: Any, source: xr.DataArray, dims: tuple[Hashable, Hashable], plan: PixelPlan
) -> xr.DataArray:
    """Return a result as an array with the source's names and attributes and the output's grid.

    Args:
        data: The result's pixels, with the dimensions of ``source`` in the same order.
        source: The source, with the bands of the result.
        dims: The dimensions y and x.
        plan: The plan that the pixels were computed by.
    """
    y, x = dims
    target = Target(
        source=plan.description,
        zoom=plan.zoom,
        window=plan.window,
        tags={},
        masked=False,
    )
    transform = target.grid.transform
    coords: dict[Hashable, Any] = {
        name: coordinate.variable.copy(deep=True)
        for name, coordinate in source.coords.items()
        if y not in coordinate.dims and x not in coordinate.dims
    }
    unrotated = transform is None or transform.b == transform.d == 0
    if unrotated and (transform is not None or (y in source.coords and x in source.coords)):
        shape = target.grid.shape
        first = (transform or Affine.identity()) @ Affine.translation(0.5, 0.5)
        centres = {
            "y": first.f + first.e * np.arange(shape.height),
            "x": first.c + first.a * np.arange(shape.width),
        }
        for dim, name in ((y, "y"), (x, "x")):
            attrs = source.coords[dim].attrs if dim in source.coords else {}
            coords[dim] = xr.Variable((dim,), centres[name], dict(attrs))
    result = xr.DataArray(data, coords, source.dims, attrs=_attrs(source.attrs, plan))
    result.name = source.name  # not in the constructor, which replaces None by a dask array's name
    result.encoding = {k: v for k, v in source.encoding.items() if k in KEPT_ENCODING}
    result.rio.set_spatial_dims(x, y, inplace=True)
    if target.source.control_points:
        result.rio.write_gcps(target.control_points(), target.source.control_crs, inplace=True)
    if transform is not None or _has_grid_mapping(source):
        result.rio.write_transform(transform or Affine.identity(), inplace=True)
    if plan.roles.selection.nodata is not None:
        result.rio.write_nodata(plan.roles.selection.nodata, inplace=True)
    return result


def _attrs(source: Mapping[Any, Any], plan: PixelPlan) -> dict[Any, Any]:
    """Return the source's attributes that still hold, and the result's provenance."""
    kept = {k: v for k, v in source.items() if not str(k).startswith(STALE)}
    tags = {k: v for k, v in plan.tags().items() if v}
    return {**kept, **tags}


def with_bands(array: xr.DataArray, numbers: tuple[int, ...]) -> xr.DataArray:
    """Return some bands of an array, with their attributes.

    Args:
        array: With or without a band dimension.
        numbers: Band numbers from 1, in the order of the result.
    """
    count = array.sizes.get(BAND, 1)
    if BAND not in array.dims or numbers == tuple(range(1, count + 1)):
        return array
    selected = array.isel({BAND: [n - 1 for n in numbers]})
    for name in PER_BAND:
        values = array.attrs.get(name)
        if isinstance(values, tuple | list) and len(values) == count:
            selected.attrs[name] = tuple(values[n - 1] for n in numbers)
    selected.encoding = dict(array.encoding)
    return selected
