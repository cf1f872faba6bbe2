"""The final format of a result, and GDAL's creation options."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.enums import MaskFlags, Resampling
from rasterio.io import MemoryFile

from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Grid, Window
from rs_superres.raster.gdal import (
    BLOCK,
    FAILURES,
    WritableDataset,
    gdal_warnings,
    one_line,
    raster_errors,
    read_mask,
    reading,
    writing,
)
from rs_superres.raster.metadata import Description
from rs_superres.raster.mosaic import OPEN_TILES, virtual
from rs_superres.raster.writer import Target, creating, write_domains
from rs_superres.types import Values

logger = logging.getLogger(__name__)

_GRID_OPTIONS = ("TILING_SCHEME", "TARGET_SRS", "RES", "EXTENT")
"""Creation options of GDAL's COG driver that resample the result onto another grid."""

_BLOCK_OPTIONS = ("BLOCKSIZE", "BLOCKXSIZE", "BLOCKYSIZE")
"""Creation options for block sizes. GDAL does not check them and crashes if memory runs out."""

_LARGEST_BLOCK = 8192
"""Largest accepted side of a block, in pixels."""


def creation_options(options: Sequence[str]) -> dict[str, str]:
    """Parse GDAL creation options.

    Args:
        options: ``KEY=VALUE`` each.

    Returns:
        Values by upper-case key.

    Raises:
        InputError: An option has another form, or would spoil the result.
    """
    values = {}
    for option in options:
        key, equals, value = option.partition("=")
        key = key.upper()
        if not equals or not key:
            raise InputError(f"creation option {option!r}, expected KEY=VALUE")
        if key in _GRID_OPTIONS:
            raise InputError(
                f"creation option {option!r} would resample the result onto another grid; "
                "upscale first, then use gdalwarp"
            )
        if key in _BLOCK_OPTIONS and not (
            value.isdecimal() and int(value) % 16 == 0 and 16 <= int(value) <= _LARGEST_BLOCK
        ):
            raise InputError(
                f"creation option {option!r}, expected a multiple of 16 up to {_LARGEST_BLOCK}"
            )
        values[key] = value
    return values


def check_creation(target: Target, *, driver: str, options: Sequence[str]) -> None:
    """Write a tiny result in memory, so that what cannot be written is found before the run.

    Args:
        target: Properties of the result's file.
        driver: ``COG`` or ``GTiff``.
        options: Creation options in addition to the default ones, ``KEY=VALUE`` each.

    Raises:
        InputError: The driver does not know an option or its value, or cannot write this raster
            with it.
    """
    creation_options(options)
    small = replace(target, window=Window(0, 0, 1, 1))
    with gdal_warnings() as messages:
        try:
            _write_in_memory(small, driver, options)
        except (RasterError, *FAILURES) as error:
            given = " ".join(options) or "none"
            raise InputError(
                f"{driver} cannot hold this raster with the creation options {given}: "
                f"{one_line(error.__cause__ or error)}; leave out or change creation="
            ) from error
    logger.debug("tried %s with creation options %s: %s", driver, list(options), messages)
    # GDAL only warns about a bad option and then ignores it.
    for message in messages:
        if "creation option" in message or "not recognised" in message:
            text = message.partition(" in ")[2] or message
            raise InputError(f"{text.rstrip('.')}; correct or leave out this option of creation=")


def _write_in_memory(target: Target, driver: str, options: Sequence[str]) -> None:
    """Write a result of one pixel to memory, from creating it to reading it back."""
    with MemoryFile() as template, MemoryFile() as result:
        with creating(template.name, target) as dataset:
            bits = min(b.bits or 8 for b in target.source.bands)
            pixel = np.full((len(target.source.bands), 1, 1), min(100, 2**bits - 1))
            dataset.write(pixel.astype(target.source.dtype))
        with MemoryFile(virtual(template.name, target).encode(), ext=".vrt") as mosaic:
            finish(mosaic.name, result.name, target=target, driver=driver, options=options)
        # An encoder that fails as the file is closed raises no error.
        with writing(), rasterio.open(result.name) as dataset:
            if not dataset.read().any():
                raise RasterError("the pixels that were written could not be read back")
            if target.source.control_crs and target.source.control_points and not dataset.gcps[1]:
                raise InputError(
                    f"{driver} cannot hold the CRS of the control points of {target.source.path}; "
                    "give them another one first (gdal_translate -a_srs)"
                )


def domain_names(source: Description) -> list[str]:
    """Return the metadata domains of the dataset and its bands that a result should keep."""
    names = {*source.domains, *(name for band in source.bands for name in band.domains)}
    return sorted(name for name in names if not name.startswith("xml:"))


def keeps_domains(source: Description) -> bool:
    """Return whether GDAL's COG driver keeps all tags.

    The driver copies metadata domains only at the cost of the bands' tags.
    """
    return not domain_names(source) or not any(b.tags for b in source.bands)


def finish(
    mosaic: Path | str,
    out: Path | str,
    *,
    target: Target,
    driver: str,
    options: Sequence[str],
) -> None:
    """Write a result in its final format, with overviews.

    Args:
        mosaic: Its pixels and metadata; see :mod:`rs_superres.raster.mosaic`.
        out: A temporary name; the caller renames the file.
        target: Properties of the result's file.
        driver: ``COG`` or ``GTiff``.
        options: Creation options in addition to the default ones, ``KEY=VALUE`` each.

    Raises:
        InputError: A creation option has the wrong form.
        RasterError: The file cannot be written.
    """
    averaged = not target.nearest
    source = target.source
    creation = {"COMPRESS": "DEFLATE", "BIGTIFF": "IF_SAFER"}
    if driver == "COG":
        if domain_names(source) and keeps_domains(source):
            creation["COPY_SRC_MDD"] = "YES"
        creation |= {
            "BLOCKSIZE": str(BLOCK),
            "OVERVIEW_RESAMPLING": "AVERAGE" if averaged else "NEAREST",
        }
        if all(b.bits is None for b in source.bands):
            creation["PREDICTOR"] = "YES"
    else:
        creation |= {"TILED": "YES", "BLOCKXSIZE": str(BLOCK), "BLOCKYSIZE": str(BLOCK)}
        if source.min_is_white:
            creation["PHOTOMETRIC"] = "MINISWHITE"
    creation |= creation_options(options)
    logger.debug("writing %s from %s: driver %s, options %s", out, mosaic, driver, creation)
    with (
        raster_errors(f"cannot write {out}"),
        writing(),
        rasterio.Env(GDAL_MAX_DATASET_POOL_SIZE=OPEN_TILES),
    ):
        rasterio.shutil.copy(mosaic, out, driver=driver, **creation)
        if driver == "GTiff":
            _add_overviews(out, source, averaged=averaged)
        check_whole(out)


def _add_overviews(path: Path | str, source: Description, *, averaged: bool) -> None:
    """Compute the overviews of a GeoTIFF, and write the metadata domains again."""
    dataset: WritableDataset
    with rasterio.open(path, "r+") as dataset:
        resampling = Resampling.average if averaged else Resampling.nearest
        dataset.build_overviews(_overview_factors(dataset.shape), resampling)
        write_domains(dataset, source)


def check_whole(path: Path | str) -> None:
    """Read all pixels of a result and of its overviews.

    GDAL reports no error if a full disk cuts the file off.

    Raises:
        RasterioError, OSError: The file cannot be read completely; see `FAILURES`.
    """
    with reading(str(path)), rasterio.open(path) as dataset:
        levels = len(dataset.overviews(1))
        # Masks by nodata or alpha are computed from pixels, and have nothing more to read.
        has_mask = dataset.mask_flag_enums[0] == [MaskFlags.per_dataset]
    for level in (None, *range(levels)):
        options = {} if level is None else {"overview_level": level}
        with reading(str(path)), rasterio.open(path, **options) as dataset:
            for _, window in dataset.block_windows(1):
                dataset.read(window=window)
                if has_mask:
                    read_mask(dataset, 1, window)


def _overview_factors(shape: tuple[int, int]) -> list[int]:
    """Return overview factors until one block holds the image."""
    factors: list[int] = []
    while max(shape) > BLOCK * 2 ** len(factors):
        factors.append(2 ** (len(factors) + 1))
    return factors


def write_image(path: Path, pixels: Values, grid: Grid) -> None:
    """Write a small image, (band, y, x), as a plain GeoTIFF.

    Raises:
        RasterError: The file cannot be written.
    """
    count, height, width = pixels.shape
    profile = {"count": count, "height": height, "width": width, "dtype": pixels.dtype.name}
    with (
        raster_errors(f"cannot write {path}"),
        rasterio.open(
            path, "w", driver="GTiff", crs=grid.crs, transform=grid.transform, **profile
        ) as dataset,
    ):
        dataset.write(pixels)
