"""Super-resolves xarray, NumPy and dask arrays."""

from rs_superres.arrays.dataarray import upscale_array
from rs_superres.arrays.dataset import upscale_dataset

__all__ = ["upscale_array", "upscale_dataset"]
