"""Sources for the audit's tests, and results that GDAL makes from them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from tests import rasters
from tests.rasters import NORTH_UP, Array, textured

HEIGHT, WIDTH = 150, 170


def pixels(dtype: str = "uint8", bands: int = 3, *, hole: float | None = None) -> Array:
    """Return texture, (band, y, x), with a rectangle of the value ``hole`` if it is given."""
    high = {"uint8": 255.0, "uint16": 9000.0, "float32": 1.0}[dtype]
    values = textured(3, bands, HEIGHT, WIDTH, high=high, dtype="float64") * 0.7 + 0.1 * high
    image = (np.rint(values) if dtype != "float32" else values).astype(dtype)
    if hole is not None:
        image[:, 60:90, 50:80] = hole
    return image


def write_source(path: Path, dtype: str = "uint8", *, hole: float | None = None) -> Path:
    """Write a source; ``hole`` is its nodata value and the value of its hole."""
    return rasters.write(path, pixels(dtype, hole=hole), nodata=hole)


def upscale_with_gdal(
    tools: Path,
    source: Path,
    out: Path,
    scale: float,
    kernel: str = "cubic",
    tool: str = "gdal_translate",
) -> Path:
    """Interpolate a source with one of GDAL's tools."""
    if tool == "gdal_translate":
        size = [str(round(side * scale)) for side in (WIDTH, HEIGHT)]
        options = ["-of", "GTiff", "-outsize", *size]
    else:
        options = ["-tr", *[repr(NORTH_UP.a / scale)] * 2]
    subprocess.run(
        [tools / tool, "-q", "-r", kernel, *options, source, out], check=True, capture_output=True
    )
    return out
