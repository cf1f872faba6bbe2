"""The commands of the Dockerfile, run by a shell with programs that only write down their words."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
LINES = [line for line in TEXT.splitlines() if line and not line.startswith("#")]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
DEFAULTS = dict(re.findall(r"^ARG (\w+)=(.*)$", TEXT, re.MULTILINE))
STUB = '#!/bin/sh\necho "$(basename "$0") $*" >> "$LOG"\n'


def values(instruction: str) -> list[str]:
    return [line.partition(" ")[2].strip() for line in LINES if line.startswith(f"{instruction} ")]


def ran(tmp_path: Path, **arguments: str) -> list[str]:
    """Run the RUN instructions, and return the commands that they called."""
    for program in ("apt-get", "pip", "rm", "useradd"):
        (tmp_path / program).write_text(STUB, "utf-8")
        (tmp_path / program).chmod(0o755)
    log = tmp_path / "log"
    environment = os.environ | DEFAULTS | arguments
    environment |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(log)}
    for command in values("RUN"):
        subprocess.run(["/bin/sh", "-euc", command], env=environment, cwd=ROOT, check=True)
    return log.read_text("utf-8").splitlines()


def test_the_commands_of_the_build(tmp_path: Path) -> None:
    commands = ran(tmp_path)
    assert [line for line in commands if line.startswith("pip")] == [
        "pip install --no-cache-dir -c constraints.txt .[cluster]"
    ]
    assert any(re.fullmatch(r"apt-get install .* libexpat1", line) for line in commands)
    assert commands[-1] == "useradd --create-home --uid 1000 superres"


def test_the_small_build_of_torch_comes_first(tmp_path: Path) -> None:
    commands = ran(tmp_path, TORCH_INDEX="file:///wheels", EXTRAS="all")
    assert [line for line in commands if line.startswith("pip")] == [
        "pip install --no-cache-dir -c constraints.txt --index-url file:///wheels torch",
        "pip install --no-cache-dir -c constraints.txt .[all]",
    ]


def test_what_the_build_copies_is_there() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert values("COPY") == [". ."]
    package_dir = ("rs_superres", "cli", "models")
    for name in ("constraints.txt", "pyproject.toml", "README.md", "LICENSE", *package_dir):
        assert (ROOT / name).exists()
        assert name not in ignored


def test_the_extra_and_the_command_exist() -> None:
    assert DEFAULTS["EXTRAS"] in PROJECT["optional-dependencies"]
    [entry] = values("ENTRYPOINT")
    [program] = json.loads(entry)
    assert importlib.metadata.entry_points(group="console_scripts", name=program)
    assert json.loads(values("CMD")[0]) == ["--help"]


@pytest.mark.parametrize("version", [DEFAULTS["PYTHON"]])
def test_python_is_one_that_we_test_with(version: str) -> None:
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]
