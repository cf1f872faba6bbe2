"""Which scenes a batch is made of, and what each result is called."""

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
    """A path that holds in any folder, or what else GDAL opens."""
    name: PurePath
    """Of the result, within the folder of results."""


def scenes(what: str, out: Path) -> list[SceneFile]:
    """The scenes of a folder, of a pattern, or of a list with one a line.

    Args:
        what: ``DIR``, searched to any depth; a pattern as ``a/**/*.tif``; or ``LIST.txt``.
        out: the folder of results, which is not searched.

    Raises:
        InputError: there are none, or two whose results would have one name.
    """
    found = [SceneFile(s, n.with_suffix(".tif")) for s, n in _found(what, out.absolute())]
    if not found:
        raise InputError(f"{what} names no rasters, expected a folder, a pattern or a list of them")
    taken: dict[PurePath, str] = {}
    for scene in found:
        # Some file systems hold A.tif and a.tif for one.
        key = PurePath(str(scene.name).lower())
        if key in taken:
            raise InputError(
                f"{taken[key]} and {scene.source} would both become {scene.name}; rename one, or "
                "give a list without it"
            )
        taken[key] = scene.source
    return found


def _found(what: str, out: Path) -> Iterator[tuple[str, PurePath]]:
    """Sources, and their names within what they were found in."""
    path = Path(what)
    if path.is_dir():
        files = [p for p in rasters_below(path.absolute()) if not p.is_relative_to(out)]
        return _placed(files, path.absolute())
    if path.suffix.lower() == ".txt" and path.is_file():
        return _listed(path)
    matched = [Path(p).absolute() for p in sorted(glob.glob(what, recursive=True))]  # noqa: PTH207
    files = [p for p in matched if p.is_file() and not p.is_relative_to(out)]
    fixed = Path(what).absolute().parts
    depth = next((i for i, part in enumerate(fixed) if glob.has_magic(part)), len(fixed) - 1)
    return _placed(files, Path(*fixed[:depth]))


def _placed(files: Sequence[Path], base: Path) -> Iterator[tuple[str, PurePath]]:
    """Files with their names below a folder."""
    return ((str(p), PurePath(p.relative_to(base))) for p in files)


def _listed(path: Path) -> Iterator[tuple[str, PurePath]]:
    """The lines of a list: paths relative to it, or what else GDAL opens."""
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a list of scenes: {error}") from error
    folder = path.absolute().parent
    for line in lines:
        if not line or line.startswith("#"):
            continue
        if line.startswith("/vsi") or "://" in line:
            yield line, PurePath(PurePath(line).name)
            continue
        whole = folder / line
        inside = whole.is_relative_to(folder) and ".." not in whole.parts
        yield str(whole), PurePath(whole.relative_to(folder) if inside else whole.name)
