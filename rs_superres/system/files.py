"""Files and folders that appear complete or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from rs_superres.errors import WriteError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes ``path`` once the block has written it.

    The file is synced to disk before it is renamed, so that a crash leaves either the old file or
    the complete new one. If the block fails, the temporary file is removed.

    Args:
        path: the final name; an existing file is replaced.

    Raises:
        OSError: the file cannot be written; ``path`` is unchanged.
    """
    # A name of its own: on a cluster, a worker that was given up may still write the same file.
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_file(path: Path, content: str | bytes) -> None:
    """Write a small file atomically; text is encoded as UTF-8.

    Raises:
        WriteError: the file cannot be written; an earlier file of that name is unchanged.
    """
    try:
        with atomic_write(path) as temporary:
            temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``out`` once the block has filled it.

    An existing folder ``out`` is replaced; it is put back if the new one cannot take its name.

    Raises:
        OSError: the folder cannot be made or renamed.
    """
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    replaced = out.with_name(f".{out.name}.{os.getpid()}.replaced")
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
        for leftover in (partial, replaced):
            shutil.rmtree(leftover, ignore_errors=True)


def _sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
