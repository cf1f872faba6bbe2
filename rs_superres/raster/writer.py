"""Rasters that are written: what a result's file must say, and its windows as they come."""

from __future__ import annotations

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
from rasterio.windows import Window as RasterioWindow

from rs_superres.errors import RasterError
from rs_superres.grid import Grid, Window, Zoom
from rs_superres.raster.gdal import BLOCK, telling, writing
from rs_superres.raster.metadata import Description
from rs_superres.types import Valid, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a result's file must say."""

    source: Description
    zoom: Zoom
    window: Window
    """The part of the zoom's output that is written."""
    tags: Mapping[str, str]
    """Provenance, added to the source's own tags."""
    masked: bool
    """Whether a mask band is written: the source's own, or for pixels outside it."""
    nearest: bool = False
    """Whether a band is of values that must not be mixed, in overviews either."""

    @property
    def grid(self) -> Grid:
        """The grid of the file."""
        return self.zoom.output.crop(self.window)

    def control_points(self) -> list[GroundControlPoint]:
        """The source's ground control points, moved to the output's pixels."""
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
        """The source's rational polynomials; their pixel centres stand at integers."""
        if self.source.rational is None:
            return None
        rows, columns = self.zoom.rows, self.zoom.columns
        moved = self.source.rational.to_dict()
        moved["line_off"] = rows.edge(moved["line_off"] + 0.5) - 0.5 - self.window.row
        moved["samp_off"] = columns.edge(moved["samp_off"] + 0.5) - 0.5 - self.window.column
        moved["line_scale"] /= rows.step
        moved["samp_scale"] /= columns.step
        return RPC(**moved)


@contextmanager
def creating(path: Path | str, target: Target) -> Iterator[Writer]:
    """Create the uncompressed GeoTIFF that a result is assembled in.

    Raises:
        RasterError: it cannot be written.
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
        profile["crs"] = target.source.control_crs or CRS()  # rasterio takes no None here
    elif grid.crs is not None:
        profile["crs"] = grid.crs
    if grid.transform is not None:
        profile["transform"] = grid.transform
    with (
        telling(f"cannot write {path}"),
        writing(),
        rasterio.open(path, "w", **profile) as dataset,
    ):
        _write_metadata(dataset, target)
        yield Writer(dataset)


@dataclass(frozen=True, slots=True)
class OutputBlock:
    """A piece of a result that is being assembled."""

    window: Window
    values: Values
    """(band, y, x)"""
    mask: Valid | None
    """(y, x); None where the result has none."""

    @property
    def place(self) -> RasterioWindow:
        """The window in rasterio's words."""
        window = self.window
        return RasterioWindow(window.column, window.row, window.width, window.height)


class Writer:
    """Writes a result that is being assembled."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def write(self, part: OutputBlock) -> None:
        """Write values and, where the result has one, the mask."""
        self._dataset.write(part.values, window=part.place)
        if part.mask is not None:
            self._dataset.write_mask(part.mask, window=part.place)


def add_tags(path: Path | str, tags: Mapping[str, str]) -> None:
    """Add to the tags of a result that was assembled.

    Raises:
        RasterError: it cannot be written.
    """
    with telling(f"cannot write {path}"), writing(), rasterio.open(path, "r+") as dataset:
        dataset.update_tags(**tags)


def check_written(path: Path | str, parts: Iterable[OutputBlock]) -> None:
    """Read an assembled result back: GDAL says nothing of a write that fails as it closes a file.

    Raises:
        RasterError: something else comes back than was written.
    """
    with telling(f"cannot read {path} back"), writing(), rasterio.open(path) as dataset:
        for part in parts:
            same = dataset.read(window=part.place).tobytes() == part.values.tobytes()
            if same and part.mask is not None:
                same = np.array_equal(dataset.read_masks(1, window=part.place) > 0, part.mask)
            if not same:
                raise RasterError(
                    f"cannot write {path}: not all of it is there; is the disk full? Finished "
                    "cells are kept, the same command goes on from them"
                )


def _write_metadata(dataset: Any, target: Target) -> None:
    """Everything that makes a file more than an array."""
    bands = target.source.bands
    alone = len(bands) == 1
    if alone and bands[0].colours:
        dataset.write_colormap(1, dict(enumerate(bands[0].colours)))
    else:
        # A GeoTIFF of several bands holds no colour table.
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


def write_domains(dataset: Any, source: Description) -> None:
    """Write the tags of all metadata domains but the default one."""
    for number, domains in enumerate([source.domains, *(b.domains for b in source.bands)]):
        for name, tags in domains.items():
            if name.startswith("xml:"):
                # A document; rasterio hands on what it takes for a key and a value.
                key, _, rest = tags[name].partition("=")
                dataset.update_tags(number, ns=name, **{key: rest})
            else:
                dataset.update_tags(number, ns=name, **tags)
