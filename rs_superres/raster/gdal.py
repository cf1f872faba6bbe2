"""GDAL's settings, errors and log messages, and the part of rasterio's dataset that is used here.

This is the only module that may import private names of rasterio.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, Protocol, Self
from urllib.request import getproxies_environment

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
    NodataShadowWarning,
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

_ODD_FAILURES = (ValueError, OverflowError, MemoryError, LookupError, SystemError)
"""Further errors that rasterio raises for damaged files. UnicodeError is a ValueError, and
SystemError means that GDAL failed without saying why.
"""

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

NETWORK = "RS_SR_NETWORK"
"""The environment variable that lets rasters refer to any host if it is "1"."""

_PROXIES = {"GDAL_HTTP_PROXY": "http", "GDAL_HTTPS_PROXY": "https"}
"""GDAL's options for proxies, and the kind of proxy in the environment that each replaces."""

_BLOCKED = "blocked://network"
"""A proxy of a kind that does not exist: curl refuses every request before it opens a socket."""

_HOST = re.compile(
    r"\b(https?|ftps?|s3|gs|az|adls?|abfss?|oss|swift|w?hdfs)://"
    r"|/vsi(curl|s3|gs|az|adls|oss|swift|hdfs|webhdfs)(_streaming)?[/?]"
    r"|^(EEDAI?|PLMOSAIC|DAAS):",
    re.IGNORECASE,
)
"""Names with which GDAL reaches a host."""

_GDAL_LOGGER = "rasterio._env"
"""Name of the logger to which rasterio sends GDAL's warnings."""

_gdal_logger_lock = threading.Lock()
"""Held while a thread changes the settings of GDAL's logger."""

_NAME_FIRST = re.compile(r"'(?P<quoted>.+?)' (?=not |does )|(?P<bare>.+?)(: |, (?=band \d))")
"""The name of a file at the beginning of a message of GDAL's."""


_warnings_lock = threading.Lock()
"""Held while a thread changes Python's warning filters, which all threads share."""

_cache = ScopedSetting(
    partial(get_gdal_config, "GDAL_CACHEMAX"), partial(set_gdal_config, "GDAL_CACHEMAX")
)

_DIRECT = {"no_proxy", "NO_PROXY"}
"""The environment variables that list hosts which curl reaches without a proxy."""

_direct_hosts = ScopedSetting(
    lambda: {name: os.environ[name] for name in _DIRECT & os.environ.keys()}, os.environ.update
)


class Dataset(Protocol):
    """The part of an open rasterio dataset that readers use."""

    name: str
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

    def read_masks(
        self,
        indexes: int,
        *,
        window: RasterioWindow | None = None,
        out_shape: Sequence[int] | None = None,
    ) -> Mask:
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


def without_name(message: str, context: str) -> str:
    """Return a message of GDAL's without the name of the file that it begins with.

    Args:
        message: For example "a.tif: No such file or directory".
        context: The text before the message; the name is removed if it is there too.
    """
    match = _NAME_FIRST.match(message)
    name = "" if match is None else match["quoted"] or match["bare"]
    return message[match.end() :] if match and f" {name} " in f" {context} " else message


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
        raise RasterError(f"{failure}: {without_name(one_line(error), failure)}") from error


def names_host(name: str) -> bool:
    """Return whether a name that a user gives to GDAL leads to another host.

    Args:
        name: A path, a URL, or anything else that GDAL opens. An existing file is none, whatever
            its folders are called.
    """
    return refers_to_host(name) and not os.path.lexists(name)


def refers_to_host(name: str) -> bool:
    """Return whether a name in a file leads GDAL to another host."""
    return _HOST.search(name) is not None


def allows_hosts(*names: str) -> bool:
    """Return whether files may refer to hosts: the user named one, or :data:`NETWORK` is 1.

    Args:
        names: What the user named.
    """
    return os.environ.get(NETWORK) == "1" or any(map(names_host, names))


def host_refusal(*names: str) -> RasterError:
    """Return the error that refuses rasters which refer to a host that the user has not named."""
    return RasterError(
        f"{', '.join(names)} refers to another host, and rs-sr connects only to hosts that you "
        f"name; copy what it refers to, or set {NETWORK}=1 if you trust it"
    )


@contextmanager
def reading(*names: str) -> Iterator[None]:
    """Set GDAL's options for reading.

    Files may come from strangers: they run no code, and they reach no host, unless one of the
    names does or the environment variable :data:`NETWORK` is 1. GDAL waits for a host for a limited
    time, unless the environment sets other limits.

    Args:
        names: What the user named and the block reads.

    Raises:
        RasterError: A file refers to a host.
    """
    options = {k: v for k, v in _NETWORK.items() if k not in os.environ}
    options["GDAL_VRT_ENABLE_PYTHON"] = "NO"
    if allows_hosts(*names):
        with rasterio.Env(**options, **_usual_proxies()):
            yield
        return
    direct = dict.fromkeys(_DIRECT & os.environ.keys(), "")
    with _direct_hosts.held(direct), rasterio.Env(**options, **dict.fromkeys(_PROXIES, _BLOCKED)):
        try:
            yield
        except FAILURES as error:
            if not any(_BLOCKED in text or refers_to_host(text) for text in _texts(error)):
                raise
            raise host_refusal(*names) from error


def _usual_proxies() -> dict[str, str]:
    """Return the proxies that GDAL would use if no other thread blocked the network.

    rasterio sets the options of the main thread for the entire process.
    """
    usual = getproxies_environment()
    options = {}
    for option, kind in _PROXIES.items():
        value = get_gdal_config(option, normalize=False)
        if value is None or value == _BLOCKED:
            value = os.environ.get(option) or usual.get(kind) or usual.get("all", "")
        options[option] = value
    return options


def _texts(error: BaseException | None) -> Iterator[str]:
    """Yield the messages of an error and of its causes."""
    while error is not None:
        yield str(error)
        error = error.__cause__ or error.__context__


@contextmanager
def writing() -> Iterator[None]:
    """Set GDAL's options for writing: masks inside the file, and all cores.

    A missing georeference is no reason for a warning.
    """
    with (
        warnings.catch_warnings(),
        rasterio.Env(
            GDAL_TIFF_INTERNAL_MASK=True,
            GDAL_NUM_THREADS="ALL_CPUS",
            # A CRS may lie in a file next to an assembled raster.
            GDAL_DISABLE_READDIR_ON_OPEN="FALSE",
        ),
    ):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def open_dataset(path: str | os.PathLike[str], **options: Any) -> Dataset:
    """Open a raster with rasterio, without its warning about a missing georeference."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        dataset: Dataset = rasterio.open(path, **options)
        return dataset


def read_mask(
    dataset: Dataset,
    band: int,
    window: RasterioWindow | None = None,
    shape: tuple[int, int] | None = None,
) -> Mask:
    """Read GDAL's mask of one band: (y, x), 0 where not valid.

    A shape smaller than the window's reads it at reduced size.

    rasterio warns, once for each band, if a raster of four bands has both alpha and nodata. Which
    of the two counts is decided in `Source`, so a caller need not be warned.
    """
    if dataset.count != 4:
        return dataset.read_masks(band, window=window, out_shape=shape)
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", NodataShadowWarning)
        return dataset.read_masks(band, window=window, out_shape=shape)


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
