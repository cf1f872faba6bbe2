"""Which files of a folder are taken for rasters."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = (
    *(".tif", ".tiff", ".gtiff", ".cog", ".btf", ".jp2", ".j2k", ".img", ".vrt", ".png"),
    *(".jpg", ".jpeg", ".webp", ".bil", ".bsq", ".bip", ".ntf"),
)
"""Ends of their names."""


def is_raster(path: Path) -> bool:
    """Whether a file is taken for one; hidden files are not."""
    named = path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    return named and path.is_file()


def rasters_below(folder: Path) -> list[Path]:
    """Those of a folder at any depth, sorted; none in a hidden folder, as unfinished runs keep."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if is_raster(path) and not any(p.startswith(".") for p in path.relative_to(folder).parts)
    ]
