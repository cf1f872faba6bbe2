"""Write the plugin as a zip file, as QGIS installs it: ``python qgis/build.py dist/``.

The file depends on the plugin alone: names are sorted, and all times are the same.
"""

from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NAME = "rs_superres"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of all files, the first that a zip file can hold."""


def version() -> str:
    """Return the project's version, without importing the project."""
    text = (ROOT / "rs_superres" / "_version.py").read_text("utf-8")
    match = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if match is None:
        raise SystemExit("rs_superres/_version.py holds no __version__")
    return match[1]


def metadata() -> str:
    """Return the plugin's description with the project's version."""
    text = (HERE / "metadata.txt").read_text("utf-8")
    return text.replace("[general]\n", f"[general]\nversion={version()}\n")


def members() -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of the files in the zip file."""
    for path in (HERE / NAME).iterdir():
        if path.suffix in {".py", ".svg"}:
            yield f"{NAME}/{path.name}", path.read_bytes()
    yield f"{NAME}/LICENSE", (ROOT / "LICENSE").read_bytes()
    yield f"{NAME}/metadata.txt", metadata().encode()


def write(folder: Path) -> Path:
    """Write the zip file into a folder, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}-qgis-{version()}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in sorted(members()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return path


if __name__ == "__main__":
    write(Path(sys.argv[1]))
