"""The mosaic from which GDAL writes a result: its cells, each a GeoTIFF, and its metadata.

The mosaic is a VRT, a text that names the cells. So no pixel is copied before the final file.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import MaskFlags
from rasterio.io import MemoryFile

from rs_superres.grid import Shape, Window
from rs_superres.raster.gdal import (
    WritableDataset,
    open_dataset,
    raster_errors,
    read_mask,
    writing,
)
from rs_superres.raster.writer import Target, creating, keep_crs, write_domains
from rs_superres.types import Valid, Values

CHECKSUM = "CRC32"
"""The tag of a tile that holds the checksum of its pixels."""

ROWS = 64
"""Rows of a tile that GDAL reads at once."""

OPEN_TILES = 450
"""Tiles that GDAL keeps open; a row of a wide result has more than the 100 of its default."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A file with a rectangle of a result's pixels."""

    path: Path
    """The file, which :func:`tile_bytes` encoded."""
    size: Shape
    """The size of the file."""
    in_tile: Window
    """The pixels that are used, counted from the file's first pixel."""
    in_result: Window
    """Where they lie in the result, counted from the result's first pixel."""


def tile_bytes(values: Values, mask: Valid | None) -> bytes:
    """Encode pixels as an uncompressed GeoTIFF, for a mosaic.

    Args:
        values: (band, y, x) digital numbers.
        mask: (y, x), True where a pixel is valid; None without a mask.
    """
    count, height, width = values.shape
    # Not `writing()`, which changes the filters of warnings: threads encode side by side.
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            count=count,
            height=height,
            width=width,
            dtype=values.dtype.name,
            interleave="band",
            blockysize=ROWS,
            # No band is an alpha band here: that would be the mask.
            photometric="minisblack",
            alpha="no",
            transform=Affine.translation(1, 1),  # rasterio warns of a file without one
        ) as dataset:
            dataset.write(values)
            if mask is not None:
                dataset.write_mask(mask)
            dataset.update_tags(**{CHECKSUM: _checksum(values, mask)})
        return bytes(memory.getbuffer())


def read_tile(path: Path) -> tuple[Values, Valid | None]:
    """Read what :func:`tile_bytes` encoded, and check it.

    Raises:
        RasterError: the file is damaged.
    """
    with raster_errors(f"cannot read {path}"), open_dataset(path) as dataset:
        values: Values = dataset.read()
        has_mask = dataset.mask_flag_enums[0] == [MaskFlags.per_dataset]
        mask = read_mask(dataset, 1) > 0 if has_mask else None
        if dataset.tags().get(CHECKSUM) != _checksum(values, mask):
            raise OSError("its pixels have another checksum than when they were written")
    return values, mask


def _checksum(values: Values, mask: Valid | None) -> str:
    """Return the checksum of pixels and mask."""
    crc = zlib.crc32(np.ascontiguousarray(values).data)
    return f"{crc if mask is None else zlib.crc32(np.ascontiguousarray(mask).data, crc):08x}"


def write_mosaic(path: Path, target: Target, tiles: Sequence[Tile]) -> None:
    """Write the mosaic of a result.

    Args:
        path: a name that ends in ``.vrt``; a small GeoTIFF with the metadata is written to the same
            folder.
        target: the properties of the result's file.
        tiles: they cover the result, and stay where they are as long as the mosaic is read.

    Raises:
        RasterError: a file cannot be written.
        OSError: likewise.
    """
    template = path.with_suffix(".tif")
    with creating(template, target):
        pass
    keep_crs(template, target)  # so that GDAL copies the coordinate epoch, which rasterio hides
    relative = [replace(tile, path=Path(os.path.relpath(tile.path, path.parent))) for tile in tiles]
    path.write_text(virtual(template, target, relative), "utf-8")


def virtual(template: Path | str, target: Target, tiles: Sequence[Tile] | None = None) -> str:
    """Return a VRT with the metadata of a file and the pixels of tiles.

    It adds what rasterio cannot write: a nodata value that the dtype does not hold, category names
    and attribute tables. A result with a mask gets no nodata value: GDAL would use the value and
    ignore the mask. Numbers have all their digits.

    Args:
        template: a file that :func:`rs_superres.raster.writer.creating` wrote.
        target: the properties of the result's file.
        tiles: the tiles, by names relative to the VRT; by default the pixels of the template.

    Raises:
        RasterError: the template cannot be read.
    """
    with raster_errors(f"cannot read {template}"), writing(), MemoryFile(ext=".vrt") as copy:
        rasterio.shutil.copy(template, copy.name, driver="VRT")
        dataset: WritableDataset
        with rasterio.open(copy.name, "r+") as dataset:
            # What GDAL leaves out of a VRT.
            write_domains(dataset, target.source)
            if target.source.colour_profile:
                dataset.update_tags(ns="COLOR_PROFILE", **target.source.colour_profile)
        text = copy.read().decode()
    dataset_elements, bands, band_elements = text.partition("\n  <VRTRasterBand")
    # Four spaces: elements of the bands themselves, not of documents in their metadata.
    band_elements = re.sub(r"\n    <(Offset|Scale)>[^<]*</\1>", "", band_elements)
    text = dataset_elements + bands + band_elements
    hidden = iter(_hidden(target))
    # After the bands, a mask is a VRTRasterBand too.
    text = re.sub("<VRTRasterBand[^>]*>", lambda tag: tag[0] + next(hidden, ""), text)
    points = iter(target.control_points())
    text = re.sub(
        'Pixel="[^"]*" Line="[^"]*" X="[^"]*" Y="[^"]*"( Z="[^"]*")?',
        lambda _: _place(next(points)),
        text,
    )
    if tiles is None:
        return text
    return re.sub(
        r'(<VRTRasterBand dataType="(\w+)".*?)<SimpleSource>.*?(<SourceBand>.*?</SourceBand>).*?'
        r"</SimpleSource>",
        lambda band: band[1] + "".join(_sources(tiles, band[2], band[3])),
        text,
        flags=re.DOTALL,
    )


def _hidden(target: Target) -> list[str]:
    """Return elements for each band: what rasterio cannot write, and what GDAL would round."""
    foreign = target.source.foreign_nodata
    if target.masked or target.source.nodata is not None:
        foreign = None
    nodata = "" if foreign is None else f"<NoDataValue>{float(foreign):.17g}</NoDataValue>"
    elements = []
    for band in target.source.bands:
        units = ""
        if band.offset != 0 or band.scale != 1:
            offset, scale = float(band.offset), float(band.scale)
            units = f"<Offset>{offset!r}</Offset><Scale>{scale!r}</Scale>"
        elements.append(nodata + band.classes + units)
    return elements


def _place(point: GroundControlPoint) -> str:
    """Return where a ground control point lies, with digits that GDAL would drop."""
    place = f'Pixel="{float(point.col)!r}" Line="{float(point.row)!r}"'
    return f'{place} X="{float(point.x)!r}" Y="{float(point.y)!r}" Z="{float(point.z or 0)!r}"'


def _sources(tiles: Sequence[Tile], kind: str, band: str) -> Iterator[str]:
    """Yield tiles as the sources of a band.

    Args:
        tiles: the tiles.
        kind: the type of the band, as GDAL calls it.
        band: the element that says which band of the tiles it is.
    """
    for tile in tiles:
        # With these properties, GDAL opens no tile before it reads from it.
        properties = (
            f'RasterXSize="{tile.size.width}" RasterYSize="{tile.size.height}" DataType="{kind}" '
            f'BlockXSize="{tile.size.width}" BlockYSize="{ROWS}"'
        )
        yield (
            f'<SimpleSource><SourceFilename relativeToVRT="1">{escape(tile.path.as_posix())}'
            f"</SourceFilename>{band}<SourceProperties {properties}/>"
            f"{_rectangle('SrcRect', tile.in_tile)}{_rectangle('DstRect', tile.in_result)}"
            "</SimpleSource>\n"
        )


def _rectangle(name: str, window: Window) -> str:
    """Return a window as an element of a VRT."""
    return (
        f'<{name} xOff="{window.column}" yOff="{window.row}" xSize="{window.width}" '
        f'ySize="{window.height}"/>'
    )
