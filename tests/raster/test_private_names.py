"""Private names of rasterio that the library uses, and what breaks if rasterio moves them.

The module imports rasterio alone, so that these tests can fail with their own messages.
"""

from __future__ import annotations

import importlib
import logging
from pathlib import Path

import pytest
import rasterio

BREAKS = {
    ("rasterio._env", "get_gdal_config"): "block_cache cannot restore the size of GDAL's cache",
    ("rasterio._env", "set_gdal_config"): "block_cache cannot limit GDAL's cache",
    (
        "rasterio._err",
        "CPLE_BaseError",
    ): "errors of GDAL that rasterio does not wrap escape as they are, not as a RasterError",
}


@pytest.mark.parametrize(("module", "name"), BREAKS)
def test_private_names_exist(module: str, name: str) -> None:
    try:
        getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        pytest.fail(
            f"rasterio {rasterio.__version__} has no {module}.{name}, so "
            f"{BREAKS[module, name]}; see rs_superres/raster/gdal.py"
        )


def test_gdal_warnings_go_to_the_private_logger(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    profile = {"width": 4, "height": 4, "count": 1, "dtype": "uint8"}
    with (
        caplog.at_level(logging.WARNING, logger="rasterio"),
        rasterio.Env(),
        rasterio.open(
            tmp_path / "a.tif",
            "w",
            driver="GTiff",
            transform=rasterio.Affine.scale(2),
            NO_SUCH="1",
            **profile,
        ),
    ):
        pass
    loggers = {r.name for r in caplog.records if "creation option" in r.getMessage()}
    assert loggers == {"rasterio._env"}, (
        f"rasterio {rasterio.__version__} logs GDAL's warnings elsewhere, so check_creation "
        "accepts creation options that GDAL ignores; see _GDAL_LOGGER in rs_superres/raster/gdal.py"
    )
