"""Checks of the names of files that are to be written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rs_superres.errors import InputError


def check_folder(out: Path) -> None:
    """Refuse the name of a folder, or of a file in a missing folder.

    Raises:
        InputError: one of the two.
    """
    try:
        is_folder, has_folder = out.is_dir(), out.parent.is_dir()
    except OSError as error:
        raise InputError(f"the output {out} cannot be written: {error.strerror}") from error
    if is_folder:
        raise InputError(f"the output {out} is a directory, expected a file name")
    if not has_folder:
        raise InputError(f"the output's folder {out.parent} does not exist")


def check_replaced(out: Path, files: Sequence[str], *, overwrite: bool) -> None:
    """Refuse to replace a file of the source, or an existing file without permission.

    Args:
        out: the name of an output.
        files: the source's files.
        overwrite: whether an existing file may be replaced.

    Raises:
        InputError: the file may not be replaced.
    """
    if not out.exists():
        return
    if is_one_of(out, files):
        raise InputError(f"the output {out} is the source, choose another name")
    if not overwrite:
        raise InputError(f"{out} exists already; overwrite=True replaces it")


def is_one_of(path: Path, files: Sequence[str]) -> bool:
    """Return whether a path leads to one of several files, some of which may not exist."""
    return path.exists() and any(Path(file).exists() and path.samefile(file) for file in files)
