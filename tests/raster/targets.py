"""The target of a result, for tests of writers."""

from __future__ import annotations

from pathlib import Path

from rs_superres.grid import Window, Zoom
from rs_superres.raster import Target, open_source


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
