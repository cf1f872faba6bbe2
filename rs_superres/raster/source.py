"""Rasters that are read: opened, checked, and read by windows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from rasterio.enums import MaskFlags
from rasterio.windows import Window as RasterioWindow

from rs_superres.grid import Window
from rs_superres.grid.lattice import evenly_spaced, read_mirrored
from rs_superres.image.radiometry import valid_by_value
from rs_superres.raster.gdal import reading, telling
from rs_superres.raster.metadata import Description
from rs_superres.raster.selection import Selection, colour_table
from rs_superres.system.memory import check_memory
from rs_superres.types import Valid, Values

SAMPLE = 64
"""Pixels: the side of the windows that a scene is sampled by."""

SAMPLES = 16
"""Sampled windows along a side, at most."""

Paths = str | Path | Sequence[str | Path]
"""One raster, or several on one grid: paths, or what else GDAL opens."""

Sampled = tuple[Values, Valid]
"""Digital numbers and validity of a sampled window, (band, y, x) each."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """One band of one file."""

    dataset: Any
    number: int
    """Of the band, from 1."""
    nodata: float | None
    """The value that is nodata beside what GDAL's mask says."""
    masked: bool
    """Whether GDAL's mask counts."""

    def read(self, place: RasterioWindow) -> tuple[Values, Valid]:
        """Digital numbers and validity of a window, (y, x) each."""
        values = self.dataset.read(self.number, window=place)
        valid = valid_by_value(values, self.nodata)
        if self.masked:
            valid &= self.dataset.read_masks(self.number, window=place) > 0
        return values, valid


class Source:
    """An open raster, read by windows."""

    def __init__(
        self,
        datasets: Sequence[Any],
        whole: Description,
        selection: Selection | None = None,
    ) -> None:
        self._datasets = datasets
        self._whole = whole
        chosen = selection or Selection(bands=tuple(range(1, len(whole.bands) + 1)))
        self._layers = _layers(datasets, whole, chosen)
        self._table = colour_table(whole.bands[chosen.bands[0] - 1]) if chosen.expand else None
        self.description = chosen.of(whole)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for dataset in self._datasets:
            dataset.close()

    def selected(self, selection: Selection) -> Source:
        """The same files read another way; closing one closes both.

        Raises:
            InputError: a nodata value that the dtype does not hold.
        """
        return Source(self._datasets, self._whole, selection)

    def read(self, window: Window) -> tuple[Values, Valid]:
        """Digital numbers and validity, (band, y, x) each, of a window within the raster.

        Raises:
            RasterError: the file cannot be read there.
        """
        place = RasterioWindow(window.column, window.row, window.width, window.height)
        what = f"cannot read {self.description.path} at row {window.row}, column {window.column}"
        with telling(what), reading():
            bands = [layer.read(place) for layer in self._layers]
        values, valid = (np.stack(parts) for parts in zip(*bands, strict=True))
        if self._table is not None:
            values = np.moveaxis(self._table[values[0]], -1, 0)
            valid = np.repeat(valid, len(values), axis=0)
        return values, valid

    def read_mirrored(self, window: Window) -> tuple[Values, Valid]:
        """Read any window; beyond its border the scene continues as its mirror image."""
        return read_mirrored(self.read, window, self.description.grid.shape)

    def samples(self) -> Iterator[Sampled]:
        """At most 256 windows in full resolution, placed by the raster's size alone.

        Raises:
            InputError: memory does not hold them.
            RasterError: the file cannot be read there.
        """
        for window in sample_windows(self.description):
            yield self.read(window)


def _layers(datasets: Sequence[Any], whole: Description, chosen: Selection) -> list[_Layer]:
    """The bands that are read, each with what tells its valid pixels."""
    every = [
        (dataset, number, flags)
        for dataset in datasets
        # rasterio makes the lists of all bands anew each time.
        for number, flags in zip(dataset.indexes, dataset.mask_flag_enums, strict=True)
    ]
    layers = []
    for position in chosen.bands:
        dataset, number, flags = every[position - 1]
        by_nodata = MaskFlags.nodata in flags and whole.bands[position - 1].nodata is not None
        nodata = chosen.nodata
        if nodata is None and not by_nodata:
            nodata = whole.bands[position - 1].nodata  # a mask beside it hides it from GDAL
        layers.append(
            _Layer(
                dataset,
                number,
                nodata,
                masked=MaskFlags.all_valid not in flags
                and MaskFlags.alpha not in flags
                and not (by_nodata and chosen.nodata is not None),
            )
        )
    return layers


def sample_windows(description: Description) -> list[Window]:
    """The windows that a scene is sampled by, placed by its size alone: at most 256.

    Raises:
        InputError: memory does not hold them.
    """
    shape = description.grid.shape
    rows, columns = (evenly_spaced(side, SAMPLE, SAMPLES) for side in (shape.height, shape.width))
    check_memory(
        len(rows) * len(columns) * SAMPLE**2 * description.pixel_bytes,
        f"a sample of the {len(description.bands)} bands of {description.path}",
        "take fewer by --bidx",
    )
    squares = (Window(row, column, SAMPLE, SAMPLE) for row in rows for column in columns)
    shared = (square.intersection(description.grid.window) for square in squares)
    return [window for window in shared if window is not None]


def checksum(description: Description, samples: Iterable[Sampled]) -> str:
    """SHA-256 of a source's header and of its sampled windows, values and masks, hex."""
    digest = hashlib.sha256()
    grid = description.grid
    digest.update(repr((grid.shape, grid.transform, grid.crs, description.bands)).encode())
    for values, valid in samples:
        digest.update(np.ascontiguousarray(values).tobytes())
        digest.update(np.packbits(valid).tobytes())
    return digest.hexdigest()
