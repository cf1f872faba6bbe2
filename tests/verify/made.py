"""Sources of the audit's tests, and results of them that GDAL makes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from tests import rasters
from tests.rasters import NORTH_UP, Array, textured

HEIGHT, WIDTH = 150, 170


def pixels(dtype: str = "uint8", bands: int = 3, *, hole: float | None = None) -> Array:
    """Texture of a dtype, perhaps with a hole of a value."""
    high = {"uint8": 255.0, "uint16": 9000.0, "float32": 1.0}[dtype]
    values = textured(3, bands, HEIGHT, WIDTH, high=high, dtype="float64") * 0.7 + 0.1 * high
    out = (np.rint(values) if dtype != "float32" else values).astype(dtype)
    if hole is not None:
        out[:, 60:90, 50:80] = hole
    return out


def source(path: Path, dtype: str = "uint8", *, hole: float | None = None) -> Path:
    """A source with or without a hole."""
    return rasters.write(path, pixels(dtype, hole=hole), nodata=hole)


def enlarged(
    tools: Path, given: Path, out: Path, scale: float, kernel: str = "cubic",
    tool: str = "gdal_translate",
) -> Path:  # fmt: skip
    """What GDAL makes of a source."""
    if tool == "gdal_translate":
        size = [str(round(side * scale)) for side in (WIDTH, HEIGHT)]
        options = ["-of", "GTiff", "-outsize", *size]
    else:
        options = ["-tr", *[repr(NORTH_UP.a / scale)] * 2]
    subprocess.run(
        [tools / tool, "-q", "-r", kernel, *options, given, out], check=True, capture_output=True
    )
    return out
