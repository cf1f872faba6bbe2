"""Rasters for tests, and readers independent of this library: rasterio and gdalinfo."""

from __future__ import annotations

import json
import subprocess
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

Array = npt.NDArray[Any]

UTM = "EPSG:32633"
NORTH_UP = Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_400_000.0)
RGB = ("red", "green", "blue")


@contextmanager
def opened(path: str | Path, mode: str = "r", **profile: Any) -> Iterator[Any]:
    """Open a raster with rasterio, without its warning about a missing georeference."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, mode, **profile) as dataset:
            yield dataset


def write(  # noqa: PLR0913 (a raster has as many properties)
    path: Path,
    pixels: Array,
    *,
    transform: Affine | None = NORTH_UP,
    crs: Any = UTM,
    colours: Sequence[str] = (),
    mask: Array | None = None,
    tags: Mapping[str, str] | None = None,
    **profile: Any,
) -> Path:
    """Write pixels, (band, y, x), as a GeoTIFF, with an internal mask, (y, x), if given."""
    count, height, width = pixels.shape
    profile |= {"count": count, "height": height, "width": width, "dtype": pixels.dtype.name}
    if transform is not None:
        profile["transform"] = transform
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        opened(path, "w", driver="GTiff", crs=crs, **profile) as dataset,
    ):
        if colours:
            dataset.colorinterp = [ColorInterp[c] for c in colours]
        dataset.update_tags(**(tags or {}))
        dataset.write(pixels)
        if mask is not None:
            dataset.write_mask(mask)
    return path


def read(path: Path) -> Array:
    """Read all pixels, (band, y, x)."""
    with opened(path) as dataset:
        pixels: Array = dataset.read()
    return pixels


def masks(path: Path) -> npt.NDArray[np.bool_]:
    """Read GDAL's mask of each band, (band, y, x)."""
    with opened(path) as dataset:
        valid: npt.NDArray[np.bool_] = dataset.read_masks() > 0
    return valid


def read_crs(path: Path) -> str:
    """Read the CRS with rasterio, as WKT."""
    with opened(path) as dataset:
        wkt: str = dataset.crs.to_wkt()
    return wkt


def transform_of(path: Path) -> Affine:
    """Read the transform with rasterio."""
    with opened(path) as dataset:
        transform: Affine = dataset.transform
    return transform


def gdalinfo(tools: Path, path: Path, *options: str) -> dict[str, Any]:
    """Read the JSON report of gdalinfo."""
    process = subprocess.run(
        [tools / "gdalinfo", "-json", *options, path], check=True, capture_output=True, text=True
    )
    report: dict[str, Any] = json.loads(process.stdout)
    return report


def textured(seed: int, *shape: int, dtype: str = "uint8", high: float = 255.0) -> Array:
    """Make a smooth random texture from 0 to ``high``, (band, y, x)."""
    generator = np.random.default_rng(seed)
    values = generator.random(shape)
    for axis in (1, 2):
        for _ in range(2):
            values = (values + np.roll(values, 1, axis) + np.roll(values, -1, axis)) / 3
    values = (values - values.min()) / np.ptp(values) * high
    rounded: Array = np.rint(values) if np.dtype(dtype).kind in "ui" else values
    return rounded.astype(dtype)
