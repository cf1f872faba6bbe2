"""Rasters that are read: opened, checked, and read by windows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window as RasterioWindow

from rs_superres.errors import InputError, RasterError
from rs_superres.grid import Grid, Window
from rs_superres.radiometry import DTYPES, Valid
from rs_superres.raster.description import Description, describe, grid_of
from rs_superres.raster.gdal import FAILURES, one_line, opened
from rs_superres.tiles import reflected

SAMPLE = 64
"""Pixels: the side of the windows that a scene is sampled by."""


class Source:
    """An open raster, read by windows."""

    def __init__(self, dataset: Any, description: Description) -> None:
        self._dataset = dataset
        self.description = description

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._dataset.close()

    def read(self, window: Window) -> tuple[npt.NDArray[np.generic], Valid]:
        """Digital numbers and validity, (band, y, x) each, of a window within the raster.

        Raises:
            RasterError: the file cannot be read there.
        """
        place = RasterioWindow(window.column, window.row, window.width, window.height)
        try:
            values = self._dataset.read(window=place)
            valid = np.ones(values.shape, dtype=np.bool_)
            for i, flags in enumerate(self._dataset.mask_flag_enums):
                if MaskFlags.all_valid not in flags and MaskFlags.alpha not in flags:
                    valid[i] = self._dataset.read_masks(i + 1, window=place) > 0
        except FAILURES as error:
            raise RasterError(
                f"cannot read {self.description.path} at row {window.row}, column "
                f"{window.column}: {one_line(error)}"
            ) from error
        if values.dtype.kind == "f":
            valid &= np.isfinite(values)
        return values, valid

    def read_reflected(
        self, row: int, column: int, height: int, width: int
    ) -> tuple[npt.NDArray[np.generic], Valid]:
        """The same of any window: the scene goes on beyond its border as its mirror image."""
        shape = self.description.grid.shape
        rows = reflected(row, height, shape.height)
        columns = reflected(column, width, shape.width)
        top, left = int(rows.min()), int(columns.min())
        window = Window(top, left, int(rows.max()) - top + 1, int(columns.max()) - left + 1)
        values, valid = self.read(window)
        take = np.ix_(np.arange(len(values)), rows - top, columns - left)
        return values[take], valid[take]

    def samples(self) -> Iterator[tuple[npt.NDArray[np.generic], Valid]]:
        """At most 256 windows in full resolution, placed by the raster's size alone."""
        shape = self.description.grid.shape
        for row in _sample_starts(shape.height):
            for column in _sample_starts(shape.width):
                whole = Window(row, column, SAMPLE, SAMPLE).intersection(
                    self.description.grid.window
                )
                if whole is not None:
                    yield self.read(whole)


def _sample_starts(size: int) -> list[int]:
    """Up to 16 evenly spread starts of sample windows along a side."""
    count = min(16, -(-size // SAMPLE))
    return [round(i * max(0, size - SAMPLE) / max(1, count - 1)) for i in range(count)]


def open_source(path: str | Path) -> Source:
    """Open a raster and check that it can be super-resolved.

    Raises:
        RasterError: it cannot be opened, or holds no bands of its own.
        InputError: it is of a kind that is not super-resolved.
    """
    dataset = _opened(path)
    try:
        description = describe(str(path), dataset)
        _check(description, dataset)
    except BaseException:
        dataset.close()
        raise
    return Source(dataset, description)


def inspect(path: str | Path) -> tuple[Description, str | None]:
    """Describe a raster of any kind, and say why it is not super-resolved; None where it is.

    Raises:
        RasterError: it cannot be opened.
        InputError: it is a directory, or holds no bands of its own.
    """
    with _opened(path) as dataset:
        description = describe(str(path), dataset)
        try:
            _check(description, dataset)
        except InputError as refusal:
            return description, str(refusal)
    return description, None


def _opened(path: str | Path) -> Any:
    """rasterio's dataset."""
    if Path(path).is_dir():
        raise InputError(f"{path} is a directory, expected a raster file")
    try:
        return opened(str(path))
    except FAILURES as error:
        raise RasterError(f"cannot open {path}: {one_line(error)}") from error


def read_grid(path: str | Path) -> Grid:
    """The grid of a raster of any kind.

    Raises:
        RasterError: it cannot be opened.
    """
    try:
        with opened(str(path)) as dataset:
            return grid_of(dataset)
    except FAILURES as error:
        raise RasterError(f"cannot open {path}: {one_line(error)}") from error


def _check(description: Description, dataset: Any) -> None:
    """Refuse what cannot be super-resolved, in a line that names the way out."""
    path = description.path
    dtypes = sorted({b.dtype for b in description.bands})
    if len(dtypes) > 1:
        raise InputError(f"{path} has bands of dtypes {', '.join(dtypes)}, expected one dtype")
    if dtypes[0] not in DTYPES:
        raise InputError(f"{path} has dtype {dtypes[0]}, supported are {', '.join(DTYPES)}")
    # First, since GDAL gives 1-bit values a colour table of black and white.
    bits = [dataset.tags(i + 1, ns="IMAGE_STRUCTURE").get("NBITS") for i in range(dataset.count)]
    if "1" in bits:
        raise InputError(
            f"{path} holds 1-bit values: a mask, which cannot be super-resolved; "
            "enlarge it by nearest neighbour (gdalwarp -r near)"
        )
    if any(b.interpretation == ColorInterp.palette.name for b in description.bands):
        raise InputError(
            f"{path} has a colour table: its values are classes, which cannot be super-resolved; "
            "expand it to colours first (gdal_translate -expand rgb)"
        )


def checksum(
    description: Description, samples: Iterable[tuple[npt.NDArray[np.generic], Valid]]
) -> str:
    """SHA-256 of a source's header and of its sampled windows, values and masks, hex."""
    digest = hashlib.sha256()
    grid = description.grid
    digest.update(repr((grid.shape, grid.transform, grid.crs, description.bands)).encode())
    for values, valid in samples:
        digest.update(np.ascontiguousarray(values).tobytes())
        digest.update(np.packbits(valid).tobytes())
    return digest.hexdigest()
