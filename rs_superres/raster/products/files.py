"""The files of a product, in a folder or in an archive."""

from __future__ import annotations

import math
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from xml.etree import ElementTree as ET

from rs_superres.errors import RasterError

MOST_FILES = 20_000
"""Largest number of files that are listed: no product has more."""

LARGEST_TEXT = 64 * 2**20
"""Largest metadata file that is read, in bytes."""

ZIP, TAR = (".zip",), (".tar", ".tar.gz", ".tgz")
"""Suffixes, in lower case, of the archives that are looked into."""


@dataclass(frozen=True, slots=True)
class ProductFiles:
    """The files below a folder, or in an archive.

    Paths of files are relative to the folder or archive, with slashes.
    """

    root: Path
    """The folder or the archive."""
    names: tuple[str, ...]
    """The paths of all files, sorted."""
    prefix: str = ""
    """What GDAL wants before the path of an archive, such as ``/vsizip/``; empty for a folder."""

    @classmethod
    def of(cls, root: Path) -> ProductFiles | None:
        """List the files of a folder or an archive; None if it is neither, or cannot be listed.

        An archive that cannot be read is none: whoever opens it as a raster says what is wrong.
        """
        lower = root.name.lower()
        try:
            if root.is_dir():
                return cls(root, tuple(sorted(_below(root))))
            if lower.endswith(ZIP) and zipfile.is_zipfile(root):
                with zipfile.ZipFile(root) as archive:
                    names = [entry for entry in archive.namelist() if not entry.endswith("/")]
                return cls(root, tuple(sorted(names[:MOST_FILES])), "/vsizip/")
            if lower.endswith(TAR) and tarfile.is_tarfile(root):
                with tarfile.open(root) as tar:
                    members = [m.name.removeprefix("./") for m in tar if m.isfile()]
                return cls(root, tuple(sorted(members[:MOST_FILES])), "/vsitar/")
        except (OSError, zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error):
            return None
        return None

    def gdal(self, name: str) -> str:
        """Return the name by which GDAL opens a file."""
        path = self.root / name
        return f"{self.prefix}{path.absolute().as_posix()}" if self.prefix else str(path)

    def own(self, *names: str) -> tuple[str, ...]:
        """Return the files on disk that hold some files: themselves, or the archive."""
        return (str(self.root),) if self.prefix else tuple(map(self.gdal, names))

    def shown(self, name: str) -> str:
        """Return the path of a file for a message."""
        return str(self.root / name)

    def read(self, name: str) -> bytes:
        """Read a metadata file.

        Raises:
            RasterError: it cannot be read.
        """
        try:
            return self._read(name)
        except (
            *(OSError, KeyError, EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error),
            *(NotImplementedError, RuntimeError),  # unknown compression, encryption
        ) as error:
            raise RasterError(f"cannot read {self.shown(name)}: {error}") from error

    def _read(self, name: str) -> bytes:
        """Read a file; errors of the archive's library pass unchanged."""
        if self.prefix == "/vsizip/":
            with zipfile.ZipFile(self.root) as archive, archive.open(name) as file:
                return file.read(LARGEST_TEXT)
        if self.prefix == "/vsitar/":
            with tarfile.open(self.root) as tar:
                member = next(m for m in tar if m.name.removeprefix("./") == name)
                found = tar.extractfile(member)
                return b"" if found is None else found.read(LARGEST_TEXT)
        with (self.root / name).open("rb") as plain:
            return plain.read(LARGEST_TEXT)

    def read_xml(self, name: str) -> ET.Element:
        """Read an XML file, without the namespaces of its elements.

        Raises:
            RasterError: it cannot be read, or is no XML.
        """
        data = self.read(name)
        plain = data.replace(b"\0", b"")  # in UTF-16, every other byte of a letter is 0
        if b"<!DOCTYPE" in plain or b"<!ENTITY" in plain:
            raise RasterError(f"cannot read {self.shown(name)}: it declares XML entities")
        try:
            root = ET.fromstring(data)  # noqa: S314 (entities are refused)
        except ET.ParseError as error:
            raise RasterError(f"cannot read {self.shown(name)}: {error}") from error
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        return root


def _below(root: Path) -> list[str]:
    """List the files below a folder, with slashes; hidden ones are left out."""
    found: list[str] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        here = Path(folder).relative_to(root)
        found += [(here / name).as_posix() for name in names if not name.startswith(".")]
        if len(found) > MOST_FILES:
            break
    return found[:MOST_FILES]


def text_of(root: ET.Element, *tags: str) -> str:
    """Return the text of the first element with one of some tags; empty without one."""
    for tag in tags:
        element = next(root.iter(tag), None)
        if element is not None and (element.text or "").strip():
            return (element.text or "").strip()
    return ""


def stated(**values: str) -> dict[str, str]:
    """Return the values that metadata state, by name: those that are not empty."""
    return {name: value for name, value in values.items() if value}


def result_stem(path: PurePath) -> str:
    """Return the name, without an ending, of the result of a raster or a product.

    An archive and a folder give the name of the product; a file of metadata that has the same name
    in every product gives that of its folder.
    """
    name = path.name
    if re.fullmatch(r"MTD_(MSIL\w+|TL)\.xml", name):
        name = path.parent.name
    name = re.sub(r"_MTL\.(txt|json)$", "", name, flags=re.IGNORECASE)
    plain = re.sub(r"(\.SAFE)?\.(zip|tar|tar\.gz|tgz)$|\.SAFE$", "", name, flags=re.IGNORECASE)
    if plain != path.name or path.parent.name == "GRANULE":
        return plain
    return path.stem


def number(where: str, name: str, text: str) -> float:
    """Read a finite number of the metadata.

    Args:
        where: the metadata file, for messages.
        name: the name of the number there.
        text: the number; empty if it is missing.

    Raises:
        RasterError: it is missing, or is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RasterError(f"{where}: {name} is {text.strip() or 'missing'}, expected a number")
    return value


def missing(path: str, names: Sequence[str], todo: str) -> RasterError:
    """Return the error for a product that lacks files.

    Args:
        path: the product.
        names: what is missing.
        todo: what to do about it.
    """
    return RasterError(f"{path} is not complete: {', '.join(names)} is missing; {todo}")
