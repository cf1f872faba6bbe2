"""The accessor ``superres`` of ``xarray.DataArray`` and ``Dataset``; importing registers it.

The rest of the library, and with it torch, is loaded at the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import xarray as xr

import rs_superres

if TYPE_CHECKING:
    from rs_superres.api import PixelKeywords


@xr.register_dataarray_accessor("superres")
class ArrayAccessor:
    """``array.superres``."""

    def __init__(self, array: xr.DataArray) -> None:
        self._array = array

    def upscale(self, **keywords: Unpack[PixelKeywords]) -> xr.DataArray:
        """Super-resolve the array; see :func:`rs_superres.upscale`."""
        return rs_superres.upscale(self._array, **keywords)


@xr.register_dataset_accessor("superres")
class DatasetAccessor:
    """``dataset.superres``."""

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    def upscale(self, **keywords: Unpack[PixelKeywords]) -> xr.Dataset:
        """Super-resolve the dataset's rasters; see :func:`rs_superres.upscale`."""
        return rs_superres.upscale(self._dataset, **keywords)
