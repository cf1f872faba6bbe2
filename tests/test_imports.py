"""DESIGN.md's table of folders agrees with the folders and with the linter's layers."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DESIGN = (ROOT / "DESIGN.md").read_text("utf-8")
TOPS = ("rs_superres", "cli", "models")


@cache
def modules() -> dict[str, Path]:
    """Return every module of the working copy by its dotted name."""
    paths = {}
    for path in (path for top in TOPS for path in (ROOT / top).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return paths


def unit(module: str) -> str:
    """Return the row of the table for a module: ``nets/`` for ``rs_superres.nets.unet``."""
    top, *below = module.split(".")
    if top != "rs_superres":
        return f"{top}/"
    first = below[0]
    return f"{first}/" if modules()[f"{top}.{first}"].name == "__init__.py" else first


def table() -> list[tuple[int | None, str]]:
    """Return DESIGN's rows: the layer's number, if it has one, and the unit."""
    rows = re.findall(r"^\| (\d*) ?\| `([\w/]+)`(?: \*)? \|", DESIGN, re.MULTILINE)
    return [(int(layer) if layer else None, unit) for layer, unit in rows]


def layers() -> list[frozenset[str]]:
    """Return the layers in pyproject.toml, lowest first, by the units of DESIGN's table."""
    pyproject: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    [listed] = [
        contract["layers"]
        for contract in pyproject["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    ]
    return [
        frozenset(unit(name) for name in re.findall(r"[\w.]+", layer) if name in modules())
        for layer in reversed(listed)
    ]


def test_the_table_lists_every_folder_and_module_once() -> None:
    units = [unit for _, unit in table()]
    assert len(units) == len(set(units))
    assert set(units) == {unit(module) for module in modules() if module != "rs_superres"}


def test_the_table_has_the_layers_of_the_linter() -> None:
    listed = layers()
    assert {unit: layer for layer, unit in table() if layer is not None} == {
        unit: number for number, units in enumerate(listed) for unit in units
    }


def test_the_table_goes_from_the_highest_layer_to_the_lowest() -> None:
    numbers = [layer for layer, _ in table() if layer is not None]
    assert numbers == sorted(numbers, reverse=True)
