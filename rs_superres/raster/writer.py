"""Assembles a result in an uncompressed GeoTIFF, window by window, and reads it back."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC

from rs_superres.errors import RasterError
from rs_superres.grid import Grid, Window, Zoom
from rs_superres.raster.gdal import (
    BLOCK,
    WritableDataset,
    raster_errors,
    rasterio_window,
    writing,
)
from rs_superres.raster.metadata import Description
from rs_superres.types import Valid, Values

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Properties of a result's file."""

    source: Description
    """The metadata of the source, with the bands of the result."""
    zoom: Zoom
    window: Window
    """The part of the zoom's output grid that is written, in output pixels."""
    tags: Mapping[str, str]
    """Provenance tags, added to the source's tags."""
    masked: bool
    """Whether a mask is written: that of the source, or one for pixels outside the source."""
    nearest: bool = False
    """Whether overviews take the nearest pixel: values of some band must not be averaged."""

    @property
    def grid(self) -> Grid:
        """The grid of the result's file."""
        return self.zoom.output.crop(self.window)

    def control_points(self) -> list[GroundControlPoint]:
        """Return the source's ground control points in output pixels of the file."""
        return [
            GroundControlPoint(
                row=self.zoom.rows.edge(p.row) - self.window.row,
                col=self.zoom.columns.edge(p.col) - self.window.column,
                x=p.x,
                y=p.y,
                z=p.z,
                id=p.id,
                info=p.info,
            )
            for p in self.source.control_points
        ]

    def rational(self) -> RPC | None:
        """Return the source's rational polynomials for output pixels of the file.

        In rational polynomials, unlike in transforms, the centre of a pixel is at an integer.
        """
        if self.source.rational is None:
            return None
        rows, columns = self.zoom.rows, self.zoom.columns
        moved = self.source.rational.to_dict()
        moved["line_off"] = rows.edge(moved["line_off"] + 0.5) - 0.5 - self.window.row
        moved["samp_off"] = columns.edge(moved["samp_off"] + 0.5) - 0.5 - self.window.column
        moved["line_scale"] /= rows.step
        moved["samp_scale"] /= columns.step
        return RPC(**moved)


@dataclass(frozen=True, slots=True)
class OutputBlock:
    """A window of a result that is being assembled."""

    window: Window
    """Output pixels, counted from the first pixel of the file."""
    values: Values
    """Digital numbers, (band, y, x)."""
    mask: Valid | None
    """Whether each pixel is valid, (y, x); None if the result has no mask."""


class Writer:
    """Writes blocks to a result that is being assembled."""

    def __init__(self, dataset: WritableDataset) -> None:
        self._dataset = dataset

    def write(self, block: OutputBlock) -> None:
        """Write the values and the mask, if any, of a block."""
        window = rasterio_window(block.window)
        self._dataset.write(block.values, window=window)
        if block.mask is not None:
            self._dataset.write_mask(block.mask, window=window)


@contextmanager
def creating(path: Path | str, target: Target) -> Iterator[Writer]:
    """Create the uncompressed GeoTIFF in which a result is assembled.

    Raises:
        RasterError: The file cannot be written.
    """
    bands, grid = target.source.bands, target.grid
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": grid.shape.height,
        "width": grid.shape.width,
        "count": len(bands),
        "dtype": target.source.dtype,
        "nodata": target.source.nodata,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "interleave": "pixel" if len(bands) <= 4 else "band",
        "bigtiff": "IF_SAFER",
        "sparse_ok": True,
        **target.source.colour_profile,
    }
    bits = {b.bits for b in bands}
    if len(bits) == 1 and None not in bits:
        profile["nbits"] = bits.pop()
    if target.source.control_points:
        profile["gcps"] = target.control_points()
        profile["crs"] = target.source.control_crs or CRS()  # rasterio does not accept None here
    elif grid.crs is not None:
        profile["crs"] = grid.crs
    if grid.transform is not None:
        profile["transform"] = grid.transform
    logger.debug(
        "creating %s: %d x %d pixels, %d bands of %s, masked: %s",
        path,
        grid.shape.width,
        grid.shape.height,
        len(bands),
        target.source.dtype,
        target.masked,
    )
    with (
        raster_errors(f"cannot write {path}"),
        writing(),
        rasterio.open(path, "w", **profile) as dataset,
    ):
        _write_metadata(dataset, target)
        yield Writer(dataset)


def add_tags(path: Path | str, tags: Mapping[str, str]) -> None:
    """Add tags to an assembled result.

    Raises:
        RasterError: The file cannot be written.
    """
    with raster_errors(f"cannot write {path}"), writing(), rasterio.open(path, "r+") as dataset:
        dataset.update_tags(**tags)


def check_written(path: Path | str, blocks: Iterable[OutputBlock]) -> None:
    """Read an assembled result back and compare it with the blocks that were written.

    GDAL does not report a write that fails while it closes the file.

    Raises:
        RasterError: A block differs, or cannot be read.
    """
    with raster_errors(f"cannot read {path} back"), writing(), rasterio.open(path) as dataset:
        for block in blocks:
            window = rasterio_window(block.window)
            same = dataset.read(window=window).tobytes() == block.values.tobytes()
            if same and block.mask is not None:
                same = np.array_equal(dataset.read_masks(1, window=window) > 0, block.mask)
            if not same:
                raise RasterError(
                    f"cannot write {path}: it is incomplete; is the disk full? Finished cells are "
                    "kept, and the same command resumes from them"
                )


def _write_metadata(dataset: WritableDataset, target: Target) -> None:
    """Write colours, scales, descriptions, units, tags and rational polynomials."""
    bands = target.source.bands
    if len(bands) == 1 and bands[0].colours:
        dataset.write_colormap(1, dict(enumerate(bands[0].colours)))
    else:
        # A GeoTIFF with several bands cannot hold a colour table.
        dataset.colorinterp = [
            ColorInterp.undefined if b.is_palette else ColorInterp[b.interpretation] for b in bands
        ]
    if any(b.scale != 1 for b in bands) or any(b.offset != 0 for b in bands):
        dataset.scales = [b.scale for b in bands]
        dataset.offsets = [b.offset for b in bands]
    for i, band in enumerate(bands, start=1):
        if band.description:
            dataset.set_band_description(i, band.description)
        if band.unit:
            dataset.set_band_unit(i, band.unit)
        if band.tags:
            dataset.update_tags(i, **band.tags)
    dataset.update_tags(**{**target.source.tags, **target.tags})
    write_domains(dataset, target.source)
    rational = target.rational()
    if rational is not None:
        dataset.rpcs = rational


def write_domains(dataset: WritableDataset, source: Description) -> None:
    """Write the tags of all metadata domains except the default one."""
    for number, domains in enumerate([source.domains, *(b.domains for b in source.bands)]):
        for name, tags in domains.items():
            if name.startswith("xml:"):
                # An XML document, which rasterio splits at the first equals sign.
                key, _, rest = tags[name].partition("=")
                dataset.update_tags(number, ns=name, **{key: rest})
            else:
                dataset.update_tags(number, ns=name, **tags)
