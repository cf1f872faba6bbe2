"""Sources whose place shows in their values, and results on finer grids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from affine import Affine

from tests import rasters
from tests.rasters import NORTH_UP, RGB, Array

SCALE = 3


def ramps(height: int, width: int, step: float) -> Array:
    """Return a band of rows, one of columns, and a constant one, (band, y, x).

    The values of the first two are a pixel's centre in source pixels, times 10.

    Args:
        height: rows.
        width: columns.
        step: size of a pixel, source pixels.
    """
    rows, columns = np.mgrid[:height, :width]
    return np.stack(
        [10 * step * (rows + 0.5), 10 * step * (columns + 0.5), np.full(rows.shape, 90)]
    )


def write_pair(
    folder: Path, height: int = 20, width: int = 24, *, dtype: str = "uint8", added: float = 0
) -> tuple[Path, Path]:
    """Write a source, and a result that is exact plus ``added``; return result and source."""
    source = rasters.write(
        folder / "source.tif", np.rint(ramps(height, width, 1)).astype(dtype), colours=RGB
    )
    fine = ramps(height * SCALE, width * SCALE, 1 / SCALE) + added
    result = rasters.write(
        folder / "result.tif",
        np.rint(fine).astype(dtype),
        colours=RGB,
        transform=NORTH_UP @ Affine.scale(1 / SCALE),
    )
    return result, source


def write_noise(
    folder: Path, side: int, bands: int = 3, dtype: str = "uint8", scale: int = 2
) -> tuple[Path, Path]:
    """Write a source and a result of noise, which does not shrink; return result and source."""
    generator = np.random.default_rng(1)
    paths = []
    for name, size, step in (("result", side * scale, 1 / scale), ("source", side, 1.0)):
        shape = (bands, size, size)
        whole = np.dtype(dtype).kind in "iu"
        values = generator.integers(0, 2**16, shape) if whole else generator.normal(size=shape)
        values = values.astype(dtype)
        transform = NORTH_UP @ Affine.scale(step)
        paths.append(rasters.write(folder / f"{name}.tif", values, transform=transform))
    return paths[0], paths[1]
