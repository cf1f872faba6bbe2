"""Datasets: variables that are bands of one raster are super-resolved as one."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import xarray as xr

from rs_superres.arrays.conventions import BAND, COLOURS, spatial_dims
from rs_superres.arrays.dataarray import upscale_array
from rs_superres.errors import InputError
from rs_superres.options import PixelOptions

Names = Mapping[str, Sequence[Hashable]]
"""Variables by role: ``rgb``, ``nearest``."""


def upscale_dataset(dataset: xr.Dataset, options: PixelOptions, names: Names) -> xr.Dataset:
    """Super-resolve the variables that have y and x; others are passed on.

    A variable with a band dimension is a raster of its own. Of the others those that are alike, in
    dimensions, dtype and nodata, are the bands of one raster, in their order.

    Args:
        dataset: its variables.
        options: what is asked for; its band numbers count for variables with a band dimension.
        names: the roles of variables that are one band each.

    Raises:
        InputError: as :func:`upscale_array`, or a variable that is not there.
    """
    y, x = spatial_dims(dataset)
    rasters = {n: v for n, v in dataset.data_vars.items() if y in v.dims and x in v.dims}
    single = [n for n, v in rasters.items() if BAND not in v.dims]
    for role, members in names.items():
        for name in members:
            if name not in single:
                known = ", ".join(map(str, single)) or "none"
                raise InputError(
                    f"{role} names {name!r}, expected names of variables of one band ({known}), or "
                    "band numbers where variables have a band dimension"
                )
    if (options.rgb or options.nearest or options.bidx) and len(single) == len(rasters):
        raise InputError(
            "bidx, rgb or nearest goes by numbers where no variable has a band dimension; expected "
            f"names of variables: {', '.join(map(str, single))}"
        )
    made: dict[Hashable, Any] = {}
    for members in _alike({n: rasters[n] for n in single}):
        made |= _upscaled([rasters[n] for n in members], members, options, names)
    for name in rasters.keys() - {*single}:
        made[name] = upscale_array(rasters[name], options)
    variables = {n: made.get(n, v) for n, v in dataset.data_vars.items()}
    return xr.Dataset(variables, attrs=dataset.attrs)


def _alike(rasters: Mapping[Hashable, xr.DataArray]) -> list[list[Hashable]]:
    """The names of variables that can be bands of one raster, in their order."""
    groups: dict[str, list[Hashable]] = {}
    for name, band in rasters.items():
        kind = repr((band.dims, band.dtype, band.rio.nodata, band.encoding.get("dtype")))
        groups.setdefault(kind, []).append(name)
    return list(groups.values())


def _upscaled(
    bands: list[xr.DataArray], members: list[Hashable], options: PixelOptions, names: Names
) -> dict[Hashable, xr.DataArray]:
    """Bands of one raster, super-resolved as one, by name."""
    numbers = {
        role: tuple(members.index(n) + 1 for n in named if n in members)
        for role, named in names.items()
    }
    options = replace(options, rgb=numbers.get("rgb", ()), nearest=numbers.get("nearest", ()))
    whole = upscale_array(_stacked(bands, members), options)
    provenance = {k: v for k, v in whole.attrs.items() if k.startswith("SUPERRES_")}
    made = {}
    for i, (name, band) in enumerate(zip(members, bands, strict=True)):
        part = whole.isel({BAND: i}, drop=True).rename(name)
        part.attrs = {**band.attrs, **provenance}
        part.encoding = dict(whole.encoding)
        made[name] = part
    return made


def _stacked(bands: list[xr.DataArray], members: list[Hashable]) -> xr.DataArray:
    """Variables as the bands of one array, named by what tells their colours."""
    told = [str(band.attrs.get("long_name", "")).lower() for band in bands]
    labels = [t if t in COLOURS else str(n) for t, n in zip(told, members, strict=True)]
    plain = [band.drop_attrs().rename(None) for band in bands]
    stack = xr.concat(plain, BAND, coords="minimal", compat="override")
    # The CRS and nodata stand in attributes and encodings, which a concatenation drops.
    coords: dict[Hashable, Any] = {n: c for n, c in bands[0].coords.items() if n != BAND}
    stack = stack.assign_coords({**coords, BAND: labels}).rename(", ".join(map(str, members)))
    stack.attrs = {k: v for k, v in bands[0].attrs.items() if k != "long_name"}
    stack.encoding = dict(bands[0].encoding)
    return stack
