"""The target of a result, and the mosaic of its pixels, for tests of writers."""

from __future__ import annotations

from pathlib import Path

from rs_superres.grid import Shape, Window, Zoom
from rs_superres.raster import Target, Tile, open_source, tile_bytes, write_mosaic
from rs_superres.types import Valid, Values

SIDE = Shape(100, 170)
"""The size of a tile."""


def target_of(path: Path, scale: str, window: Window | None = None) -> Target:
    with open_source(path) as source:
        description = source.description
    zoom = Zoom.by_scale(description.grid, scale)
    return Target(
        source=description,
        zoom=zoom,
        window=window or zoom.output.window,
        tags={"OURS": "1"},
        masked=False,
    )


def write_tiles(folder: Path, target: Target, pixels: Values, mask: Valid | None) -> Path:
    """Write a result's pixels, (band, y, x), as tiles and a mosaic; return the mosaic."""
    tiles, everything = [], Window(0, 0, *pixels.shape[1:])
    for row in range(0, everything.height, SIDE.height):
        for column in range(0, everything.width, SIDE.width):
            part = Window(row, column, SIDE.height, SIDE.width).intersection(everything)
            assert part is not None
            path = folder / f"{row}_{column}.tif"
            shown = None if mask is None else mask[part.slices]
            path.write_bytes(tile_bytes(pixels[:, *part.slices], shown))
            size = Shape(part.height, part.width)
            tiles.append(Tile(path, size, Window(0, 0, part.height, part.width), part))
    write_mosaic(folder / "work.vrt", target, tiles)
    return folder / "work.vrt"
