"""Finished cells on disk, beside the result to come: what a stopped run goes on from."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import shutil
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile

import numpy as np

from rs_superres.errors import RasterError
from rs_superres.grid import Window
from rs_superres.scene.cell import CellResult
from rs_superres.system.files import atomic_write

PUBLISHED = "published.json"
"""A file of the folder: the names that a run was about to give."""


def published(folder: Path) -> set[Path]:
    """The names that a run whose scratch folder this is was giving when it was stopped."""
    try:
        return {Path(name) for name in json.loads((folder / PUBLISHED).read_text("utf-8"))}
    except (OSError, ValueError):
        return set()


def scratch_of(out: Path, parent: Path | None = None) -> Path:
    """Where the cells of a result are kept: a hidden folder beside it, or in ``parent``."""
    return (parent or out.parent) / f".{out.name}.rs-sr"


class CellStore:
    """A folder of finished cells; each file appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def assembled(self) -> Path:
        """Where the result is assembled."""
        return self.folder / "assembled.tif"

    @property
    def result(self) -> Path:
        """Where the result takes its final format, before it is renamed."""
        return self.folder / "result.tif"

    @property
    def uncertainty(self) -> Path:
        """Where the samples' deviation takes its final format."""
        return self.folder / "spread.tif"

    def begin(self, settings: Mapping[str, Any], *, resume: bool) -> str | None:
        """Open the folder for a run; cells of a run with other settings are dropped.

        Args:
            settings: all that the result depends on.
            resume: whether finished cells of the same settings are kept.

        Returns:
            Why cells were dropped; None where none were.
        """
        note, described = self.folder / "settings.json", json.dumps(settings, sort_keys=True)
        why = None
        if any(self.folder.glob("*.npz")):
            earlier = self._earlier()
            changed = sorted(k for k in settings if earlier.get(k) != settings[k])
            if not resume:
                why = "--no-resume"
            elif json.dumps(earlier, sort_keys=True) != described:
                why = f"its {', '.join(changed) or 'settings'} differed"
            if why:
                self._clear()
        note.write_text(described, "utf-8")
        return why

    def fits(self, settings: Mapping[str, Any]) -> bool:
        """Whether the cells that are there are of a run with these settings."""
        return bool(self._earlier() == json.loads(json.dumps(settings)))

    def _earlier(self) -> dict[str, Any]:
        """The settings of the run whose cells are there; none where they are lost."""
        try:
            told = json.loads((self.folder / "settings.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    @property
    def finished(self) -> int:
        """How many cells are there, of whatever run."""
        return len(list(self.folder.glob("*.npz")))

    def _clear(self) -> None:
        """Drop everything but the lock."""
        for path in self.folder.iterdir():
            if path.name != "lock":
                path.unlink()

    def _path(self, cell: Window) -> Path:
        return self.folder / f"{cell.row}_{cell.column}.npz"

    def has(self, cell: Window) -> bool:
        """Whether a cell is finished."""
        return self._path(cell).exists()

    def put(self, cell: Window, made: CellResult) -> None:
        """Keep a finished cell."""
        path = self._path(cell)
        arrays = {name: array for name, array in made._asdict().items() if array is not None}
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)

    def get(self, cell: Window) -> CellResult:
        """A finished cell as :meth:`put` took it.

        Raises:
            RasterError: its file is damaged.
        """
        path = self._path(cell)
        try:
            # Opened here: numpy leaves what it cannot read open.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return CellResult(arrays["values"], arrays.get("mask"), arrays.get("std"))
        except (OSError, ValueError, LookupError, EOFError, BadZipFile, zlib.error) as error:
            raise RasterError(
                f"the finished cell {path} is damaged ({error}); delete it and run again, or start "
                "anew with --no-resume"
            ) from error

    @property
    def preview(self) -> Path:
        """Where the picture of before and after is drawn."""
        return self.folder / "preview.png"

    def publish(self, results: Mapping[Path, Path]) -> None:
        """Give files their names, in this order, by where they were made.

        The names are noted first: a run that is killed between two of them finds its own files
        there when it goes on.
        """
        names = [str(out.absolute()) for out in results.values()]
        (self.folder / PUBLISHED).write_text(json.dumps(names), "utf-8")
        for made, out in results.items():
            self._rename(made, out)

    def _rename(self, made: Path, out: Path) -> None:
        """Give a file its name; from a scratch folder on another disk it is copied first."""
        try:
            made.replace(out)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            beside = scratch_of(out).with_suffix(".part")
            try:
                shutil.copyfile(made, beside)
                beside.replace(out)
            finally:
                beside.unlink(missing_ok=True)

    def remove(self) -> None:
        """Drop the folder: the result is whole."""
        shutil.rmtree(self.folder)


@contextlib.contextmanager
def opened_store(folder: Path) -> Iterator[CellStore]:
    """The store in a folder, made if need be and locked against a second run.

    Raises:
        RasterError: the folder cannot be made, or another run holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise RasterError(f"cannot write beside the result: {error}") from error
    with lock:
        _hold(lock, folder)
        yield CellStore(folder)


def _hold(lock: IO[str], folder: Path) -> None:
    """Take the lock, or say that another run has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise RasterError(
            f"another run is writing this result (its cells are in {folder}); wait for it, "
            "or choose another output"
        ) from error
