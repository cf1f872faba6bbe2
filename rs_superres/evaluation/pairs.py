"""Pairs of two sensors, each with its own measurement and its own grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rs_superres.config import ConsistencyConfig
from rs_superres.errors import InputError, SuperResError
from rs_superres.evaluation.bands import Bands
from rs_superres.evaluation.protocol import Case, fill_invalid, validity_on_output
from rs_superres.evaluation.tiles import LEAST_VALID, tile_windows
from rs_superres.grid import Grid, Window, Zoom
from rs_superres.raster import SkippedFile, is_raster, open_source, same_crs
from rs_superres.scene.image import LowResolution

LOW_HALO = 64
"""Low-resolution pixels that are read around a tile; networks do not reach further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorPair:
    """A tile of the high resolution, and the low resolution under and around it."""

    name: str
    """The high-resolution file's name, followed by the tile's position if there are several."""
    image: str
    """The high-resolution file's name."""
    low: Path
    """The low-resolution raster."""
    high: Path
    """The high-resolution raster."""
    window: Window
    """The tile's window in the high resolution."""
    low_window: Window
    """The window of the low resolution that is read."""
    bands: tuple[Bands, Bands]
    """The bands of the low and of the high resolution."""
    scale: float
    """The ratio of the pixel sizes, rounded to two decimal places."""

    def case(self, scale: float, kernel: ConsistencyConfig) -> Case:
        """Read both rasters; the comparison is on the grid of the high resolution.

        Args:
            scale: the scale that the case reports.
            kernel: the degradation that is assumed between the two sensors.

        Raises:
            RasterError: a raster cannot be read.
        """
        low_bands, high_bands = self.bands
        with open_source(self.low) as source:
            values, valid = low_bands.read(source, self.low_window)
            grid = source.description.grid.crop(self.low_window)
        with open_source(self.high) as source:
            truth, truth_valid = high_bands.read(source, self.window)
            zoom = Zoom.by_grid(grid, source.description.grid.crop(self.window))
        return Case(
            name=self.name,
            scale=scale,
            low=LowResolution(
                values=values, valid=valid, bands=low_bands.bands, groups=low_bands.groups
            ),
            zoom=zoom,
            truth=fill_invalid(truth, truth_valid, high_bands.middles),
            valid=np.asarray((truth_valid & validity_on_output(zoom, valid)).all(axis=0)),
            triplet=high_bands.triplet,
            lows=high_bands.lows,
            widths=high_bands.widths,
            kernel=kernel,
        )

    def scales(self, requested: Sequence[float]) -> list[float]:  # noqa: ARG002 (like a tile's)
        """Return the pair's scale; requested scales have no effect."""
        return [self.scale]


def find_pairs(
    low: Path, high: Path, limit: int | None, value_range: tuple[float, float] | None = None
) -> tuple[list[SensorPair], list[SkippedFile]]:
    """Find pairs of files with the same name in two folders; extensions may differ.

    Args:
        low: the folder of low resolution.
        high: the folder of high resolution.
        limit: take at most so many pairs of files, evenly spaced in the sorted list.
        value_range: digital numbers that map to -1 and 1; None to derive them per raster.

    Returns:
        The tiles of the pairs, and the low-resolution files that are left out.

    Raises:
        InputError: a folder does not exist, or no pair can be used.
    """
    low_paths, high_paths = _rasters_by_stem(low), _rasters_by_stem(high)
    shared = sorted(set(low_paths) & set(high_paths))
    if not shared:
        raise InputError(f"no file of {low} has the same name as one of {high}, expected pairs")
    if limit is not None and limit < len(shared):
        shared = [shared[i * len(shared) // limit] for i in range(limit)]
    pairs: list[SensorPair] = []
    skipped: list[SkippedFile] = []
    for stem in shared:
        try:
            pairs += _tiles_of(low_paths[stem], high_paths[stem], value_range)
        except SuperResError as error:
            skipped.append(SkippedFile(low_paths[stem], str(error)))
    if not pairs:
        raise InputError(f"none of {len(shared)} pairs can be used: {skipped[0].reason}")
    return pairs, skipped


def _rasters_by_stem(folder: Path) -> dict[str, Path]:
    """Return the rasters of a folder by their names without the extension.

    Raises:
        InputError: the folder does not exist, or two names differ only in their extension.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder, expected one of rasters")
    paths: dict[str, Path] = {}
    for path in filter(is_raster, sorted(folder.iterdir())):
        first = paths.setdefault(path.stem, path)
        if first is not path:
            raise InputError(
                f"{folder} holds {first.name} and {path.name}, expected names that differ without "
                "their extensions; move one away"
            )
    return paths


def _tiles_of(low: Path, high: Path, value_range: tuple[float, float] | None) -> list[SensorPair]:
    """Return the tiles of one pair with enough valid pixels.

    Raises:
        SuperResError: the pair cannot be used.
    """
    pairs: list[SensorPair] = []
    with open_source(low) as low_source, open_source(high) as high_source:
        bands = Bands.of(low_source, value_range), Bands.of(high_source, value_range)
        low_grid, high_grid = low_source.description.grid, high_source.description.grid
        _check_comparable(low, high, bands, (low_grid, high_grid))
        windows = tile_windows(high_grid.shape)
        for window in windows:
            try:
                low_window = _with_halo(Zoom.by_grid(low_grid, high_grid.crop(window)))
            except InputError:
                # This tile lies outside the low resolution; others may not.
                if len(windows) == 1:
                    raise
                continue
            zoom = Zoom.by_grid(low_grid.crop(low_window), high_grid.crop(window))
            _, low_valid = bands[0].read(low_source, low_window)
            _, high_valid = bands[1].read(high_source, window)
            valid = (high_valid & validity_on_output(zoom, low_valid)).all(axis=0)
            if valid.mean() < LEAST_VALID:
                continue
            position = f" @{window.column},{window.row}" if len(windows) > 1 else ""
            pairs.append(
                SensorPair(
                    name=high.name + position,
                    image=high.name,
                    low=low,
                    high=high,
                    window=window,
                    low_window=low_window,
                    bands=bands,
                    scale=round(zoom.scale, 2),
                )
            )
    if not pairs:
        raise InputError(f"{low} and {high} share no tile of which {LEAST_VALID:.0%} are valid")
    return pairs


def _check_comparable(
    low: Path, high: Path, bands: tuple[Bands, Bands], grids: tuple[Grid, Grid]
) -> None:
    """Refuse rasters whose digital numbers cannot be compared pixel by pixel.

    Raises:
        InputError: the CRS, the number of bands, or the scale and offset tags differ.
    """
    if not same_crs(*grids):
        raise InputError(f"{low} and {high} have different CRSs; reproject one first")
    counts = [len(b.index) for b in bands]
    if counts[0] != counts[1]:
        raise InputError(
            f"{low} has {counts[0]} bands, {high} has {counts[1]}, expected the same number; "
            "extract the matching bands (gdal_translate -b N)"
        )
    tags = [[(band.scale, band.offset) for band in b.bands] for b in bands]
    if tags[0] != tags[1]:
        raise InputError(
            f"{low} and {high} have different scale or offset tags, expected the same units"
        )


def _with_halo(zoom: Zoom) -> Window:
    """Return the source window under a zoom's output, with a halo of :data:`LOW_HALO`."""
    spans = []
    for axis in (zoom.rows, zoom.columns):
        under = axis.under(0, axis.size)
        first = max(0, int(under[0]) - LOW_HALO)
        spans.append((first, min(axis.source, int(under[-1]) + LOW_HALO + 1) - first))
    (row, height), (column, width) = spans
    return Window(row, column, height, width)
