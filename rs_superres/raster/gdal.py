"""GDAL's settings, errors and log messages, and the part of rasterio's dataset that is used here.

This is the only module that may import private names of rasterio.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio._env import get_gdal_config, set_gdal_config
from rasterio._err import CPLE_BaseError
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Interleaving, MaskFlags, Resampling
from rasterio.errors import (
    CRSError,
    DriverRegistrationError,
    NotGeoreferencedWarning,
    RasterioError,
    RPCError,
)
from rasterio.rpc import RPC
from rasterio.windows import Window as RasterioWindow

from rs_superres.errors import RasterError, SuperResError
from rs_superres.grid import Window
from rs_superres.system.settings import ScopedSetting
from rs_superres.types import Valid, Values

FAILURES = (
    RasterioError,
    CRSError,
    RPCError,
    DriverRegistrationError,
    CPLE_BaseError,
    OSError,
)
"""Errors that rasterio raises: its own, of which three are no RasterioError, and GDAL's.

It does not always wrap GDAL's own errors, `CPLE_BaseError`.
"""

_ODD_FAILURES = (ValueError, OverflowError, MemoryError, LookupError)
"""Further errors that rasterio raises for damaged files. UnicodeError is a ValueError."""

Mask = npt.NDArray[np.uint8]
"""A mask of GDAL's: 0 where a pixel is not valid, 255 where it is, or its alpha."""

BLOCK = 512
"""Side of a result's internal tiles, in pixels."""

_NETWORK = {
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
    "GDAL_HTTP_LOW_SPEED_TIME": "30",
    "GDAL_HTTP_MAX_RETRY": "2",
    "GDAL_HTTP_RETRY_DELAY": "1",
}
"""GDAL's network options, in seconds and bytes per second. By default it waits forever."""

_GDAL_LOGGER = "rasterio._env"
"""Name of the logger to which rasterio sends GDAL's warnings."""

_gdal_logger_lock = threading.Lock()
"""Held while a thread changes the settings of GDAL's logger."""

_cache = ScopedSetting(
    partial(get_gdal_config, "GDAL_CACHEMAX"), partial(set_gdal_config, "GDAL_CACHEMAX")
)


class Dataset(Protocol):
    """The part of an open rasterio dataset that readers use."""

    driver: str
    count: int
    height: int
    width: int
    shape: tuple[int, int]
    transform: Affine
    crs: CRS | None
    gcps: tuple[Sequence[GroundControlPoint], CRS | None]
    rpcs: RPC | None
    indexes: Sequence[int]
    dtypes: Sequence[str]
    nodatavals: Sequence[float | None]
    descriptions: Sequence[str | None]
    units: Sequence[str | None]
    colorinterp: Sequence[ColorInterp]
    scales: Sequence[float]
    offsets: Sequence[float]
    mask_flag_enums: Sequence[Sequence[MaskFlags]]
    block_shapes: Sequence[tuple[int, int]]
    interleaving: Interleaving
    subdatasets: Sequence[str]
    files: Sequence[str]

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def close(self) -> None:
        """Close the file."""

    def read(
        self,
        indexes: int | Sequence[int] | None = None,
        *,
        window: RasterioWindow | None = None,
        out_shape: Sequence[int] | None = None,
    ) -> Values:
        """Read digital numbers: (y, x) of one band, else (band, y, x)."""

    def read_masks(self, indexes: int, *, window: RasterioWindow | None = None) -> Mask:
        """Read GDAL's mask of one band: (y, x), 0 where not valid."""

    def tags(self, bidx: int = 0, *, ns: str | None = None) -> dict[str, str]:
        """Return the tags of the dataset (0) or of a band, in a metadata domain."""

    def tag_namespaces(self, bidx: int = 0) -> Sequence[str]:
        """Return the metadata domains of the dataset (0) or of a band."""

    def colormap(self, bidx: int) -> dict[int, tuple[int, int, int, int]]:
        """Return the colour table of a band."""

    def overviews(self, bidx: int) -> Sequence[int]:
        """Return the factors of a band's overviews."""

    def block_windows(self, bidx: int) -> Iterator[tuple[tuple[int, int], RasterioWindow]]:
        """Iterate over the blocks in which a band is stored."""


class WritableDataset(Dataset, Protocol):
    """The part of an open rasterio dataset that writers use."""

    def write(self, values: Values, *, window: RasterioWindow | None = None) -> None:
        """Write digital numbers, (band, y, x)."""

    def write_mask(self, mask: Valid, *, window: RasterioWindow | None = None) -> None:
        """Write the mask that all bands share, (y, x)."""

    def write_colormap(self, bidx: int, colours: Mapping[int, tuple[int, int, int, int]]) -> None:
        """Write the colour table of a band."""

    def set_band_description(self, bidx: int, value: str) -> None:
        """Set the description of a band."""

    def set_band_unit(self, bidx: int, value: str) -> None:
        """Set the unit of a band's values."""

    def update_tags(self, bidx: int = 0, /, *, ns: str | None = None, **tags: str) -> None:
        """Add tags to the dataset (0) or to a band, in a metadata domain."""

    def build_overviews(self, factors: Sequence[int], resampling: Resampling) -> None:
        """Compute and store overviews."""


def one_line(error: BaseException) -> str:
    """Return the message of a library's error on one line."""
    if "See previous exception" in str(error) and error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def raster_errors(failure: str) -> Iterator[None]:
    """Turn errors of rasterio into `RasterError`; errors of this library pass unchanged.

    Args:
        failure: Beginning of the message, for example "cannot open a.tif".

    Raises:
        RasterError: If rasterio fails.
    """
    try:
        yield
    except SuperResError:
        raise
    except (*FAILURES, *_ODD_FAILURES) as error:
        raise RasterError(f"{failure}: {one_line(error)}") from error


@contextmanager
def reading() -> Iterator[None]:
    """Set GDAL's options for reading: network time-outs, unless the environment sets them."""
    with rasterio.Env(**{k: v for k, v in _NETWORK.items() if k not in os.environ}):
        yield


@contextmanager
def writing() -> Iterator[None]:
    """Set GDAL's options for writing: masks inside the file, and all cores.

    A missing georeference is no reason for a warning.
    """
    with (
        warnings.catch_warnings(),
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True, GDAL_NUM_THREADS="ALL_CPUS"),
    ):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def open_dataset(path: str | os.PathLike[str], **options: Any) -> Dataset:
    """Open a raster with rasterio, without its warning about a missing georeference."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        dataset: Dataset = rasterio.open(path, **options)
        return dataset


def check_proj(path: str) -> None:
    """Refuse to work without PROJ's database: CRSs would lose their codes.

    Args:
        path: The raster that has a CRS.

    Raises:
        RasterError: PROJ has no database, or one of another version.
    """
    try:
        with rasterio.Env():  # outside it, GDAL writes its errors to stderr
            CRS.from_epsg(4326)
    except FAILURES as error:
        reason = one_line(error).rpartition("from_database: ")[2].rstrip(".")
        variables = [v for v in ("PROJ_DATA", "PROJ_LIB") if v in os.environ]
        todo = " and ".join(f"unset {v} ({os.environ[v]})" for v in variables)
        raise RasterError(
            f"cannot read the CRS of {path}: PROJ finds no database that it can use ({reason}); "
            + (f"{todo}, so that rasterio uses its own" if variables else "install rasterio again")
        ) from error


def rasterio_window(window: Window) -> RasterioWindow:
    """Convert a window to rasterio's type."""
    return RasterioWindow(window.column, window.row, window.width, window.height)


def block_cache(size: int) -> AbstractContextManager[None]:
    """Limit GDAL's block cache, which all rasters share, unless GDAL_CACHEMAX is set.

    GDAL's default is a twentieth of the machine's memory, even in a container with a lower limit.

    Args:
        size: Largest size of the cache, in bytes.
    """
    return nullcontext() if "GDAL_CACHEMAX" in os.environ else _cache.held(size)


class _MessageCollector(logging.Filter):
    """Collects the log messages of the thread that creates it.

    A logger calls its filters before its handlers. This one therefore sees records that the user's
    level would drop, and drops them afterwards.
    """

    def __init__(self, user_level: int) -> None:
        super().__init__()
        self.messages: list[str] = []
        self._user_level = user_level
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Collect a record; let it pass if its level is at least the user's."""
        if threading.get_ident() == self._thread:
            self.messages.append(record.getMessage())
        return record.levelno >= self._user_level


@contextmanager
def gdal_warnings() -> Iterator[list[str]]:
    """Collect GDAL's warnings on this thread, whatever level the user gave to rasterio's logger.

    rasterio passes GDAL's warnings to a logger only, so the block changes that logger's level and
    restores it. Other threads that use this function wait. After `logging.disable(WARNING)`
    nothing is collected.

    Yields:
        A list that grows by each warning.
    """
    logger = logging.getLogger(_GDAL_LOGGER)
    with _gdal_logger_lock:
        level, disabled = logger.level, logger.disabled
        user_level = logging.CRITICAL + 1 if disabled else logger.getEffectiveLevel()
        collector = _MessageCollector(user_level)
        logger.addFilter(collector)
        logger.setLevel(min(user_level, logging.WARNING))
        logger.disabled = False
        try:
            yield collector.messages
        finally:
            logger.disabled = disabled
            logger.setLevel(level)
            logger.removeFilter(collector)
