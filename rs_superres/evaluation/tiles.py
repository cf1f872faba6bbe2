"""What of folders of rasters is shrunk and enlarged again: tiles that hold enough valid pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from rs_superres.config import ConsistencyConfig
from rs_superres.errors import InputError, SuperResError
from rs_superres.evaluation.bands import Bands
from rs_superres.evaluation.protocol import Case, shrunk
from rs_superres.grid import Shape, Window
from rs_superres.raster import SUFFIXES, open_source, rasters_below

SIDE = 1024
"""Pixels of a tile's side, at most."""

ACROSS = 2
"""Tiles along each side of a raster, at most."""

HALVINGS = 3
"""Times that the side is halved to find tiles between holes."""

FEWEST = 0.25
"""Share of a tile that must be valid."""

LEAST = 12
"""Cells of the low resolution's sides, at least: fewer say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A part of a raster that is shrunk and enlarged again."""

    name: str
    image: str
    """The file's name."""
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
        return shrunk(self.name, self.bands, (values, valid), scale, kernel)

    def scales(self, wanted: Sequence[float]) -> list[float]:
        """Those of some scales that leave enough of it."""
        side = min(self.window.height, self.window.width)
        return [scale for scale in wanted if side / scale >= LEAST]


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that is not evaluated."""

    path: Path
    reason: str


def find_files(folders: Sequence[Path], limit: int | None) -> dict[str, Path]:
    """Rasters of some folders, at any depth, by what names them; ``limit``, evenly spread.

    Raises:
        InputError: a folder is not there, or holds none.
    """
    found: dict[str, Path] = {}
    seen: set[Path] = set()
    for folder in folders:
        for name, path in _named(folder, alone=len(folders) == 1):
            whole = path.absolute()
            if whole not in seen:
                found[str(whole) if name in found else name] = path
            seen.add(whole)
    if not found:
        raise InputError(
            f"no rasters in {', '.join(map(str, folders))}, expected files named "
            f"{', '.join(SUFFIXES)}"
        )
    names = list(found)
    count = min(len(names), limit or len(names))
    return {n: found[n] for n in (names[i * len(names) // count] for i in range(count))}


def _named(folder: Path, *, alone: bool) -> Iterator[tuple[str, Path]]:
    """The rasters of a folder, or a raster, with their names; the folder's too if not alone.

    Raises:
        InputError: it is not there.
    """
    if folder.is_file():
        yield folder.name, folder
        return
    if not folder.is_dir():
        raise InputError(f"{folder} is neither a folder nor a file, expected one of rasters")
    for path in rasters_below(folder):
        name = str(path.relative_to(folder))
        yield name if alone else f"{folder.name}/{name}", path


def find_tiles(
    files: Mapping[str, Path], value_range: tuple[float, float] | None = None
) -> tuple[list[Tile], list[SkippedFile]]:
    """The tiles of rasters: the whole of a small one, up to four places of a large one."""
    tiles: list[Tile] = []
    skipped: list[SkippedFile] = []
    for name, path in files.items():
        try:
            found = _tiles(name, path, value_range)
        except SuperResError as error:
            skipped.append(SkippedFile(path, str(error)))
        else:
            tiles += found
    if not tiles:
        said = f"; the first of {len(skipped)}: {skipped[0].reason}" if skipped else ""
        raise InputError(f"nothing that can be evaluated in {len(files)} files{said}")
    return tiles, skipped


def _tiles(name: str, path: Path, value_range: tuple[float, float] | None) -> list[Tile]:
    """Those of one raster that hold enough valid pixels, the largest that there are.

    Raises:
        SuperResError: it cannot be used, or none does.
    """
    with open_source(path) as source:
        bands = Bands.of(source, value_range)
        for halvings in range(HALVINGS + 1):
            windows = tile_windows(source.description.grid.shape, halvings)
            shares = {w: bands.read(source, w)[1].all(axis=0).mean() for w in windows}
            best = sorted(windows, key=lambda w: -shares[w])[: ACROSS**2]
            found = [w for w in windows if w in best and shares[w] >= FEWEST]
            if found:
                break
    if not found:
        raise InputError(f"{path} has no place of which {FEWEST:.0%} are valid")
    return [
        Tile(
            name=name + (f" @{window.column},{window.row}" if len(windows) > 1 else ""),
            image=name,
            path=path,
            window=window,
            bands=bands,
        )
        for window in found
    ]


def tile_windows(shape: Shape, halvings: int = 0) -> list[Window]:
    """Tiles placed by a raster's size alone, none over another.

    Args:
        shape: of the raster.
        halvings: each makes the tiles' sides half as long, and allows twice as many along one.
    """
    side, across = SIDE >> halvings, ACROSS << halvings
    spans = []
    for whole in (shape.height, shape.width):
        count = min(across, -(-whole // side))
        length = min(side, whole // count)
        rest = (whole - length) / max(1, count - 1)
        spans.append([(round(i * rest), length) for i in range(count)])
    return [Window(row, column, h, w) for (row, h), (column, w) in product(*spans)]
