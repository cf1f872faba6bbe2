"""Find the scenes of a batch, and name the result of each."""

from __future__ import annotations

import codecs
import glob
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from rs_superres.batch.names import Name, exists, read_name
from rs_superres.errors import InputError
from rs_superres.raster import (
    SkippedFile,
    archives_of_folders,
    is_product,
    is_sidecar,
    lines_about,
    rasters_below,
    reason_to_pass_over,
)

GEOTIFF = (".tif", ".tiff")
"""Suffixes of scenes whose results are always named like them."""


@dataclass(frozen=True, slots=True)
class SceneFile:
    """One scene of a batch."""

    source: str
    """An absolute path, or anything else that GDAL opens."""
    name: PurePath
    """Name of the result within the folder of results."""


@dataclass(frozen=True, slots=True)
class BatchScenes:
    """The scenes of a batch, and the files that are none."""

    files: list[SceneFile]
    """The scenes, in the order in which they were given."""
    passed_over: list[SkippedFile]
    """Files that GDAL does not open, and folders that cannot be searched."""
    results: list[Path]
    """Results of earlier runs, which are passed over in folders that hold other rasters."""


@dataclass(slots=True)
class _Search:
    """What has been found so far."""

    without: Collection[Path]
    """Folders that are not searched."""
    scenes: dict[str, tuple[Name, PurePath]] = field(default_factory=dict)
    """Scenes, and names for their results without suffix, by what identifies a scene."""
    passed_over: dict[Path, SkippedFile] = field(default_factory=dict)
    results: list[Path] = field(default_factory=list)
    searched: set[Path] = field(default_factory=set)
    """Folders that have been searched, at any depth."""

    def add(self, name: Name, base: PurePath) -> None:
        """Add a scene, unless it is there; its result is named relative to ``base`` if possible."""
        path = Path(name.source)
        # A folder that several links lead to holds each of its scenes once.
        found = exists(path)
        key = str(path.parent.resolve() / path.name) if found else name.source.replace('"', "")
        stem = PurePath(name.stem.name)
        if name.stem.is_relative_to(base) and ".." not in name.stem.relative_to(base).parts:
            stem = name.stem.relative_to(base)
        self.scenes.setdefault(key, (name, stem))

    def add_folder(self, folder: Path, base: Path) -> None:
        """Add the rasters below a folder."""
        if any(folder.is_relative_to(other) for other in self.searched):
            return
        self.searched.add(folder)
        found = rasters_below(folder, without=self.without)
        for path in found.rasters:
            self.add(read_name(str(path), folder), base)
        self.passed_over |= {skipped.path: skipped for skipped in found.passed_over}
        self.results += found.results

    def add_existing(self, path: Path, base: Path) -> None:
        """Add a folder's rasters, or a file if it is a raster."""
        product = is_product(path)
        if path.is_dir() and not product:
            self.add_folder(path, base)
            return
        if is_sidecar(path) and not product:
            return
        reason = reason_to_pass_over(path)
        if reason is None:
            self.add(read_name(str(path), path.parent), base)
        else:
            self.passed_over[path] = SkippedFile(path, reason, is_raster=False)

    def add_pattern(self, pattern: str, folder: Path) -> bool:
        """Add what a pattern matches, and return whether it matches anything."""
        base, matches = _matches(folder / pattern)
        without = [other for other in self.without if other.resolve() != base.resolve()]
        for path in matches:
            if not _is_below(path if path.is_dir() else path.parent, without):
                self.add_existing(path, base)
        return bool(matches)

    def add_list(self, path: Path, *, only: bool) -> None:
        """Add the scenes of a list: paths relative to its folder, or anything that GDAL opens.

        Args:
            path: the list.
            only: whether nothing else was given; other texts than lists are passed over if not.
        """
        lines, folder = _read_list(path), path.parent
        special = lines and (lines[0].startswith("/vsi") or re.match(r'\w+:(.*"|//)', lines[0]))
        if not only and not special and not any(exists(folder / line) for line in lines):
            reason = f"{path} is a text, and no line of it names a file"
            self.passed_over[path] = SkippedFile(path, reason, is_raster=False)
            return
        for line in lines:
            name = read_name(line, folder)
            if Path(name.source).is_dir():
                self.add_existing(Path(name.source), folder)
            elif exists(name.source) or not self.add_pattern(line, folder):
                self.add(name, folder)

    def leave_out_archives(self) -> None:
        """Skip the archive of a product if the product's unpacked folder is a scene too."""
        keys = {Path(name.source): key for key, (name, _) in self.scenes.items()}
        for archive in archives_of_folders(keys):
            del self.scenes[keys[archive.path]]
            self.passed_over[archive.path] = archive


def scenes(where: Sequence[str], out: Path, *, without: Collection[Path] = ()) -> BatchScenes:
    """Find the scenes of folders, files, patterns and lists.

    Args:
        where: each a folder, which is searched to any depth; a file, or anything else that GDAL
            opens; a pattern such as ``a/**/*.tif``; or a text file ``LIST.txt`` with one of these
            a line. A file that is no raster is passed over, except in a list.
        out: the folder of results, which is not searched.
        without: further folders that are not searched.

    Raises:
        InputError: there are no scenes, one does not exist, or the results of two would have the
            same name.
    """
    only = len(where) == 1
    search = _Search([path.absolute() for path in (out, *without)])
    for text in where:
        path = Path.cwd() / text
        if not only and path.is_dir() and _is_below(path, search.without):
            continue  # `in/*` matches the folder of results as well
        if exists(path) and path.is_dir() and not is_product(path):
            search.add_folder(path, path)
        elif exists(path):
            is_list = path.suffix.lower() == ".txt" and reason_to_pass_over(path) is not None
            if is_list:
                search.add_list(path, only=only)
            else:
                search.add_existing(path, path.parent)
        elif not search.add_pattern(text, Path.cwd()):
            name = read_name(text, Path.cwd())
            if name.source == str(path):
                problem = "matches nothing" if glob.has_magic(text) else "does not exist"
                raise InputError(
                    f"{text} {problem}, expected a folder, a file, a pattern or a list of them"
                )
            search.add(name, name.stem.parent)
    search.leave_out_archives()
    passed_over = list(search.passed_over.values())
    if not search.scenes:
        others = "".join(f"; {line}" for line in lines_about(passed_over))
        raise InputError(
            f"no rasters in {', '.join(where[:3])}, expected a folder, a file, a pattern or a list "
            f"of them{others}"
        )
    return BatchScenes(_named(list(search.scenes.values())), passed_over, search.results)


def _is_below(path: Path, folders: Collection[Path]) -> bool:
    """Return whether a folder is one of ``folders``, or lies in one."""
    return any(path.resolve().is_relative_to(folder.resolve()) for folder in folders)


def _matches(pattern: Path) -> tuple[Path, list[Path]]:
    """Find what a pattern matches, and the folder in which the pattern begins.

    Parts of a pattern may be meant literally: ``d [2020]/*.tif``. So the longest beginning that
    exists is no pattern, and brackets are tried with and without a meaning.
    """
    parts = pattern.parts
    literal = next(
        (count for count in range(len(parts) - 1, 0, -1) if Path(*parts[:count]).is_dir()), 1
    )
    magic = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    base = Path(*parts[: max(literal, min(magic, len(parts) - 1))])
    rest = str(Path(*parts[len(base.parts) :]))
    texts = (
        str(pattern),
        str(Path(glob.escape(str(base)), rest)),
        str(Path(glob.escape(str(base)), rest.replace("[", "[[]"))),
    )
    matches = {Path(path) for text in texts for path in glob.glob(text, recursive=True)}  # noqa: PTH207
    if any(not path.is_relative_to(base) for path in matches):
        base = Path(*parts[:magic])
    # Of several paths to a file, through links in a circle, the shortest comes first.
    return base, sorted(matches, key=lambda path: (len(path.parts), path))


def _named(found: list[tuple[Name, PurePath]]) -> list[SceneFile]:
    """Name the results: like their scenes, with more of the path where two would be the same.

    Scenes of one name in different folders keep the folders in which they differ. Of ``a.tif`` and
    ``a.jp2``, the second becomes ``a_jp2.tif``.

    Raises:
        InputError: two names are still the same.
    """
    stems = [stem for _, stem in found]
    for clash in _clashes(stems):
        places = [os.path.normpath(found[i][0].stem) for i in clash]
        if len({place.lower() for place in places}) > 1:
            common = os.path.commonpath([os.path.dirname(place) for place in places])  # noqa: PTH120
            for i, place in zip(clash, places, strict=True):
                stems[i] = PurePath(place).relative_to(common)
    for clash in _clashes(stems):
        for i in clash:
            suffix = found[i][0].suffix.lower()
            if suffix and suffix not in GEOTIFF:
                stems[i] = stems[i].with_name(f"{stems[i].name}_{suffix[1:]}")
    for first, second, *_ in _clashes(stems):
        raise InputError(
            f"{found[first][0].source} and {found[second][0].source} would both become "
            f"{stems[first]}.tif; rename one, or leave it out"
        )
    return [
        SceneFile(name.source, stem.with_name(f"{stem.name}.tif"))
        for (name, _), stem in zip(found, stems, strict=True)
    ]


def _clashes(stems: Sequence[PurePath]) -> Iterator[list[int]]:
    """Yield the indices of names that are the same."""
    groups: dict[str, list[int]] = defaultdict(list)
    for i, stem in enumerate(stems):
        groups[_key(stem)].append(i)
    return (group for group in groups.values() if len(group) > 1)


def _key(stem: PurePath) -> str:
    """Return what names have in common on file systems that do not distinguish A.tif and a.tif."""
    return str(stem).lower()


def _read_list(path: Path) -> list[str]:
    """Read the lines of a list, without comments, empty lines, and quotes around a line.

    Raises:
        InputError: the list cannot be read.
    """
    try:
        text = _decoded(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read as a list of scenes: {error.strerror}") from error
    if "\0" in text:
        raise InputError(f"{path} cannot be read as a list of scenes: it is no text")
    lines = [line.strip() for line in text.splitlines()]
    return [_unquoted(line) for line in lines if line and not line.startswith("#")]


def _decoded(content: bytes) -> str:
    """Decode a text in UTF-8 or UTF-16, with or without a mark, or else in Latin-1."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _unquoted(line: str) -> str:
    """Take off the quotes around a line."""
    quoted = len(line) > 1 and line[0] == line[-1] and line[0] in "\"'"
    return line[1:-1] if quoted else line
