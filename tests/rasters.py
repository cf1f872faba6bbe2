"""Rasters for the tests, and readers that are not ours: rasterio, and GDAL's own gdalinfo."""

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
    """rasterio's dataset, without the warning that it has no georeference."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, mode, **profile) as dataset:
            yield dataset


def write(  # noqa: PLR0913 (as many as a raster has parts)
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
    """Write (band, y, x) as a plain GeoTIFF with an internal mask (y, x) if one is given."""
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
    """All pixels: (band, y, x)."""
    with opened(path) as dataset:
        pixels: Array = dataset.read()
    return pixels


def masks(path: Path) -> npt.NDArray[np.bool_]:
    """GDAL's mask of each band: (band, y, x)."""
    with opened(path) as dataset:
        valid: npt.NDArray[np.bool_] = dataset.read_masks() > 0
    return valid


def transform_of(path: Path) -> Affine:
    """The transform as rasterio reads it."""
    with opened(path) as dataset:
        transform: Affine = dataset.transform
    return transform


def gdalinfo(tools: Path, path: Path, *options: str) -> dict[str, Any]:
    """What GDAL's own tool says of a file."""
    ran = subprocess.run(
        [tools / "gdalinfo", "-json", *options, path], check=True, capture_output=True, text=True
    )
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


def textured(seed: int, *shape: int, dtype: str = "uint8", high: float = 255.0) -> Array:
    """Smooth random texture over the whole range, (band, y, x): an image to networks."""
    generator = np.random.default_rng(seed)
    values = generator.random(shape)
    for axis in (1, 2):
        for _ in range(2):
            values = (values + np.roll(values, 1, axis) + np.roll(values, -1, axis)) / 3
    values = (values - values.min()) / np.ptp(values) * high
    rounded: Array = np.rint(values) if np.dtype(dtype).kind in "ui" else values
    return rounded.astype(dtype)
