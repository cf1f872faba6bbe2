"""What all modules of this package share: how GDAL is set up, how it fails, in which words."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import rasterio
from rasterio._env import get_gdal_config, set_gdal_config
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from rs_superres.errors import RasterError, SuperResError
from rs_superres.system.settings import ScopedSetting

FAILURES = (RasterioError, CPLE_BaseError, OSError)
"""What rasterio raises; GDAL's own errors are not always wrapped."""

_ODD_FAILURES = (ValueError, OverflowError, MemoryError, LookupError)
"""What comes out of rasterio too where a file is damaged or lies; UnicodeError is a ValueError."""

BLOCK = 512
"""Pixels: the side of a result's internal tiles."""

_NETWORK = {
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
    "GDAL_HTTP_LOW_SPEED_TIME": "30",
    "GDAL_HTTP_MAX_RETRY": "2",
    "GDAL_HTTP_RETRY_DELAY": "1",
}
"""Seconds and bytes a second: GDAL by itself waits for a silent server for ever."""

_cache = ScopedSetting(
    partial(get_gdal_config, "GDAL_CACHEMAX"), partial(set_gdal_config, "GDAL_CACHEMAX")
)


def one_line(error: BaseException) -> str:
    """The message of a library's error, on one line."""
    if "See previous exception" in str(error) and error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Say what could not be done when rasterio fails.

    Args:
        what: as in "cannot open a.tif".

    Raises:
        RasterError: in place of rasterio's errors; our own pass.
    """
    try:
        yield
    except SuperResError:
        raise
    except (*FAILURES, *_ODD_FAILURES) as error:
        raise RasterError(f"{what}: {one_line(error)}") from error


@contextmanager
def reading() -> Iterator[None]:
    """How rasters are read: no silent server is waited for, unless the environment says so."""
    with rasterio.Env(**{k: v for k, v in _NETWORK.items() if k not in os.environ}):
        yield


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


def block_cache(size: int) -> AbstractContextManager[None]:
    """How many bytes GDAL keeps of blocks, of all rasters together; the environment's word stands.

    By itself it takes a twentieth of the machine's memory, whatever a container allows.
    """
    return nullcontext() if "GDAL_CACHEMAX" in os.environ else _cache.held(size)
