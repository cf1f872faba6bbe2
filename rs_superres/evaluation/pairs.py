"""Pairs of two sensors: low and high resolution measured each by its own, on different grids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rs_superres.config import ConsistencyConfig
from rs_superres.errors import InputError, SuperResError
from rs_superres.evaluation.bands import Bands
from rs_superres.evaluation.protocol import Case, over, without_holes
from rs_superres.evaluation.tiles import FEWEST, SkippedFile, tile_windows
from rs_superres.grid import Grid, Window, Zoom
from rs_superres.raster import is_raster, open_source, same_crs
from rs_superres.scene.image import LowResolution

AROUND = 64
"""Cells around a tile that are read of the low resolution: beyond what a network looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorPair:
    """A tile of the high resolution, and the low resolution around it."""

    name: str
    image: str
    """The high resolution's name."""
    low: Path
    high: Path
    window: Window
    """Of the high resolution."""
    around: Window
    """Of the low one."""
    bands: tuple[Bands, Bands]
    """Low, high."""
    scale: float

    def case(self, scale: float, kernel: ConsistencyConfig) -> Case:
        """What is compared, on the grid of the high resolution.

        Raises:
            RasterError: a file cannot be read.
        """
        here, there = self.bands
        with open_source(self.low) as source:
            values, valid = here.read(source, self.around)
            grid = source.description.grid.crop(self.around)
        with open_source(self.high) as source:
            truth, true = there.read(source, self.window)
            zoom = Zoom.by_grid(grid, source.description.grid.crop(self.window))
        return Case(
            name=self.name,
            scale=scale,
            low=LowResolution(values=values, valid=valid, bands=here.bands, groups=here.groups),
            zoom=zoom,
            truth=without_holes(truth, true, there.middles),
            valid=np.asarray((true & over(zoom, valid)).all(axis=0)),
            triplet=there.triplet,
            lows=there.lows,
            widths=there.widths,
            kernel=kernel,
        )

    def scales(self, wanted: Sequence[float]) -> list[float]:  # noqa: ARG002 (as a tile's)
        """Its own."""
        return [self.scale]


def find_pairs(
    low: Path, high: Path, limit: int | None, value_range: tuple[float, float] | None = None
) -> tuple[list[SensorPair], list[SkippedFile]]:
    """Pairs of files of one name, endings apart, in two folders.

    Raises:
        InputError: a folder is not there, or no pair can be used.
    """
    names = [_by_name(folder) for folder in (low, high)]
    shared = sorted(set(names[0]) & set(names[1]))
    if not shared:
        raise InputError(f"no file of {low} has a name that is in {high} too, expected pairs")
    if limit is not None and limit < len(shared):
        shared = [shared[i * len(shared) // limit] for i in range(limit)]
    pairs: list[SensorPair] = []
    skipped: list[SkippedFile] = []
    for name in shared:
        try:
            pairs += _pairs(names[0][name], names[1][name], value_range)
        except SuperResError as error:
            skipped.append(SkippedFile(names[0][name], str(error)))
    if not pairs:
        raise InputError(f"none of {len(shared)} pairs can be used: {skipped[0].reason}")
    return pairs, skipped


def _by_name(folder: Path) -> dict[str, Path]:
    """The rasters of a folder by their name without its ending.

    Raises:
        InputError: it is none, or two of them have one name.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder, expected one of rasters")
    found: dict[str, Path] = {}
    for path in filter(is_raster, sorted(folder.iterdir())):
        other = found.setdefault(path.stem, path)
        if other is not path:
            raise InputError(
                f"{folder} holds {other.name} and {path.name}, expected names that differ not only "
                "in their endings; move one away"
            )
    return found


def _pairs(low: Path, high: Path, value_range: tuple[float, float] | None) -> list[SensorPair]:
    """The tiles of one pair.

    Raises:
        SuperResError: it cannot be used.
    """
    found: list[SensorPair] = []
    with open_source(low) as coarse, open_source(high) as fine:
        bands = Bands.of(coarse, value_range), Bands.of(fine, value_range)
        here, there = coarse.description.grid, fine.description.grid
        _check(low, high, bands, (here, there))
        windows = tile_windows(there.shape)
        for window in windows:
            try:
                around = _around(Zoom.by_grid(here, there.crop(window)))
            except InputError:
                if len(windows) == 1:
                    raise
                continue
            zoom = Zoom.by_grid(here.crop(around), there.crop(window))
            seen = over(zoom, bands[0].read(coarse, around)[1])
            if (bands[1].read(fine, window)[1] & seen).all(axis=0).mean() < FEWEST:
                continue
            place = f" @{window.column},{window.row}" if len(windows) > 1 else ""
            found.append(
                SensorPair(
                    name=high.name + place,
                    image=high.name,
                    low=low,
                    high=high,
                    window=window,
                    around=around,
                    bands=bands,
                    scale=round(zoom.scale, 2),
                )
            )
    if not found:
        raise InputError(f"{low} and {high} share no place of which {FEWEST:.0%} are valid")
    return found


def _check(low: Path, high: Path, bands: tuple[Bands, Bands], grids: tuple[Grid, Grid]) -> None:
    """Refuse what cannot be compared number by number.

    Raises:
        InputError: it cannot.
    """
    if not same_crs(*grids):
        raise InputError(f"{low} and {high} have different CRSs; reproject one first")
    counts = [len(b.index) for b in bands]
    if counts[0] != counts[1]:
        raise InputError(
            f"{low} has {counts[0]} bands, {high} {counts[1]}, expected the same; take those that "
            "match into files of their own (gdal_translate -b N)"
        )
    scaled = [[(b.scale, b.offset) for b in part.bands] for part in bands]
    if scaled[0] != scaled[1]:
        raise InputError(f"{low} and {high} have other scale and offset tags: other units")


def _around(zoom: Zoom) -> Window:
    """The part of the low resolution under a zoom's output, and what lies around it."""
    spans = []
    for axis in (zoom.rows, zoom.columns):
        under = axis.under(0, axis.size)
        first = max(0, int(under[0]) - AROUND)
        spans.append((first, min(axis.source, int(under[-1]) + AROUND + 1) - first))
    return Window(spans[0][0], spans[1][0], spans[0][1], spans[1][1])
