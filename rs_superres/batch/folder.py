"""Find the scenes of a batch, and name the result of each."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from rs_superres.errors import InputError
from rs_superres.raster import rasters_below


@dataclass(frozen=True, slots=True)
class SceneFile:
    """One scene of a batch."""

    source: str
    """An absolute path, or anything else that GDAL opens."""
    name: PurePath
    """Name of the result within the folder of results."""


def scenes(where: str, out: Path) -> list[SceneFile]:
    """Find the scenes of a folder, of a pattern, or of a list.

    Args:
        where: a folder, which is searched to any depth; a pattern such as ``a/**/*.tif``; or a
            text file ``LIST.txt`` with one path a line.
        out: the folder of results, which is not searched.

    Raises:
        InputError: there are no scenes, or the results of two would have the same name.
    """
    pairs = _sources_and_names(where, out.absolute())
    files = [SceneFile(source, name.with_suffix(".tif")) for source, name in pairs]
    if not files:
        raise InputError(f"no rasters in {where}, expected a folder, a pattern or a list of them")
    sources: dict[PurePath, str] = {}
    for scene in files:
        # Some file systems do not distinguish A.tif from a.tif.
        key = PurePath(str(scene.name).lower())
        if key in sources:
            raise InputError(
                f"{sources[key]} and {scene.source} would both become {scene.name}; rename one, or "
                "give a list without it"
            )
        sources[key] = scene.source
    return files


def _sources_and_names(where: str, out: Path) -> Iterator[tuple[str, PurePath]]:
    """Find sources, and their names relative to the folder that is searched."""
    path = Path(where)
    if path.is_dir():
        files = [p for p in rasters_below(path.absolute()) if not p.is_relative_to(out)]
        return _named(files, path.absolute())
    if path.suffix.lower() == ".txt" and path.is_file():
        return _listed(path)
    matches = [Path(p).absolute() for p in sorted(glob.glob(where, recursive=True))]  # noqa: PTH207
    files = [p for p in matches if p.is_file() and not p.is_relative_to(out)]
    parts = Path(where).absolute().parts
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return _named(files, Path(*parts[:fixed]))


def _named(files: Sequence[Path], base: Path) -> Iterator[tuple[str, PurePath]]:
    """Pair files with their names relative to a folder."""
    return ((str(p), PurePath(p.relative_to(base))) for p in files)


def _listed(path: Path) -> Iterator[tuple[str, PurePath]]:
    """Read a list: paths relative to its folder, or anything else that GDAL opens."""
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read as a list of scenes: {reason}") from error
    folder = path.absolute().parent
    for line in lines:
        if not line or line.startswith("#"):
            continue
        if line.startswith("/vsi") or "://" in line:
            yield line, PurePath(PurePath(line).name)
            continue
        source = folder / line
        inside = source.is_relative_to(folder) and ".." not in source.parts
        yield str(source), PurePath(source.relative_to(folder) if inside else source.name)
