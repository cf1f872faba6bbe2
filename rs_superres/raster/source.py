"""Reads an open raster by windows, samples it, and computes its checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from affine import Affine
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.features import rasterize
from rasterio.windows import Window as RasterioWindow

from rs_superres.grid import Shape, Window
from rs_superres.grid.lattice import evenly_spaced, read_mirrored
from rs_superres.image.radiometry import valid_by_value
from rs_superres.raster.gdal import (
    Dataset,
    Mask,
    raster_errors,
    rasterio_window,
    read_mask,
    reading,
)
from rs_superres.raster.metadata import Description
from rs_superres.raster.products.product import Polygon
from rs_superres.raster.selection import Selection, colour_table
from rs_superres.system.memory import check_memory
from rs_superres.types import Valid, Values

SAMPLE = 64
"""Side of a sampled window, in source pixels."""

SAMPLES = 16
"""Largest number of sampled windows along a side of the raster."""

Paths = str | Path | Sequence[str | Path]
"""One raster, or several on one grid: file paths, or other names that GDAL opens."""

Sampled = tuple[Values, Valid]
"""Digital numbers and validity of a sampled window, (band, y, x) each."""


@dataclass(frozen=True, slots=True)
class BandFile:
    """The band of an open file that is a band of a source, and what is known of its pixels."""

    dataset: Dataset
    number: int
    """Band number in the file, from 1."""
    factor: int = 1
    """Source pixels along a side that a pixel of the file covers."""
    unusable: tuple[float, ...] = ()
    """Digital numbers that mark a pixel as invalid, besides nodata."""
    quality: Dataset | None = None
    """A raster that marks pixels as invalid, on the grid of the file; None without one."""
    planes: tuple[int, ...] = ()
    """Bands of ``quality``, from 1; a pixel is invalid if one of them has one of ``bits``."""
    bits: int = -1
    """The bits that count; all if -1."""
    holes: tuple[Polygon, ...] = ()
    """Areas whose pixels are invalid."""
    dtype: str | None = None
    """The dtype of the source, if it is not that of the file."""

    def read(
        self, window: RasterioWindow, shape: tuple[int, int] | None = None
    ) -> tuple[Values, Valid]:
        """Read digital numbers of a window, and which are usable: (y, x) each.

        Args:
            window: A window of the file.
            shape: Height and width of the arrays, to read fewer pixels; None reads all.
        """
        values = self.dataset.read(self.number, window=window, out_shape=shape)
        usable = ~np.isin(values, self.unusable) if self.unusable else np.ones(values.shape, bool)
        if self.dtype is not None:
            values = values.astype(self.dtype, copy=False)
        if self.quality is not None:
            planes = None if shape is None else (len(self.planes), *shape)
            marks = self.quality.read(list(self.planes), window=window, out_shape=planes)
            usable &= ~(marks.astype(np.int64) & self.bits).any(axis=0)
        if self.holes:
            usable &= ~self._in_holes(window, values.shape)
        return values, usable

    def _in_holes(self, window: RasterioWindow, shape: tuple[int, ...]) -> Valid:
        """Return which pixels of a window have their centre in one of the holes: (y, x)."""
        shapes = [{"type": "Polygon", "coordinates": polygon} for polygon in self.holes]
        across = Affine.translation(window.col_off, window.row_off)
        height, width = shape
        larger = Affine.scale(window.width / width, window.height / height)
        inside = rasterize(
            shapes,
            out_shape=shape,
            transform=self.dataset.transform @ across @ larger,
            dtype=np.uint8,
        )
        return np.asarray(inside != 0)

    def read_mask(self, window: RasterioWindow, shape: tuple[int, int] | None = None) -> Mask:
        """Read GDAL's mask of a window: (y, x), 0 where not valid."""
        return read_mask(self.dataset, self.number, window, shape)


@dataclass(frozen=True, slots=True)
class _Layer:
    """One band of a source, and the rules that decide which pixels are valid."""

    file: BandFile
    nodata: float | None
    """A nodata value that GDAL's mask does not take into account."""
    masked: bool
    """Whether pixels that GDAL's mask excludes are invalid."""
    alpha: int | None
    """Number of the alpha band whose transparent pixels are invalid, from 1; None without one."""

    def read(self, window: Window) -> tuple[Values, Valid]:
        """Read digital numbers and validity of a window, (y, x) each."""
        factor = self.file.factor
        if factor == 1:
            return self._read(rasterio_window(window))
        # The file's pixels that the window touches, each repeated.
        row, column = window.row // factor, window.column // factor
        height = -(-(window.row + window.height) // factor) - row
        width = -(-(window.column + window.width) // factor) - column
        inside = window.relative_to(Window(row * factor, column * factor, 0, 0)).slices
        values, valid = self._read(RasterioWindow(column, row, width, height))
        return (
            values.repeat(factor, axis=0).repeat(factor, axis=1)[inside],
            valid.repeat(factor, axis=0).repeat(factor, axis=1)[inside],
        )

    def read_reduced(self, window: Window, shape: Shape) -> tuple[Values, Valid]:
        """Read a window at reduced size, from overviews if the file has some: (y, x) each."""
        sides = (window.column, window.row, window.width, window.height)
        inside = RasterioWindow(*(side / self.file.factor for side in sides))
        return self._read(inside, (shape.height, shape.width))

    def _read(
        self, inside: RasterioWindow, shape: tuple[int, int] | None = None
    ) -> tuple[Values, Valid]:
        """Read a window of the file's own pixels."""
        file = self.file
        values, valid = file.read(inside, shape)
        valid &= valid_by_value(values, self.nodata)
        if self.masked:
            valid &= file.read_mask(inside, shape) > 0
        if self.alpha is not None:
            alpha = file.dataset.read(self.alpha, window=inside, out_shape=shape)
            valid &= alpha.astype(np.float64) > 0
        return values, valid


class Source:
    """An open raster, read by windows.

    Args:
        datasets: Open datasets, which the source closes.
        files: The band of a dataset that each band of the source is read from.
        stack: The metadata of all bands.
        selection: The bands to read; None reads all bands.
        every: Only the first of so many rows, and of so many columns, is read; see
            :meth:`coarser`.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        files: Sequence[BandFile],
        stack: Description,
        selection: Selection | None = None,
        every: int = 1,
    ) -> None:
        self._datasets, self._files, self._every = datasets, files, every
        self._names = [dataset.name for dataset in datasets]
        self._stack = stack
        if selection is None:
            selection = Selection(bands=tuple(range(1, len(stack.bands) + 1)))
        self._layers = _layers(files, stack, selection)
        first = stack.bands[selection.bands[0] - 1]
        self._table = colour_table(first) if selection.expand else None
        self._selection = selection
        described = selection.of(stack)
        self.description = replace(described, grid=described.grid.coarser(every))

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
        """Return a source that reads other bands of the same files; closing one closes both.

        Raises:
            InputError: The dtype does not hold the selection's nodata value.
        """
        return Source(self._datasets, self._files, self._stack, selection)

    def narrowed(self, indices: Sequence[int]) -> Source:
        """Return a source that reads some of this one's bands; closing one closes both.

        Args:
            indices: Indices of the bands, from 0. The bands of a colour table stay together.
        """
        if self._selection.expand:
            return self
        bands = tuple(self._selection.bands[index] for index in indices)
        return self.selected(replace(self._selection, bands=bands))

    def coarser(self, factor: int) -> Source:
        """Return the same source on a grid of larger pixels; closing one closes both.

        Bands that have pixels of this size are read as they are stored; of bands with smaller
        pixels, the first pixel stands for all in a larger one.

        Args:
            factor: Pixels along a side of a larger one; it divides both sides.
        """
        return Source(self._datasets, self._files, self._stack, self._selection, factor)

    def read(self, window: Window) -> tuple[Values, Valid]:
        """Read a window that lies within the raster.

        Returns:
            Digital numbers and validity, (band, y, x) each.

        Raises:
            RasterError: The file cannot be read there.
        """
        every = self._every
        if every > 1:
            window = window.finer(every)
        values, valid = self._read_layers(window, lambda layer: layer.read(window))
        return values[:, ::every, ::every], valid[:, ::every, ::every]

    def read_reduced(self, window: Window, shape: Shape) -> tuple[Values, Valid]:
        """Read a window at reduced size, for a picture: fast if the file has overviews.

        Args:
            window: A window that lies within the raster.
            shape: Height and width of the arrays, at most those of the window.

        Returns:
            Digital numbers and validity, (band, y, x) each: those of overviews, or of the pixels
            under the middles of the larger ones.

        Raises:
            RasterError: The file cannot be read there.
        """
        return self._read_layers(window, lambda layer: layer.read_reduced(window, shape))

    def _read_layers(
        self, window: Window, read: Callable[[_Layer], tuple[Values, Valid]]
    ) -> tuple[Values, Valid]:
        """Read all bands, and expand a colour table.

        Args:
            window: What is read, for the message of a failure.
            read: Reads digital numbers and validity of one band, (y, x) each.

        Raises:
            RasterError: The file cannot be read.
        """
        failure = f"cannot read {self.description.path} at row {window.row}, column {window.column}"
        with raster_errors(failure), reading(*self._names):
            bands = [read(layer) for layer in self._layers]
        values, valid = (np.stack(arrays) for arrays in zip(*bands, strict=True))
        if self._table is not None:
            values = np.moveaxis(self._table[values[0]], -1, 0)
            valid = np.repeat(valid, len(values), axis=0)
        return values, valid

    def read_mirrored(self, window: Window) -> tuple[Values, Valid]:
        """Read any window; beyond its border the raster continues as its mirror image.

        Returns:
            Digital numbers and validity, (band, y, x) each.

        Raises:
            RasterError: The file cannot be read there.
        """
        return read_mirrored(self.read, window, self.description.grid.shape)

    def samples(self) -> Iterator[Sampled]:
        """Read the windows of :func:`sample_windows` one after the other.

        Raises:
            InputError: All of them together do not fit into memory.
            RasterError: The file cannot be read there.
        """
        for window in sample_windows(self.description):
            yield self.read(window)


def bands_of(dataset: Dataset) -> list[BandFile]:
    """Return all bands of a dataset."""
    return [BandFile(dataset, number) for number in dataset.indexes]


def _layers(files: Sequence[BandFile], stack: Description, selection: Selection) -> list[_Layer]:
    """Return the selected bands, each with the rules that decide which pixels are valid."""
    # rasterio rebuilds both lists on every access.
    facts = {
        id(dataset): (dataset.mask_flag_enums, ColorInterp.alpha in dataset.colorinterp)
        for dataset in {id(file.dataset): file.dataset for file in files}.values()
    }
    layers = []
    for position in selection.bands:
        file, band = files[position - 1], stack.bands[position - 1]
        all_flags, in_alpha = facts[id(file.dataset)]
        flags = all_flags[file.number - 1]
        # GDAL's mask of a file with nodata and alpha is that of nodata, and rasterio warns of it.
        shadowed = MaskFlags.nodata in flags and band.nodata is not None and in_alpha
        by_nodata = MaskFlags.nodata in flags and band.nodata is not None and not shadowed
        lost_alpha = selection.lost_alpha(band)
        nodata = selection.nodata
        if nodata is None and not by_nodata:
            # If the file has a mask too, GDAL applies the mask and ignores the nodata value.
            nodata = band.nodata
        layers.append(
            _Layer(
                file,
                nodata,
                masked=MaskFlags.all_valid not in flags
                and MaskFlags.alpha not in flags
                and not shadowed
                and not (by_nodata and selection.nodata is not None),
                alpha=None if lost_alpha is None else files[lost_alpha].number,
            )
        )
    return layers


def sample_windows(description: Description) -> list[Window]:
    """Return windows at full resolution that represent a raster.

    Their number, at most 256, and their positions depend only on the raster's size.

    Raises:
        InputError: Their pixels do not fit into memory.
    """
    windows = windows_over(description.grid.shape)
    check_memory(
        len(windows) * SAMPLE**2 * description.pixel_bytes,
        f"a sample of the {len(description.bands)} bands of {description.path}",
        "choose fewer bands (bidx=)",
    )
    return windows


def windows_over(shape: Shape) -> list[Window]:
    """Return windows that represent a raster of a shape: at most 256, evenly spaced."""
    rows, columns = (evenly_spaced(side, SAMPLE, SAMPLES) for side in (shape.height, shape.width))
    squares = (Window(row, column, SAMPLE, SAMPLE) for row in rows for column in columns)
    whole = Window(0, 0, shape.height, shape.width)
    clipped = (square.intersection(whole) for square in squares)
    return [window for window in clipped if window is not None]


def checksum(description: Description, samples: Iterable[Sampled]) -> str:
    """Return the SHA-256 of a raster's header and sampled windows, in hexadecimal."""
    digest = hashlib.sha256()
    grid = description.grid
    digest.update(repr((grid.shape, grid.transform, grid.crs, description.bands)).encode())
    if description.epoch is not None:
        digest.update(repr(description.epoch).encode())
    for values, valid in samples:
        digest.update(np.ascontiguousarray(values).tobytes())
        digest.update(np.packbits(valid).tobytes())
    return digest.hexdigest()
