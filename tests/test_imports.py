"""DESIGN.md's table and diagram of the parts, against the imports as they are."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DESIGN = (ROOT / "DESIGN.md").read_text("utf-8")
TOPS = ("rs_superres", "cli", "models")

Parts = dict[str, frozenset[str]]
Edges = set[tuple[str, str]]


@cache
def modules() -> dict[str, Path]:
    """Every module of the working copy by its dotted name there."""
    found = {}
    for path in (path for top in TOPS for path in (ROOT / top).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def unit(module: str) -> str:
    """The name in the table that stands for a module: ``nets/`` for ``rs_superres.nets.unet``."""
    top, *below = module.split(".")
    if top != "rs_superres":
        return f"{top}/"
    first = below[0]
    return f"{first}/" if modules()[f"{top}.{first}"].name == "__init__.py" else first


def table() -> Parts:
    """The parts in their order, each with its units."""
    rows = re.findall(r"^\| ([a-z ]+) \| ((?:`[\w/]+`(?:, )?)+) \|", DESIGN, re.MULTILINE)
    return {name: frozenset(re.findall(r"`([\w/]+)`", units)) for name, units in rows}


def imported(module: str, path: Path) -> Iterator[str]:
    """The modules that a module imports, inside functions and for type checkers too."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(part for part in (up, node.module) if part)
            for alias in node.names:
                inside = f"{base}.{alias.name}"
                yield inside if inside in modules() else base


def edges(parts: Parts) -> Edges:
    """Which part imports which. The package's own ``__init__`` is no part: it hands out names."""
    home = {each: name for name, units in parts.items() for each in units}
    found = {
        (home[unit(module)], home[unit(target)])
        for module, path in modules().items()
        for target in imported(module, path)
        if "rs_superres" not in (module, target) and target in modules()
    }
    return {(above, below) for above, below in found if above != below}


def reduced(whole: Edges) -> Edges:
    """The arrows without those that a longer way says already."""

    def reach(start: str, via: Edges) -> set[str]:
        found: set[str] = set()
        todo = [start]
        while todo:
            here = todo.pop()
            new = {below for above, below in via if above == here} - found
            found |= new
            todo += new
        return found

    return {edge for edge in whole if edge[1] not in reach(edge[0], whole - {edge})}


def test_the_table_names_every_module_once() -> None:
    units = [each for row in table().values() for each in row]
    assert len(units) == len(set(units))
    assert set(units) == {unit(module) for module in modules() if module != "rs_superres"}


def test_a_part_imports_only_parts_above_it_in_the_table() -> None:
    order = list(table())
    upwards = {edge for edge in edges(table()) if order.index(edge[0]) < order.index(edge[1])}
    assert not upwards


def test_the_diagram_is_drawn_from_the_imports() -> None:
    [block] = re.findall(r"^```mermaid\n(.*?)^```", DESIGN, re.MULTILINE | re.DOTALL)
    names = dict(re.findall(r"(\w+)\[([a-z ]+)\]", block))
    drawn = {
        (names[above], names[below])
        for above, targets in re.findall(r"^ *(\w+)(?:\[[^\]]+\])? --> (.+)$", block, re.MULTILINE)
        for below in re.findall(r"(\w+)(?:\[[^\]]+\])?(?: & |$)", targets)
    }
    assert drawn == reduced(edges(table()))


def test_the_linter_is_told_the_same_layers() -> None:
    pyproject: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    [layers] = [
        contract["layers"]
        for contract in pyproject["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    ]
    told = [
        frozenset(unit(name) for name in re.findall(r"[\w.]+", layer) if name in modules())
        for layer in reversed(layers)
    ]
    assert told == [units for units in table().values() if units != {"models/"}]


def test_longer_ways_hide_arrows() -> None:
    whole = {("a", "b"), ("b", "c"), ("a", "c"), ("a", "d")}
    assert reduced(whole) == whole - {("a", "c")}
