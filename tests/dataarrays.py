"""Files and the arrays that rioxarray makes of them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rioxarray
import xarray as xr
from rasterio.errors import NotGeoreferencedWarning


def opened(path: Path, **options: Any) -> xr.DataArray:
    """A raster as rioxarray opens it; lazy with ``chunks``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        array = rioxarray.open_rasterio(path, **options)
    assert isinstance(array, xr.DataArray)
    return array


def assert_same(result: xr.DataArray, out: Path) -> None:
    """A result and the file that it should be: pixels to the byte, place, dtype and nodata."""
    want = opened(out)
    assert result.dims == want.dims
    assert result.dtype == want.dtype
    np.testing.assert_array_equal(result.values, want.values)
    assert ("x" in result.coords) == ("x" in want.coords)
    for dim in {"y", "x"} & {*want.coords}:
        np.testing.assert_array_equal(result[dim].values, want[dim].values)
    assert result.rio.crs == want.rio.crs
    assert result.rio.transform() == want.rio.transform()
    assert result.rio.nodata == want.rio.nodata or np.isnan(want.rio.nodata)
