"""What all modules of this package share: how rasterio fails, and in which words it is told."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError

FAILURES = (RasterioError, CPLE_BaseError, OSError)
"""What rasterio raises; GDAL's own errors are not always wrapped."""

BLOCK = 512
"""Pixels: the side of a result's internal tiles."""


def one_line(error: BaseException) -> str:
    """The message of a library's error, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def opened(path: str) -> Any:
    """rasterio's dataset, without the warning that it has no georeference."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


@contextmanager
def writing() -> Iterator[None]:
    """How results are written: masks in the file, all cores, no word on a missing georeference."""
    with (
        warnings.catch_warnings(),
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True, GDAL_NUM_THREADS="ALL_CPUS"),
    ):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
