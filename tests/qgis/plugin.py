"""The plugin's modules that need no QGIS, and its scripts.

The plugin is a package called ``rs_superres``, as the library is. So it is loaded from its folder
under another name. Type checkers know it as ``qgis.rs_superres``.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "qgis" / "rs_superres"
NAME = "plugin_of_qgis"


def _load(name: str, path: Path, folders: list[str] | None = None) -> ModuleType:
    """Load a module from a file."""
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=folders)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if TYPE_CHECKING:
    from qgis import build, icon
    from qgis.rs_superres import (
        child,
        command,
        environment,
        errors,
        findings,
        output,
        program,
        sources,
    )
else:
    _load(NAME, FOLDER / "__init__.py", [str(FOLDER)])
    child, command, environment, errors, findings, output, program, sources = (
        importlib.import_module(f"{NAME}.{module}")
        for module in (
            "child", "command", "environment", "errors", "findings", "output", "program", "sources"
        )
    )  # fmt: skip
    build = _load("build_of_qgis", ROOT / "qgis" / "build.py")
    icon = _load("icon_of_qgis", ROOT / "qgis" / "icon.py")

__all__ = [
    "build", "child", "command", "environment", "errors", "findings", "icon", "output", "program",
    "sources",
]  # fmt: skip
