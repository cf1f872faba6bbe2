"""The metadata of a result's file, and a GeoTIFF that holds them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC

from rs_superres.grid import Grid, Window, Zoom
from rs_superres.raster.dataset import epoch_of, grid_of
from rs_superres.raster.gdal import (
    BLOCK,
    WritableDataset,
    raster_errors,
    rasterio_window,
    writing,
)
from rs_superres.raster.metadata import Description, same_crs

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Properties of a result's file."""

    source: Description
    """The metadata of the source, with the bands of the result."""
    zoom: Zoom
    """The grids of source and output, and the mapping between them."""
    window: Window
    """The part of the output grid to write, in output pixels."""
    tags: Mapping[str, str]
    """Tags to add to the source's tags."""
    masked: bool
    """True if a mask is written: the source's, or one for pixels outside the source."""
    nearest: bool = False
    """True if overviews take the nearest pixel, because a band's values must not be averaged."""

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
        """Return the source's RPCs in output pixels of the file; None if the source has none.

        RPCs, unlike transforms, put the centre of a pixel at an integer.
        """
        if self.source.rational is None:
            return None
        rows, columns = self.zoom.rows, self.zoom.columns
        coefficients = self.source.rational.to_dict()
        coefficients["line_off"] = rows.edge(coefficients["line_off"] + 0.5) - 0.5 - self.window.row
        coefficients["samp_off"] = (
            columns.edge(coefficients["samp_off"] + 0.5) - 0.5 - self.window.column
        )
        coefficients["line_scale"] /= rows.step
        coefficients["samp_scale"] /= columns.step
        return RPC(**coefficients)


@contextmanager
def creating(path: Path | str, target: Target) -> Iterator[WritableDataset]:
    """Create a GeoTIFF with the metadata of a result; pixels that are not written take no space.

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
    bit_depths = {b.bits for b in bands}
    if len(bit_depths) == 1 and None not in bit_depths:
        profile["nbits"] = bit_depths.pop()
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
        if target.masked:
            dataset.write_mask(
                np.zeros((1, 1), np.bool_), window=rasterio_window(Window(0, 0, 1, 1))
            )
        yield dataset


def keep_crs(path: Path, target: Target) -> None:
    """Write the CRS and its epoch next to a GeoTIFF from which GDAL would read others.

    GDAL writes a CRS that it cannot write to a GeoTIFF to the file ``.aux.xml``, in which it looks
    first. It does not notice that some others change: local coordinate systems lose their datum,
    and geographic ones get another order of axes.

    Args:
        path: A result, or the file with its metadata.
        target: Properties of the result's file.

    Raises:
        RasterError: The file cannot be read.
        OSError: The file next to it cannot be written.
    """
    if target.grid.crs is None or target.source.control_points:
        return
    with raster_errors(f"cannot read {path} back"), writing(), rasterio.open(path) as dataset:
        same = same_crs(target.grid, grid_of(dataset))
        if same and target.source.epoch in {None, epoch_of(dataset)}:
            return
    sidecar = path.with_name(f"{path.name}.aux.xml")
    text = "<PAMDataset>\n</PAMDataset>\n"
    if sidecar.exists():
        text = re.sub(r"\s*<SRS.*?</SRS>", "", sidecar.read_text("utf-8"), flags=re.DOTALL)
    epoch = target.source.epoch
    attribute = "" if epoch is None else f' coordinateEpoch="{epoch!r}"'
    srs = f"  <SRS{attribute}>{escape(target.grid.crs, quote=False)}</SRS>"
    sidecar.write_text(text.replace("<PAMDataset>", f"<PAMDataset>\n{srs}", 1), "utf-8")


def _write_metadata(dataset: WritableDataset, target: Target) -> None:
    """Write colours, scales, descriptions, units, tags and RPCs."""
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
                # An XML document. update_tags joins names and values by equals signs, so split the
                # document at its first one.
                key, _, rest = tags[name].partition("=")
                dataset.update_tags(number, ns=name, **{key: rest})
            else:
                dataset.update_tags(number, ns=name, **tags)
