"""Writing files and folders atomically: a reader finds the complete new one, or the old one."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from rs_superres.errors import WriteError

COPIED_AT_ONCE = 2**22
"""Bytes that are copied at once."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes ``path`` once the block has written it.

    The file is synced to disk before it is renamed, so that a crash leaves either the old file or
    the complete new one. If the block fails, the temporary file is removed.

    Args:
        path: the final name; an existing file is replaced. Its folder must exist.

    Yields:
        A hidden path in the same folder. The block must create the file.

    Raises:
        OSError: the file cannot be written or renamed, and ``path`` is unchanged; or ``path`` is
            complete, but its folder cannot be synced.
    """
    # A random name, because two processes may write the same file: a worker that a cluster has
    # given up on can still be running.
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_file(path: Path, content: str | bytes) -> None:
    """Write a small file atomically; see :func:`atomic_write`.

    Args:
        path: the final name; an existing file is replaced.
        content: bytes, or text that is encoded as UTF-8.

    Raises:
        WriteError: the file cannot be written.
    """
    try:
        with atomic_write(path) as temporary:
            temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from error


def move_files(files: Mapping[Path, Path], *, delete: Sequence[Path] = ()) -> None:
    """Sync files to disk and give them their final names, on another file system too.

    The last file replaces an earlier one atomically if it is the only one and nothing is deleted.
    Otherwise the earlier file is deleted first and the last one is named at the very end, so that
    a reader, or a crash, never finds it with files that belong to another.

    Args:
        files: final names by present names, all of them in one folder. Existing files are replaced.
        delete: files in the same folder that belong to the earlier file.

    Raises:
        OSError: a file cannot be moved. If it cannot be copied to another file system, an earlier
            file is unchanged.
    """
    # Fixed temporary names: if a copy is killed, the next one replaces it.
    ready = {out.with_name(f".{out.name}.part"): out for out in files.values()}
    *others, (temporary, out) = ready.items()
    try:
        for source, near in zip(files, ready, strict=True):
            _bring(source, near)
        if others or delete:
            for path in (out, *delete):
                path.unlink(missing_ok=True)
            for path, name in others:
                path.replace(name)
            _sync(out.parent)
        temporary.replace(out)
        _sync(out.parent)
    finally:
        for path in ready:
            path.unlink(missing_ok=True)


def _bring(source: Path, near: Path) -> None:
    """Sync a file to disk and move it to a name that may lie on another file system."""
    _sync(source)
    try:
        source.replace(near)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # Not into what is there already: another user may have put a link under this name.
        near.unlink(missing_ok=True)
        with source.open("rb") as old, near.open("xb") as new:
            shutil.copyfileobj(old, new, COPIED_AT_ONCE)
        _sync(near)


def empty_folder(path: Path) -> Path:
    """Create a folder, or delete everything in it, and return it."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    return path


def private_folder(path: Path) -> None:
    """Create a folder that only this user can enter, or check that an existing one is the user's.

    Args:
        path: the folder. Missing parent folders are created, with the usual permissions.

    Raises:
        WriteError: something under this name is not the user's; see :func:`foreign`.
        OSError: the folder cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        fault = foreign(path)
        if fault is not None:
            raise WriteError(f"{path} {fault}") from None


def foreign(path: Path) -> str | None:
    """Say why others may have put files into a folder; None if only this user can have.

    Args:
        path: the folder.

    Raises:
        OSError: it does not exist, or nothing can be created next to it.
    """
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode):
        return "is a link" if stat.S_ISLNK(info.st_mode) else "is not a folder"
    writers = info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if info.st_uid == os.geteuid() and not writers:
        return None
    # Some file systems give all files one owner and one mode, those of new folders too.
    new = Path(tempfile.mkdtemp(prefix=".", dir=path.parent))
    try:
        usual = new.stat()
    finally:
        new.rmdir()
    if info.st_uid != usual.st_uid:
        return "belongs to another user"
    return "can be written by other users" if writers & ~usual.st_mode else None


@contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``out`` once the block has filled it.

    If the block fails, the temporary folder is removed and ``out`` is unchanged. Unlike
    :func:`atomic_write`, nothing is synced to disk, and for a moment between two renames there is
    no folder ``out``.

    Args:
        out: the final name. An existing folder is replaced; it is put back if the new one cannot be
            renamed. If that fails too, it remains under a hidden name that ends in ``.replaced``.
            Missing parent folders are created.

    Raises:
        OSError: the folder cannot be created or renamed.
    """
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    # Random names, not process numbers: a killed run leaves its folder behind, and in a container
    # the next run often has the same process number.
    unique = uuid4().hex
    partial = out.with_name(f".{out.name}.{unique}.partial")
    replaced = out.with_name(f".{out.name}.{unique}.replaced")
    partial.mkdir()
    try:
        yield partial
        if out.exists():
            out.rename(replaced)
        try:
            partial.rename(out)
        except OSError:
            if replaced.exists():
                replaced.rename(out)
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    # Outside the finally clause, so that an old folder that could not be put back is kept.
    shutil.rmtree(replaced, ignore_errors=True)


def _sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
    windows = sys.platform == "win32"  # it opens no folders, and flushes only writable files
    if windows and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
