"""Find rs-sr on this machine.

QGIS that is started from a desktop often has a shorter ``PATH`` than a shell, so the folders into
which pipx, uv and conda install programs are searched too.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from .errors import PluginError

WINDOWS = os.name == "nt"
"""Whether this is Windows."""

KEY = "RS_SR_PROGRAM"
"""The name of the setting that holds the program's path."""

VARIABLE = "RS_SR"
"""The environment variable that holds the program's path."""

SETTING = "Settings > Options > Processing > Providers > rs-sr"
"""Where users set the program's path."""

MISSING = (
    "rs-sr was not found. Install it as its README describes. If it is installed, set the path of "
    f"the program in {SETTING}, or in the environment variable {VARIABLE}."
)
"""What to do if rs-sr is nowhere."""

CONDAS = ("miniforge3", "mambaforge", "miniconda3", "anaconda3", "micromamba", ".conda")
"""Folders in a home directory that hold conda's environments."""

TOOLS = (
    ".local/share/uv/tools/rs-superres",
    ".local/share/pipx/venvs/rs-superres",
    ".local/pipx/venvs/rs-superres",
    "pipx/venvs/rs-superres",
    "AppData/Roaming/uv/tools/rs-superres",
    "AppData/Local/pipx/pipx/venvs/rs-superres",
)
"""Environments in a home directory that uv and pipx create for the program."""

SYSTEM = ("/usr/local/bin", "/opt/homebrew/bin")
"""Folders that are on a shell's path, and not on that of macOS's applications."""


def find(setting: str, environ: Mapping[str, str], home: Path, *, windows: bool = WINDOWS) -> Path:
    """Return the path of rs-sr.

    The first of these decides: the setting, the variable :data:`VARIABLE`, ``PATH``, the folders of
    pipx, uv and conda.

    Args:
        setting: The program, or the folder of its environment, as the user set it; may be empty.
        environ: QGIS's environment variables.
        home: The user's home directory.
        windows: Whether programs end in ``.exe``.

    Raises:
        PluginError: There is no such program.
    """
    for given, place in ((setting, SETTING), (environ.get(VARIABLE, ""), VARIABLE)):
        if given.strip():
            return _given(Path(given.strip()).expanduser(), place, windows=windows)
    on_path = shutil.which("rs-sr", path=environ.get("PATH", ""))
    if on_path is not None:
        return Path(on_path)
    for folder in _folders(home, windows=windows):
        program = _program_in(folder, windows=windows)
        if program is not None:
            return program
    raise PluginError(MISSING)


def _given(path: Path, place: str, *, windows: bool) -> Path:
    """Return the program that a user named, by its file or by a folder."""
    if path.is_dir():
        for folder in (path, path / "bin", path / "Scripts"):
            program = _program_in(folder, windows=windows)
            if program is not None:
                return program
    elif path.is_file() and os.access(path, os.X_OK):
        return path
    raise PluginError(f"{place} is {path}, which is not a program: set it to the path of rs-sr")


def _program_in(folder: Path, *, windows: bool) -> Path | None:
    """Return rs-sr in a folder; None if it has none."""
    path = folder / ("rs-sr.exe" if windows else "rs-sr")
    return path if path.is_file() and os.access(path, os.X_OK) else None


def _folders(home: Path, *, windows: bool) -> Iterator[Path]:
    """Yield the folders that may hold the program."""
    programs = "Scripts" if windows else "bin"
    yield home / ".local" / "bin"
    for tool in TOOLS:
        yield home / tool / programs
    for conda in CONDAS:
        yield home / conda / programs
        for environment in sorted((home / conda / "envs").glob("*")):
            yield environment / programs
    if not windows:
        yield from map(Path, SYSTEM)
