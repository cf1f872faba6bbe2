"""A result's final format, and GDAL's creation options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from rasterio.enums import Resampling

from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Grid
from rs_superres.raster.gdal import BLOCK, FAILURES, one_line, writing


def creation_options(options: Sequence[str]) -> dict[str, str]:
    """GDAL creation options, ``KEY=VALUE`` each, by lower-case key.

    Raises:
        InputError: one is not of that form.
    """
    chosen = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or not key:
            raise InputError(f"creation option {option!r}, expected KEY=VALUE")
        chosen[key.lower()] = value
    return chosen


def finish(assembled: Path, out: Path, *, driver: str, options: Sequence[str]) -> None:
    """Copy an assembled result into its final format, with overviews.

    Args:
        assembled: what :func:`creating` wrote.
        out: a name that nobody looks for yet; the caller renames it.
        driver: ``COG`` or ``GTiff``.
        options: further creation options, ``KEY=VALUE``.

    Raises:
        InputError: an option that is not of that form.
        RasterError: it cannot be written.
    """
    chosen = {"compress": "DEFLATE", "bigtiff": "IF_SAFER"}
    if driver == "COG":
        chosen |= {"blocksize": str(BLOCK), "overview_resampling": "AVERAGE", "predictor": "YES"}
    else:
        chosen |= {"tiled": "YES", "blockxsize": str(BLOCK), "blockysize": str(BLOCK)}
    chosen |= creation_options(options)
    try:
        with writing():
            rasterio.shutil.copy(assembled, out, driver=driver, **chosen)
            if driver == "GTiff":
                with rasterio.open(out, "r+") as dataset:
                    dataset.build_overviews(_factors(dataset.shape), Resampling.average)
    except FAILURES as error:
        raise RasterError(f"cannot write {out}: {one_line(error)}") from error


def _factors(shape: tuple[int, int]) -> list[int]:
    """Overview factors until one block holds the image."""
    factors: list[int] = []
    while max(shape) > BLOCK * 2 ** len(factors):
        factors.append(2 ** (len(factors) + 1))
    return factors


def write_image(path: Path, pixels: npt.NDArray[np.generic], grid: Grid) -> None:
    """Write a small image, (band, y, x), as a plain GeoTIFF.

    Raises:
        RasterError: it cannot be written.
    """
    count, height, width = pixels.shape
    profile = {"count": count, "height": height, "width": width, "dtype": pixels.dtype.name}
    try:
        with rasterio.open(
            path, "w", driver="GTiff", crs=grid.crs, transform=grid.transform, **profile
        ) as dataset:
            dataset.write(pixels)
    except FAILURES as error:
        raise RasterError(f"cannot write {path}: {one_line(error)}") from error
