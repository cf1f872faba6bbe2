"""The accessor ``superres`` of ``xarray.DataArray`` and ``Dataset``; importing it registers it.

The rest of the library, and with it torch, is imported at the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import xarray as xr

import rs_superres

if TYPE_CHECKING:
    from rs_superres.api import PixelKeywords
    from rs_superres.engine import ProgressOption


@xr.register_dataarray_accessor("superres")
class ArrayAccessor:
    """Methods of an array under ``array.superres``."""

    def __init__(self, array: xr.DataArray) -> None:
        self._array = array

    def upscale(
        self, *, progress: ProgressOption = None, **keywords: Unpack[PixelKeywords]
    ) -> xr.DataArray:
        """Super-resolve the array; :func:`rs_superres.upscale` describes the keywords."""
        return rs_superres.upscale(self._array, progress=progress, **keywords)


@xr.register_dataset_accessor("superres")
class DatasetAccessor:
    """Methods of a dataset under ``dataset.superres``."""

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    def upscale(
        self, *, progress: bool | None = None, **keywords: Unpack[PixelKeywords]
    ) -> xr.Dataset:
        """Super-resolve the rasters; :func:`rs_superres.upscale` describes the keywords."""
        return rs_superres.upscale(self._dataset, progress=progress, **keywords)
