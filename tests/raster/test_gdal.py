"""GDAL's options, warnings and errors."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rasterio
from rasterio._env import get_gdal_config

from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Window
from rs_superres.image.radiometry import valid_by_value
from rs_superres.raster import block_cache, check_creation, gdal, open_source, opening, source
from tests import rasters
from tests.raster.targets import target_of
from tests.rasters import textured

LOGGER = logging.getLogger("rasterio._env")
NETWORK = {
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1,
    "GDAL_HTTP_LOW_SPEED_TIME": 30,
    "GDAL_HTTP_MAX_RETRY": 2,
    "GDAL_HTTP_RETRY_DELAY": 1,
}


@pytest.fixture(autouse=True)
def _no_options_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NETWORK, "GDAL_CACHEMAX"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def network_options() -> dict[str, Any]:
    return {name: get_gdal_config(name) for name in NETWORK}


# Network time-outs


def test_opening_and_reading_have_time_outs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = rasters.write(tmp_path / "a.tif", textured(1, 1, 8, 9))
    seen = []

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            seen.append((function.__name__, network_options()))
            return function(*args)

        return call

    # Both are called where GDAL opens or reads a file.
    monkeypatch.setattr(opening, "open_dataset", watched(gdal.open_dataset))
    monkeypatch.setattr(source, "valid_by_value", watched(valid_by_value))
    with open_source(path) as raster:
        raster.read(Window(0, 0, 8, 9))
    assert seen == [("open_dataset", NETWORK), ("valid_by_value", NETWORK)]


def test_the_environment_overrides_time_outs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_HTTP_LOW_SPEED_TIME", "7")
    with gdal.reading():
        assert network_options() == NETWORK | {"GDAL_HTTP_LOW_SPEED_TIME": 7}


def test_a_silent_server_is_given_up(silent_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If GDAL ignored the option, this test would take half a minute or hang."""
    monkeypatch.setitem(gdal._NETWORK, "GDAL_HTTP_LOW_SPEED_TIME", "1")
    monkeypatch.setitem(gdal._NETWORK, "GDAL_HTTP_MAX_RETRY", "0")
    with pytest.raises(RasterError, match="cannot open"):
        open_source(f"{silent_server}/a.tif")


# The block cache


def test_the_block_cache_is_limited_and_restored() -> None:
    before = get_gdal_config("GDAL_CACHEMAX")
    with block_cache(10_000_000):
        assert get_gdal_config("GDAL_CACHEMAX") == 10_000_000
    assert get_gdal_config("GDAL_CACHEMAX") == before


def test_the_environment_overrides_the_block_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_CACHEMAX", "64")
    before = get_gdal_config("GDAL_CACHEMAX")
    with block_cache(10_000_000):
        assert get_gdal_config("GDAL_CACHEMAX") == before


# Warnings


@pytest.fixture
def log_settings() -> Iterator[None]:
    """Restore the logger of GDAL's warnings after the test."""
    before = LOGGER.level, LOGGER.disabled
    yield
    LOGGER.setLevel(before[0])
    LOGGER.disabled = before[1]


@pytest.mark.usefixtures("log_settings")
@pytest.mark.parametrize(
    ("level", "disabled"),
    [
        (logging.NOTSET, False),
        (logging.DEBUG, False),
        (logging.ERROR, False),
        (logging.CRITICAL + 1, False),
        (logging.NOTSET, True),
    ],
)
def test_bad_creation_options_are_found_at_every_log_level(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, level: int, *, disabled: bool
) -> None:
    target = target_of(rasters.write(tmp_path / "a.tif", textured(1, 1, 8, 9)), "2")
    LOGGER.setLevel(level)
    LOGGER.disabled = disabled
    with pytest.raises(InputError, match="NO_SUCH; correct or leave out this option of creation="):
        check_creation(target, driver="GTiff", options=["NO_SUCH=1"])
    assert (LOGGER.level, LOGGER.disabled) == (level, disabled)
    assert LOGGER.filters == []
    shown = [r for r in caplog.records if "NO_SUCH" in r.getMessage() and r.name == LOGGER.name]
    assert bool(shown) == (level <= logging.WARNING and not disabled)  # as the user set it
    check_creation(target, driver="GTiff", options=["COMPRESS=LZW"])


def test_only_warnings_of_the_same_thread_are_collected() -> None:
    with gdal.gdal_warnings() as messages:
        LOGGER.warning("here")
        thread = threading.Thread(target=LOGGER.warning, args=("elsewhere",))
        thread.start()
        thread.join()
    LOGGER.warning("later")
    assert messages == ["here"]


# Errors


def test_errors_of_rasterio_become_raster_errors_on_one_line() -> None:
    for error in (ValueError("a\nb"), rasterio.errors.RasterioIOError("a\n  b"), OSError("a b")):
        with (
            pytest.raises(RasterError, match=r"^cannot open x: a b$"),
            gdal.raster_errors("cannot open x"),
        ):
            raise error
    with pytest.raises(InputError, match=r"^ours$"), gdal.raster_errors("cannot open x"):
        raise InputError("ours")


@pytest.mark.parametrize(
    ("context", "message", "rest"),
    [
        ("cannot open a/b.tif", "a/b.tif: No such file", "No such file"),
        ("cannot open it's.tif", "'it's.tif' not recognized as", "not recognized as"),
        ("cannot open /vsizip/a.zip/b", "'/vsizip/a.zip/b' does not exist", "does not exist"),
        ("cannot open NETCDF:x.nc:v", "NETCDF:x.nc:v: No such file", "No such file"),
        (
            "cannot read a.tif at row 2",
            "a.tif, band 1: IReadBlock failed",
            "band 1: IReadBlock fail",
        ),
        ("cannot open a.png", "libpng: bad header", "libpng: bad header"),
        ("cannot open b.vrt", "a.tif: No such file", "a.tif: No such file"),
        ("cannot open a.tif", "no colon", "no colon"),
    ],
)
def test_messages_have_the_name_of_a_file_once(context: str, message: str, rest: str) -> None:
    assert gdal.without_name(message, context).startswith(rest)
