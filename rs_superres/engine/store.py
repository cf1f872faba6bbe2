"""The cell store: finished cells on disk, from which an interrupted run resumes."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rs_superres.errors import RasterError, WriteError
from rs_superres.grid import Window
from rs_superres.raster import check_alone, read_tile, sidecars, tile_bytes
from rs_superres.scene.cell import CellResult
from rs_superres.system.files import (
    atomic_write,
    empty_folder,
    foreign,
    move_files,
    private_folder,
)

logger = logging.getLogger(__name__)

BLANK, STD = ".blank.tif", ".std.tif"
"""How the files of cells end: one that holds nothing valid, and the expected error of any."""

SETTINGS = "settings.json"
"""The file in the store that lists everything that its cells depend on."""

PUBLISHED = "published.json"
"""The file in the store that lists the output names that a run is about to give."""


def published(folder: Path) -> set[Path]:
    """Return the output names that an interrupted run was giving to its files.

    Args:
        folder: the folder of the run's cell store; it need not exist.
    """
    try:
        if foreign(folder) is not None:
            return set()
        return {Path(name) for name in json.loads((folder / PUBLISHED).read_text("utf-8"))}
    except (OSError, ValueError):
        return set()


def scratch_of(out: Path, parent: Path | None = None) -> Path:
    """Return the folder for the cells of a result: hidden, next to it or in ``parent``."""
    return (parent or out.parent) / f".{out.name}.rs-sr"


class CellStore:
    """The folder of a run's finished cells, and of its files before they get their names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def new_file(self, role: str, name: str) -> Path:
        """Return the path of a file to write, alone in a folder that may get its sidecars.

        Args:
            role: the name of the folder, such as "result"; an earlier one is deleted.
            name: the name of the file. GDAL names sidecars after it.
        """
        return empty_folder(self.folder / role) / name

    def begin(self, settings: Mapping[str, Any], *, resume: bool) -> str | None:
        """Prepare the folder for a run; cells of a run with other settings are deleted.

        Args:
            settings: everything that the result depends on, plain values by name.
            resume: whether finished cells with the same settings are kept.

        Returns:
            Why cells were deleted; None if none were.
        """
        earlier, described = self._earlier(), json.dumps(settings, sort_keys=True)
        differ = json.dumps(earlier, sort_keys=True) != described
        why = None
        if self.finished:
            changed = sorted(k for k in settings if earlier.get(k) != settings[k])
            if not resume:
                why = "resume=False"
            elif not earlier:
                why = "its settings were lost"
            elif differ:
                why = f"its {', '.join(changed) or 'settings'} differed"
            if why:
                logger.debug("deleting %d cells of an earlier run: %s", self.finished, why)
                self._clear()
        if why or differ:
            _write(self.folder / SETTINGS, described.encode())
        return why

    def fits(self, settings: Mapping[str, Any]) -> bool:
        """Return whether the finished cells belong to a run with these settings."""
        return json.dumps(self._earlier(), sort_keys=True) == json.dumps(settings, sort_keys=True)

    def _earlier(self) -> dict[str, Any]:
        """Return the settings of the run whose cells are here; empty if they are lost."""
        try:
            if foreign(self.folder) is not None:
                return {}
            settings = json.loads((self.folder / SETTINGS).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return settings if isinstance(settings, dict) else {}

    @property
    def finished(self) -> int:
        """Number of finished cells, whatever their settings."""
        return sum(not path.name.endswith(STD) for path in self.folder.glob("*.tif"))

    @property
    def used_bytes(self) -> int:
        """Bytes that all files in the folder take on the disk; 0 without a folder."""
        sizes = 0
        with contextlib.suppress(OSError):  # no folder, or a file that is being renamed
            stats = [path.stat() for path in self.folder.rglob("*") if path.is_file()]
            # An assembled raster may be sparse: fewer blocks of 512 bytes than its size.
            sizes = sum(min(s.st_size, getattr(s, "st_blocks", s.st_size) * 512) for s in stats)
        return sizes

    def _clear(self) -> None:
        """Delete all files but the lock."""
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "lock":
                path.unlink()

    def _path(self, cell: Window, end: str = ".tif") -> Path:
        return self.folder / f"{cell.row}_{cell.column}{end}"

    def has(self, cell: Window) -> bool:
        """Return whether a cell is finished."""
        return self._path(cell).exists() or self.is_blank(cell)

    def is_blank(self, cell: Window) -> bool:
        """Return whether a cell is finished and holds nothing valid."""
        return self._path(cell, BLANK).exists()

    def tile(self, cell: Window) -> Path:
        """Return the file with the pixels of a finished cell, and their mask."""
        return self._path(cell, BLANK if self.is_blank(cell) else ".tif")

    def std_tile(self, cell: Window) -> Path:
        """Return the file with the expected error of a finished cell."""
        return self._path(cell, STD)

    def put(self, cell: Window, result: CellResult, *, blank: bool = False) -> None:
        """Keep a finished cell, of which other runs see everything or nothing.

        Args:
            cell: the cell.
            result: its pixels.
            blank: whether it holds nothing valid.
        """
        if result.std is not None:
            _write(self._path(cell, STD), tile_bytes(result.std, None))
        _write(self._path(cell, BLANK if blank else ".tif"), tile_bytes(result.values, result.mask))

    def drop_damaged(self, cells: Iterable[Window]) -> int:
        """Delete those of the finished cells that are damaged, and return how many these are."""
        dropped = 0
        for cell in cells:
            if not self.has(cell):
                continue
            try:
                read_tile(self.tile(cell))
                if self.std_tile(cell).exists():
                    read_tile(self.std_tile(cell))
            except RasterError as error:
                logger.warning("computing a finished cell again: %s", error)
                self.tile(cell).unlink()
                dropped += 1
        return dropped

    def publish(self, results: Mapping[Path, Path]) -> None:
        """Give files and their sidecars their final names, in order.

        Sidecars of an earlier file are deleted. The names are noted first, so that a run that is
        killed between two of them recognises the files that it has already named when it resumes.

        Args:
            results: final names by present names, which :meth:`new_file` gave.

        Raises:
            RasterError: GDAL reads a file as part of a result that was not written for it.
        """
        names = [str(out.absolute()) for out in results.values()]
        _write(self.folder / PUBLISHED, json.dumps(names).encode())
        for path, out in results.items():
            written = [file for file in path.parent.iterdir() if file != path]
            moves = {file: out.with_name(file.name) for file in (*written, path)}
            move_files(moves, delete=sidecars(out))
            if out.suffix != ".json":  # a STAC item, which names the result and is no raster
                check_alone(out, [file.name for file in moves.values()])
            logger.debug("wrote %s (%d bytes)", out, out.stat().st_size)

    def remove(self) -> None:
        """Delete the folder."""
        self._clear()
        with contextlib.suppress(PermissionError):  # Windows deletes no open file: not the lock
            shutil.rmtree(self.folder)


def _write(path: Path, content: bytes) -> None:
    """Write a file, which appears complete or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def opened_store(folder: Path) -> Iterator[CellStore]:
    """Yield the store in a folder, which is made if necessary and locked against a second run.

    Only the user can enter a folder that is made here. In another one, other users could have put
    cells, or links to files that the run would then overwrite.

    Raises:
        RasterError: the folder cannot be made, is not the user's, or another run holds it.
    """
    lock = FileLock(folder / "lock", blocking=False, thread_local=False)
    try:
        private_folder(folder)
        lock.acquire()
    except WriteError as error:
        raise RasterError(
            f"{error}; the run would trust what it finds there: remove it, or choose another "
            "folder with scratch="
        ) from error
    except Timeout as error:
        raise RasterError(
            f"another run is writing this result (its cells are in {folder}); wait for it, "
            "or choose another output"
        ) from error
    except OSError as error:
        raise RasterError(f"cannot write next to the result: {error}") from error
    try:
        yield CellStore(folder)
    finally:
        lock.release()
        with contextlib.suppress(OSError):  # cells are left, or it is gone already
            folder.rmdir()
