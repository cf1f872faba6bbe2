"""Find the rasters of an evaluation, and tiles of them that hold enough valid pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from rs_superres.config import ConsistencyConfig
from rs_superres.errors import InputError, SuperResError
from rs_superres.evaluation.bands import Bands
from rs_superres.evaluation.protocol import Case, make_case
from rs_superres.grid import Shape, Window
from rs_superres.raster import SkippedFile, Source, open_source, rasters_below

LARGEST_TILE_SIDE = 1024
"""Pixels on a side of a tile, at most."""

TILES_PER_AXIS = 2
"""Tiles along each axis of a raster, at most."""

MOST_HALVINGS = 3
"""Times that the side of tiles is halved to find tiles between holes."""

LEAST_VALID = 0.25
"""Share of a tile's pixels that must be valid."""

LEAST_LOW_SIDE = 12
"""Low-resolution pixels that a tile must have on each side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A part of a raster that is downsampled and upscaled again."""

    name: str
    """The file's name, followed by the tile's position if the raster has several tiles."""
    image: str
    """The file's name."""
    path: Path
    """The raster."""
    window: Window
    """The tile's window in the raster."""
    bands: Bands
    """The raster's bands."""

    def case(self, scale: float, kernel: ConsistencyConfig) -> Case:
        """Read the tile and make its low resolution.

        Raises:
            RasterError: the raster cannot be read.
        """
        with open_source(self.path) as source:
            image = self.bands.read(source, self.window)
        return make_case(self.name, self.bands, image, scale, kernel)

    def scales(self, requested: Sequence[float]) -> list[float]:
        """Return the requested scales whose low resolution is large enough."""
        side = min(self.window.height, self.window.width)
        return [scale for scale in requested if side / scale >= LEAST_LOW_SIDE]


def find_files(
    folders: Sequence[Path], limit: int | None
) -> tuple[dict[str, Path], list[SkippedFile]]:
    """Find the rasters of folders at any depth, each once.

    Args:
        folders: folders, or single rasters.
        limit: take at most so many files, evenly spaced in the sorted list.

    Returns:
        The paths by the names that the report uses, and the files that are no rasters.

    Raises:
        InputError: a folder does not exist, or there are no rasters.
    """
    files: dict[str, Path] = {}
    passed_over: list[SkippedFile] = []
    seen: set[Path] = set()
    for folder in folders:
        for name, path in _named_rasters(folder, passed_over, alone=len(folders) == 1):
            absolute = path.absolute()
            if absolute not in seen:
                files[str(absolute) if name in files else name] = path
            seen.add(absolute)
    if not files:
        raise InputError(
            f"no rasters in {', '.join(map(str, folders))}, expected files that GDAL opens"
        )
    names = list(files)
    count = min(len(names), limit or len(names))
    chosen = [names[i * len(names) // count] for i in range(count)]
    return {name: files[name] for name in chosen}, passed_over


def _named_rasters(
    folder: Path, passed_over: list[SkippedFile], *, alone: bool
) -> Iterator[tuple[str, Path]]:
    """Yield the rasters of a folder, or a single raster, with their names.

    Args:
        folder: the folder or raster.
        passed_over: receives the files that are no rasters.
        alone: whether it is the only one; otherwise the names start with the folder's name.

    Raises:
        InputError: the folder does not exist.
    """
    if folder.is_file():
        yield folder.name, folder
        return
    if not folder.is_dir():
        raise InputError(f"{folder} is neither a folder nor a file, expected one of rasters")
    found = rasters_below(folder)
    passed_over += found.passed_over
    for path in found.rasters:
        name = str(path.relative_to(folder))
        yield name if alone else f"{folder.name}/{name}", path


def find_tiles(
    files: Mapping[str, Path], value_range: tuple[float, float] | None = None
) -> tuple[list[Tile], list[SkippedFile]]:
    """Find the tiles of rasters: all of a small raster, up to four tiles of a large one.

    Args:
        files: the paths by name.
        value_range: digital numbers that map to -1 and 1; None to derive them per raster.

    Returns:
        The tiles, and the files that are left out.

    Raises:
        InputError: no file can be evaluated.
    """
    tiles: list[Tile] = []
    skipped: list[SkippedFile] = []
    for name, path in files.items():
        try:
            tiles += _tiles_of(name, path, value_range)
        except SuperResError as error:
            skipped.append(SkippedFile(path, str(error)))
    if not tiles:
        first = f"; the first: {skipped[0].reason}" if skipped else ""
        raise InputError(f"none of {len(files)} files can be evaluated{first}")
    return tiles, skipped


def _tiles_of(name: str, path: Path, value_range: tuple[float, float] | None) -> list[Tile]:
    """Return the tiles of one raster with enough valid pixels, as large as possible.

    Raises:
        SuperResError: the raster cannot be used, or no tile has enough valid pixels.
    """
    with open_source(path) as source:
        bands = Bands.of(source, value_range)
        shape, windows = source.description.grid.shape, best_windows(source, bands)
    full = Window(0, 0, shape.height, shape.width)
    return [
        Tile(
            name=name + (f" @{window.column},{window.row}" if window != full else ""),
            image=name,
            path=path,
            window=window,
            bands=bands,
        )
        for window in windows
    ]


def best_windows(source: Source, bands: Bands) -> list[Window]:
    """Return windows of a raster with enough valid pixels: all of a small one, up to four tiles.

    Args:
        source: the raster.
        bands: its bands that are compared.

    Raises:
        InputError: no window has enough valid pixels.
        RasterError: the raster cannot be read.
    """
    for halvings in range(MOST_HALVINGS + 1):
        windows = tile_windows(source.description.grid.shape, halvings)
        valid = {w: bands.read(source, w)[1].all(axis=0).mean() for w in windows}
        best = sorted(windows, key=lambda w: -valid[w])[: TILES_PER_AXIS**2]
        usable = [w for w in windows if w in best and valid[w] >= LEAST_VALID]
        if usable:
            return usable
    raise InputError(f"{source.description.path} has no tile of which {LEAST_VALID:.0%} are valid")


def tile_windows(shape: Shape, halvings: int = 0) -> list[Window]:
    """Return windows that are spaced evenly over a raster and do not overlap.

    Args:
        shape: the raster's shape.
        halvings: each halves the largest side of a window, and doubles the number of windows
            along an axis.
    """
    largest, most = LARGEST_TILE_SIDE >> halvings, TILES_PER_AXIS << halvings
    spans = []
    for size in (shape.height, shape.width):
        count = min(most, -(-size // largest))
        length = min(largest, size // count)
        spacing = (size - length) / max(1, count - 1)
        spans.append([(round(i * spacing), length) for i in range(count)])
    return [
        Window(row, column, height, width) for (row, height), (column, width) in product(*spans)
    ]
