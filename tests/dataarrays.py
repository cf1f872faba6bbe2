"""Arrays as rioxarray opens them, and their comparison with files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rioxarray
import xarray as xr
from rasterio.errors import NotGeoreferencedWarning


def opened(path: Path, **options: Any) -> xr.DataArray:
    """Open a raster with rioxarray; the array is lazy if ``chunks`` is given."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        array = rioxarray.open_rasterio(path, **options)
    assert isinstance(array, xr.DataArray)
    return array


def assert_same(result: xr.DataArray, out: Path) -> None:
    """Assert that a result equals a file: pixels byte for byte, grid, dtype and nodata."""
    expected = opened(out)
    assert result.dims == expected.dims
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result.values, expected.values)
    assert ("x" in result.coords) == ("x" in expected.coords)
    for dim in {"y", "x"} & {*expected.coords}:
        np.testing.assert_array_equal(result[dim].values, expected[dim].values)
    assert result.rio.crs == expected.rio.crs
    assert result.rio.transform() == expected.rio.transform()
    assert result.rio.nodata == expected.rio.nodata or np.isnan(expected.rio.nodata)
