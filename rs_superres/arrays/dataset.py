"""Super-resolves an ``xarray.Dataset``: variables that are alike are bands of one raster."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import xarray as xr

from rs_superres.arrays.conventions import BAND, spatial_dims
from rs_superres.arrays.dataarray import upscale_array
from rs_superres.errors import InputError
from rs_superres.options import PixelOptions, RgbOption
from rs_superres.raster import Band, colour_of

logger = logging.getLogger(__name__)

Names = Mapping[str, Sequence[Hashable]]
"""Names of variables by role, ``rgb`` or ``nearest``."""


def upscale_dataset(
    dataset: xr.Dataset, options: PixelOptions, names: Names, progress: bool | None = None
) -> xr.Dataset:
    """Super-resolve the variables that have y and x; other variables are copied.

    A variable with a band dimension is a raster. The variables without one are grouped by
    dimensions, dtype and nodata value: each group is one raster, with its bands in their order.

    Args:
        dataset: Has at least one variable with y and x.
        options: PixelOptions of the run; band numbers refer to variables with a band dimension.
        names: The roles of variables without a band dimension.
        progress: Whether to show a bar for each raster; see :func:`upscale_array`.

    Raises:
        InputError: A named variable does not exist, or as for :func:`upscale_array`.
        ModelError: The model cannot be used.

    Warns:
        CardWarning: The source or the scale lies outside what the model was trained on.
    """
    y, x = spatial_dims(dataset)
    rasters = {n: v for n, v in dataset.data_vars.items() if y in v.dims and x in v.dims}
    single = [n for n, v in rasters.items() if BAND not in v.dims]
    known = ", ".join(map(str, single)) or "none"
    for role, members in names.items():
        for name in members:
            if name not in single:
                raise InputError(
                    f"{role}= has {name!r}, expected names of variables with one band ({known}), "
                    "or band numbers if variables have a band dimension"
                )
    numbered = options.rgb != "none" and options.rgb
    if (numbered or options.nearest or options.bidx) and len(single) == len(rasters):
        raise InputError(
            "bidx=, rgb= or nearest= has band numbers, but no variable has a band dimension; "
            f"expected names of variables: {known}"
        )
    groups = _alike({n: rasters[n] for n in single})
    logger.debug("bands of one raster each: %s", groups)
    results: dict[Hashable, Any] = {}
    for members in groups:
        results |= _upscaled([rasters[n] for n in members], members, options, names, progress)
    for name in rasters.keys() - {*single}:
        results[name] = upscale_array(rasters[name], options, progress)
    variables = {n: results.get(n, v) for n, v in dataset.data_vars.items()}
    return xr.Dataset(variables, attrs=dataset.attrs)


def _alike(rasters: Mapping[Hashable, xr.DataArray]) -> list[list[Hashable]]:
    """Group the names of variables that can be bands of one raster, in their order."""
    groups: dict[str, list[Hashable]] = {}
    for name, band in rasters.items():
        kind = repr((band.dims, band.dtype, band.rio.nodata, band.encoding.get("dtype")))
        groups.setdefault(kind, []).append(name)
    return list(groups.values())


def _upscaled(
    bands: list[xr.DataArray],
    members: list[Hashable],
    options: PixelOptions,
    names: Names,
    progress: bool | None,
) -> dict[Hashable, xr.DataArray]:
    """Super-resolve variables as the bands of one raster.

    Args:
        bands: The variables.
        members: Their names.
        options: PixelOptions of the run.
        names: The roles of variables, of these and of others.
        progress: Whether to show a bar.

    Returns:
        Results by the variables' names.
    """
    numbers = {
        role: tuple(members.index(n) + 1 for n in role_names if n in members)
        for role, role_names in names.items()
    }
    rgb: RgbOption = numbers.get("rgb", ())
    if options.rgb == "none":
        rgb = "none"
    options = replace(options, rgb=rgb, nearest=numbers.get("nearest", ()))
    stack = upscale_array(_stacked(bands, members), options, progress)
    provenance = {k: v for k, v in stack.attrs.items() if k.startswith("SUPERRES_")}
    results = {}
    for i, (name, band) in enumerate(zip(members, bands, strict=True)):
        result = stack.isel({BAND: i}, drop=True).rename(name)
        result.attrs = {**band.attrs, **provenance}
        result.encoding = dict(stack.encoding)
        results[name] = result
    return results


def _stacked(bands: list[xr.DataArray], members: list[Hashable]) -> xr.DataArray:
    """Stack variables along the band dimension.

    A band's label is the variable's long name if that says a colour or alpha, else the variable's
    name.
    """
    long_names = [str(band.attrs.get("long_name", "")) for band in bands]
    labels = [
        n if n.lower() == "alpha" or colour_of(Band(dtype="uint8", description=n)) else str(m)
        for n, m in zip(long_names, members, strict=True)
    ]
    plain = [band.drop_attrs().rename(None) for band in bands]
    stack = xr.concat(plain, BAND, coords="minimal", compat="override")
    # A concatenation drops attributes and encodings, which hold the CRS and nodata.
    coords: dict[Hashable, Any] = {n: c for n, c in bands[0].coords.items() if n != BAND}
    stack = stack.assign_coords({**coords, BAND: labels}).rename(", ".join(map(str, members)))
    stack.attrs = {k: v for k, v in bands[0].attrs.items() if k != "long_name"}
    stack.encoding = dict(bands[0].encoding)
    return stack
