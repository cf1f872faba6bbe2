"""A result's final format, and GDAL's creation options."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.enums import Resampling
from rasterio.io import MemoryFile

from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Grid, Window
from rs_superres.raster.gdal import BLOCK, FAILURES, one_line, telling, writing
from rs_superres.raster.metadata import Description
from rs_superres.raster.writer import OutputBlock, Target, creating, write_domains
from rs_superres.types import Values

_OFF_GRID = ("TILING_SCHEME", "TARGET_SRS", "RES", "EXTENT")
"""Creation options of GDAL's COG driver that resample the result onto another grid."""

_BLOCK_OPTIONS = ("BLOCKSIZE", "BLOCKXSIZE", "BLOCKYSIZE")
"""Sizes that GDAL takes as they are, and dies of where there is no such memory."""

_LARGEST_BLOCK = 8192
"""Pixels."""


def creation_options(options: Sequence[str]) -> dict[str, str]:
    """GDAL creation options, ``KEY=VALUE`` each, by upper-case key.

    Raises:
        InputError: one is not of that form, or would spoil the result.
    """
    chosen = {}
    for option in options:
        key, equals, value = option.partition("=")
        key = key.upper()
        if not equals or not key:
            raise InputError(f"creation option {option!r}, expected KEY=VALUE")
        if key in _OFF_GRID:
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
        chosen[key] = value
    return chosen


class _Complaints(logging.Handler):
    """Collects what GDAL says of creation options, which it otherwise ignores."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what is about options."""
        message = record.getMessage()
        if "creation option" in message or "not recognised" in message:
            self.found.append(message.partition(" in ")[2] or message)


def check_creation(target: Target, *, driver: str, options: Sequence[str]) -> None:
    """Make a tiny result in memory, to learn now what GDAL would say at the end.

    Args:
        target: what the result's file must say.
        driver: ``COG`` or ``GTiff``.
        options: further creation options, ``KEY=VALUE``.

    Raises:
        InputError: an option or a value of one that the driver does not know, or that this raster
            cannot be written with.
    """
    creation_options(options)
    small = replace(target, window=Window(0, 0, 1, 1))
    complaints, log = _Complaints(), logging.getLogger("rasterio._env")
    log.addHandler(complaints)
    try:
        with MemoryFile() as assembled, MemoryFile() as result:
            with creating(assembled.name, small) as writer:
                bits = min(b.bits or 8 for b in target.source.bands)
                pixel = np.full((len(target.source.bands), 1, 1), min(100, 2**bits - 1))
                writer.write(OutputBlock(small.window, pixel.astype(target.source.dtype), None))
            finish(assembled.name, result.name, target=small, driver=driver, options=options)
            _check_kept(result.name)
    except (RasterError, *FAILURES) as error:
        asked = " ".join(options) or "none"
        raise InputError(
            f"{driver} cannot hold this raster with the creation options {asked}: "
            f"{one_line(error.__cause__ or error)}; leave out or change --co"
        ) from error
    finally:
        log.removeHandler(complaints)
    if complaints.found:
        raise InputError(f"--co {' '.join(options)}: {complaints.found[0]}")


def _check_kept(path: str) -> None:
    """Read a file back: an encoder that fails when the file is closed fails without a word."""
    with writing(), rasterio.open(path) as dataset:
        if not dataset.read().any():
            raise RasterError("nothing comes back of what was written")


def domain_names(source: Description) -> list[str]:
    """The metadata domains of dataset and bands that a result should carry."""
    names = {*source.domains, *(name for band in source.bands for name in band.domains)}
    return sorted(name for name in names if not name.startswith("xml:"))


def keeps_domains(source: Description) -> bool:
    """Whether GDAL's COG driver carries all tags: it takes domains only without bands' own tags."""
    return not domain_names(source) or not any(b.tags for b in source.bands)


def finish(
    assembled: Path | str,
    out: Path | str,
    *,
    target: Target,
    driver: str,
    options: Sequence[str],
) -> None:
    """Copy an assembled result into its final format, with overviews.

    Args:
        assembled: what :func:`creating` wrote.
        out: a name that nobody looks for yet; the caller renames it.
        target: what the result's file must say.
        driver: ``COG`` or ``GTiff``.
        options: further creation options, ``KEY=VALUE``.

    Raises:
        InputError: an option that is not of that form.
        RasterError: it cannot be written.
    """
    averaged = not target.nearest
    source = target.source
    chosen = {"COMPRESS": "DEFLATE", "BIGTIFF": "IF_SAFER"}
    if driver == "COG":
        if domain_names(source) and keeps_domains(source):
            chosen["COPY_SRC_MDD"] = "YES"
        chosen |= {
            "BLOCKSIZE": str(BLOCK),
            "OVERVIEW_RESAMPLING": "AVERAGE" if averaged else "NEAREST",
        }
        if all(b.bits is None for b in source.bands):
            chosen["PREDICTOR"] = "YES"
    else:
        chosen |= {"TILED": "YES", "BLOCKXSIZE": str(BLOCK), "BLOCKYSIZE": str(BLOCK)}
    chosen |= creation_options(options)
    # GDAL makes overviews apart first, and compresses them there for nothing. Under a mask and of
    # nearest pixels it makes other ones where it does not.
    plain = averaged and not target.masked and "COG_TMP_COMPRESSION" not in os.environ
    apart = {"COG_TMP_COMPRESSION": "NONE"} if plain else {}
    with telling(f"cannot write {out}"), writing(), rasterio.Env(**apart):
        with _saying_nodata(assembled, target) as whole:
            rasterio.shutil.copy(whole, out, driver=driver, **chosen)
        if driver == "GTiff":
            with rasterio.open(out, "r+") as dataset:
                resampling = Resampling.average if averaged else Resampling.nearest
                dataset.build_overviews(_factors(dataset.shape), resampling)
                write_domains(dataset, source)
        check_whole(out)


@contextmanager
def _saying_nodata(assembled: Path | str, target: Target) -> Iterator[Path | str]:
    """An assembled result with the source's nodata value where no pixel can have it.

    rasterio does not write such a value, a virtual copy carries it. A mask would take its place.
    """
    foreign = target.source.foreign_nodata
    if foreign is None or target.masked or target.source.nodata is not None:
        yield assembled
        return
    with MemoryFile(ext=".vrt") as plain:
        rasterio.shutil.copy(assembled, plain.name, driver="VRT")
        text = plain.read().decode()
    said = rf"\1<NoDataValue>{float(foreign):.17g}</NoDataValue>"
    text = re.sub("(<VRTRasterBand[^>]*>)", said, text)
    with MemoryFile(text.encode(), ext=".vrt") as virtual:
        yield virtual.name


def check_whole(path: Path | str) -> None:
    """Read all of a result, overviews too: a full disk may leave half of it without a word."""
    with rasterio.open(path) as dataset:
        levels = len(dataset.overviews(1))
    for level in (None, *range(levels)):
        chosen = {} if level is None else {"overview_level": level}
        with rasterio.open(path, **chosen) as dataset:
            for _, window in dataset.block_windows(1):
                dataset.read(window=window)
                dataset.read_masks(1, window=window)


def _factors(shape: tuple[int, int]) -> list[int]:
    """Overview factors until one block holds the image."""
    factors: list[int] = []
    while max(shape) > BLOCK * 2 ** len(factors):
        factors.append(2 ** (len(factors) + 1))
    return factors


def write_image(path: Path, pixels: Values, grid: Grid) -> None:
    """Write a small image, (band, y, x), as a plain GeoTIFF.

    Raises:
        RasterError: it cannot be written.
    """
    count, height, width = pixels.shape
    profile = {"count": count, "height": height, "width": width, "dtype": pixels.dtype.name}
    with (
        telling(f"cannot write {path}"),
        rasterio.open(
            path, "w", driver="GTiff", crs=grid.crs, transform=grid.transform, **profile
        ) as dataset,
    ):
        dataset.write(pixels)
