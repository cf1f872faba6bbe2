"""What is compared: tiles of the truth, shrunk by a named degradation.

The truth is cropped to what its low resolution covers, low resolution is made from that crop, and
everything is rounded and clipped to the dtype.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rs_superres.config import ConsistencyConfig
from rs_superres.degrade import bicubic, compared, kernel_matrix
from rs_superres.errors import InputError, SuperResError
from rs_superres.evaluation.enlarge import Low, Values
from rs_superres.grid import Grid, Shape, Window, Zoom
from rs_superres.groups import Group, band_groups
from rs_superres.radiometry import Valid, fill_holes, quantise
from rs_superres.raster import Band, Source, open_source
from rs_superres.roles import Wish, decide
from rs_superres.tiles import spread

SUFFIXES = (".tif", ".tiff", ".webp", ".png", ".jpg", ".jpeg", ".jp2", ".vrt", ".img")
"""Files of a folder that are tried."""

SIDE = 1024
"""Pixels of a tile's side, at most."""

ACROSS = 2
"""Tiles along each side of a raster, at most."""

LEAST = 12
"""Cells of the low resolution's sides, at least: fewer say nothing."""

FEWEST = 0.25
"""Share of a tile that must be valid."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bands:
    """The bands of a raster that go through the network, on indices of their own."""

    index: tuple[int, ...]
    """Which of the raster's they are."""
    bands: tuple[Band, ...]
    groups: tuple[Group, ...]
    alpha: tuple[int, ...]
    """Which of the raster's tell where the others hold nothing."""

    @property
    def triplet(self) -> tuple[int, ...]:
        """Red, green and blue; empty where there are none."""
        return next((g.bands for g in self.groups if len(g.bands) == 3), ())

    @property
    def widths(self) -> Floats:
        """(band,) of the value ranges, digital numbers: the peaks of the metrics."""
        out = np.empty(len(self.bands))
        for group in self.groups:
            out[list(group.bands)] = 2 * group.value_range.half
        return out

    @property
    def middles(self) -> Floats:
        """(band,) of the value ranges, digital numbers."""
        out = np.empty(len(self.bands))
        for group in self.groups:
            out[list(group.bands)] = group.value_range.centre
        return out

    @classmethod
    def of(cls, source: Source, value_range: tuple[float, float] | None) -> Bands:
        """Those of an open raster, as the tool decides about them.

        Raises:
            InputError: its bands are of a kind that is not super-resolved.
        """
        description = source.description
        roles = decide(description, Wish())
        samples = list(source.samples())
        groups = list(band_groups(roles, description.bands, samples, value_range))
        index = tuple(i for group in groups for i in group.bands)
        if not index:
            raise InputError(f"{description.path} has no band that is super-resolved")
        return cls(
            index=index,
            bands=tuple(description.bands[i] for i in index),
            groups=tuple(
                replace(g, bands=tuple(index.index(i) for i in g.bands)) for g in groups
            ),
            alpha=roles.alpha,
        )

    def read(self, source: Source, window: Window) -> tuple[Values, Valid]:
        """Digital numbers and validity of a window, (band, y, x) each."""
        values, valid = source.read(window)
        seen = (values[list(self.alpha)] > 0).all(axis=0)
        return values[list(self.index)], valid[list(self.index)] & seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A truth and its low resolution."""

    name: str
    scale: float
    """As it was asked for; of pairs the ratio of their pixel sizes."""
    low: Low
    zoom: Zoom
    """The low resolution's grid, and the truth's over it."""
    truth: Values
    """(band, y, x); where it is not valid, something smooth."""
    valid: Valid
    """(y, x): what is compared, valid in truth and result."""
    triplet: tuple[int, ...]
    """Indices of red, green and blue; empty where there are none."""
    widths: Floats
    """(band,) digital numbers: the peaks of the metrics."""
    kernel: ConsistencyConfig
    """How the low resolution was made; of pairs, how it is taken to have been."""

    @property
    def pixels(self) -> int:
        """Of the truth."""
        return self.valid.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A part of a raster that is shrunk and enlarged again."""

    name: str
    path: Path
    window: Window
    bands: Bands

    def case(self, scale: float, kernel: ConsistencyConfig) -> Case:
        """The tile and its low resolution.

        Raises:
            RasterError: it cannot be read.
        """
        with open_source(self.path) as source:
            values, valid = self.bands.read(source, self.window)
        return shrunk(self, values, valid, scale, kernel)

    def scales(self, wanted: Sequence[float]) -> list[float]:
        """Those of some scales that leave enough of it."""
        side = min(self.window.height, self.window.width)
        return [scale for scale in wanted if side / scale >= LEAST]


def shrunk(
    tile: Tile, values: Values, valid: Valid, scale: float, kernel: ConsistencyConfig
) -> Case:
    """A tile, (band, y, x), and its low resolution at a scale."""
    truth, shape = compared(values, scale)
    valid = valid[:, : truth.shape[1], : truth.shape[2]]
    truth = without_holes(truth, valid, tile.bands.middles)
    zoom = Zoom.onto(Grid(Shape(*shape), None), Shape(*truth.shape[1:]))
    low_valid = _untouched(valid, shape, kernel)
    return Case(
        name=tile.name,
        scale=scale,
        low=Low(
            values=degraded(truth, shape, kernel),
            valid=low_valid,
            bands=tile.bands.bands,
            groups=tile.bands.groups,
        ),
        zoom=zoom,
        truth=truth,
        valid=(valid & over(zoom, low_valid)).all(axis=0),
        triplet=tile.bands.triplet,
        widths=tile.bands.widths,
        kernel=kernel,
    )


def over(zoom: Zoom, valid: Valid) -> Valid:
    """The validity of the source's cell under each output pixel, (band, y, x)."""
    rows, columns = (
        (axis.under(0, axis.size), axis.source) for axis in (zoom.rows, zoom.columns)
    )
    inside = np.logical_and.outer(*((u >= 0) & (u < most) for u, most in (rows, columns)))
    taken = np.ix_(np.arange(len(valid)), *(u.clip(0, most - 1) for u, most in (rows, columns)))
    found: Valid = valid[taken] & inside
    return found


def without_holes(values: Values, valid: Valid, middles: Floats) -> Values:
    """Digital numbers, (band, y, x), with valid neighbours continued into holes."""
    if valid.all():
        return values
    centre = middles[:, None, None]
    with np.errstate(invalid="ignore"):
        apart = np.where(valid, values.astype(np.float64) - centre, 0.0)
    return quantise(fill_holes(apart, valid) + centre, values.dtype.name, None)


def degraded(values: Values, shape: tuple[int, int], kernel: ConsistencyConfig) -> Values:
    """An image, (band, y, x), shrunk to a shape and rounded to its dtype.

    Eight bits by bicubic are Pillow's, which rounds between rows and columns too.
    """
    if values.dtype == np.uint8 and kernel.kernel == "bicubic":
        return bicubic(values.astype(np.uint8), shape)
    rows, columns = _matrices(values, shape, kernel)
    return quantise(rows @ values.astype(np.float64) @ columns.T, values.dtype.name, None)


def _matrices(
    values: npt.NDArray[np.generic], shape: tuple[int, int], kernel: ConsistencyConfig
) -> tuple[Floats, Floats]:
    """The degradation along rows and columns."""
    rows, columns = (
        kernel_matrix(kernel.kernel, cells, pixels, mtf=kernel.mtf)
        for cells, pixels in zip(shape, values.shape[1:], strict=True)
    )
    return rows, columns


def _untouched(valid: Valid, shape: tuple[int, int], kernel: ConsistencyConfig) -> Valid:
    """Cells of the low resolution that no invalid pixel is part of, (band, y, x)."""
    if valid.all():
        return np.ones((len(valid), *shape), dtype=np.bool_)
    # What a Gaussian weighs by less than a thousandth is not felt after rounding.
    rows, columns = (
        (np.abs(m) > 1e-3 * m.max()).astype(np.float32) for m in _matrices(valid, shape, kernel)
    )
    touched: Valid = rows @ (~valid).astype(np.float32) @ columns.T > 0
    return ~touched


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is not evaluated."""

    path: Path
    reason: str


def find_files(folders: Sequence[Path], limit: int | None) -> dict[str, Path]:
    """Rasters of some folders, at any depth, by what names them; ``limit``, evenly spread.

    Raises:
        InputError: a folder is not there, or holds none.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        if folder.is_file():
            found[folder.name] = folder
            continue
        if not folder.is_dir():
            raise InputError(f"{folder} is neither a folder nor a file, expected one of rasters")
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                name = str(path.relative_to(folder))
                found[f"{folder.name}/{name}" if len(folders) > 1 else name] = path
    if not found:
        raise InputError(
            f"no rasters in {', '.join(map(str, folders))}, expected files named "
            f"{', '.join(SUFFIXES)}"
        )
    names = list(found)
    count = min(len(names), limit or len(names))
    return {n: found[n] for n in (names[i * len(names) // count] for i in range(count))}


def find_tiles(
    files: Mapping[str, Path], value_range: tuple[float, float] | None = None
) -> tuple[list[Tile], list[Skipped]]:
    """The tiles of rasters: the whole of a small one, up to four places of a large one."""
    tiles: list[Tile] = []
    skipped: list[Skipped] = []
    for name, path in files.items():
        try:
            found = _tiles(name, path, value_range)
        except SuperResError as error:
            skipped.append(Skipped(path, str(error)))
        else:
            tiles += found
    if not tiles:
        said = f"; the first of {len(skipped)}: {skipped[0].reason}" if skipped else ""
        raise InputError(f"nothing that can be evaluated in {len(files)} files{said}")
    return tiles, skipped


def _tiles(name: str, path: Path, value_range: tuple[float, float] | None) -> list[Tile]:
    """Those of one raster that hold enough valid pixels.

    Raises:
        SuperResError: it cannot be used, or none does.
    """
    found = []
    with open_source(path) as source:
        bands = Bands.of(source, value_range)
        shape = source.description.grid.shape
        windows = tile_windows(shape)
        for window in windows:
            if bands.read(source, window)[1].all(axis=0).mean() >= FEWEST:
                place = f" @{window.column},{window.row}" if len(windows) > 1 else ""
                found.append(
                    Tile(name=name + place, path=path, window=window, bands=bands)
                )
    if not found:
        raise InputError(f"{path} has no place of which {FEWEST:.0%} are valid")
    return found


def tile_windows(shape: Shape) -> list[Window]:
    """Tiles placed by a raster's size alone."""
    height, width = min(SIDE, shape.height), min(SIDE, shape.width)
    rows, columns = spread(shape.height, height, ACROSS), spread(shape.width, width, ACROSS)
    return [Window(row, column, height, width) for row, column in product(rows, columns)]
