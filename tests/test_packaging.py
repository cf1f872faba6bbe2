"""Tests of the packaging: what is installed, and files that repeat a fact agree."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml  # dask brings it

import rs_superres
from rs_superres import _version
from rs_superres.system.extras import OPTIONAL

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
CONDA_NAMES = {"matplotlib": "matplotlib-base", "torch": "pytorch"}


def package_folders() -> dict[str, Path]:
    """The packages as the working copy has them: every folder with an ``__init__.py``."""
    packages = {}
    for top, package in (
        ("rs_superres", "rs_superres"),
        ("cli", "rs_superres.cli"),
        ("models", "rs_superres.models"),
    ):
        for init in (ROOT / top).rglob("__init__.py"):
            below = init.parent.relative_to(ROOT / top).parts
            packages[".".join((package, *below))] = init.parent
    return packages


def requirements(lines: list[str]) -> dict[str, str]:
    """Name to version range, from lines like ``numpy>=2.0``."""
    pairs = (re.fullmatch(r"([\w.-]+)\s*(.*)", line) for line in lines)
    return {pair[1]: pair[2] for pair in pairs if pair}


def conda_requirements() -> dict[str, str]:
    text = (ROOT / "environment.yml").read_text("utf-8")
    return requirements(
        re.findall(r"^  - (.+)$", text.partition("\ndependencies:\n")[2], re.MULTILINE)
    )


def files_of(folder: Path) -> Iterator[Path]:
    """The files of a package that are not Python's own."""
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts:
            yield path


def test_package_list_is_what_the_folders_hold() -> None:
    assert sorted(SETUPTOOLS["packages"]) == sorted(package_folders())


def test_package_dir_leads_to_the_folders() -> None:
    mapped = {name: ROOT / folder for name, folder in SETUPTOOLS["package-dir"].items()}
    for name, folder in package_folders().items():
        parts = name.split(".")
        above = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
        parent = next(known for known in above if known in mapped)
        below = name.removeprefix(parent).replace(".", "/").lstrip("/")
        assert mapped[parent] / below == folder


def test_no_module_lies_in_a_folder_that_is_no_package() -> None:
    modules = {
        path.parent
        for top in ("rs_superres", "cli", "models")
        for path in (ROOT / top).rglob("*.py")
    }
    assert modules <= set(package_folders().values())


def test_every_data_file_of_a_package_is_installed() -> None:
    folders = package_folders()
    patterns: dict[str, list[str]] = SETUPTOOLS["package-data"]
    installed = {
        path
        for name, globs in patterns.items()
        for glob in globs
        for path in folders[name].glob(glob)
    }
    assert {path for folder in folders.values() for path in files_of(folder)} <= installed


def test_package_data_names_packages_and_no_code() -> None:
    patterns: dict[str, list[str]] = SETUPTOOLS["package-data"]
    assert set(patterns) <= set(SETUPTOOLS["packages"])
    for glob in (glob for globs in patterns.values() for glob in globs):
        assert not glob.endswith((".py", "*"))
        assert ".." not in glob


def test_the_typing_marker_is_installed() -> None:
    assert (ROOT / "rs_superres" / "py.typed").is_file()
    assert "py.typed" in SETUPTOOLS["package-data"]["rs_superres"]


def test_the_conda_environment_has_what_pip_would_install() -> None:
    conda = conda_requirements()
    python = conda.pop("python")
    conda.pop("pip")
    extras = PROJECT["optional-dependencies"]
    pip = requirements(
        PROJECT["dependencies"] + extras["gdal"] + extras["eval"] + extras["cluster"]
    )
    assert conda == {CONDA_NAMES.get(name, name): bounds for name, bounds in pip.items()}
    assert python == PROJECT["requires-python"]


def conda_bounds(lines: list[str], names: dict[str, str]) -> dict[str, str]:
    """Name to version range under conda's names, from lines of pyproject.toml."""
    return {names.get(name, name): bounds for name, bounds in requirements(lines).items()}


def test_the_recipe_requires_what_pip_would_install() -> None:
    recipe = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text("utf-8"))
    names = {**CONDA_NAMES, "dask": "dask-core"}  # conda's dask brings distributed
    run = requirements(recipe["requirements"]["run"])
    assert run.pop("python") == ">=${{ python_min }}"
    assert run == conda_bounds(PROJECT["dependencies"], names)
    extras = PROJECT["optional-dependencies"]
    optional = requirements(recipe["requirements"]["run_constraints"])
    assert optional == conda_bounds(extras["eval"] + extras["cluster"], names)
    host = requirements(recipe["requirements"]["host"])
    assert set(host) == {"python", "pip", "setuptools"}
    assert f"setuptools{host['setuptools']}" in PYPROJECT["build-system"]["requires"]


def test_the_recipe_describes_the_project() -> None:
    recipe = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text("utf-8"))
    assert recipe["context"] == {
        "name": PROJECT["name"],
        "version": rs_superres.__version__,
        "python_min": PROJECT["requires-python"].removeprefix(">="),
    }
    assert recipe["build"]["noarch"] == "python"
    [script] = PROJECT["scripts"].items()
    assert recipe["build"]["python"]["entry_points"] == [" = ".join(script)]
    assert recipe["about"]["license"] == PROJECT["license"]
    assert [recipe["about"]["license_file"]] == PROJECT["license-files"]
    assert (ROOT / "recipe" / recipe["source"]["path"] / "pyproject.toml").is_file()


def test_the_addresses_of_the_project_are_known() -> None:
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert PROJECT["urls"]
    for address in PROJECT["urls"].values():
        assert address in citation


def test_each_optional_package_is_in_its_extra_and_no_dependency() -> None:
    extras = PROJECT["optional-dependencies"]
    for package, extra in OPTIONAL.values():
        assert package in requirements(extras[extra])
        assert package not in requirements(PROJECT["dependencies"])
    held = {p: extra for extra in ("eval", "cluster") for p in requirements(extras[extra])}
    assert held == dict(OPTIONAL.values())
    assert extras["all"] == ["rs-superres[eval,cluster]"]
    assert "rs-superres[all]" in extras["test"]


def test_every_constraint_lies_within_its_range() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = requirements([line for line in lines if line and not line.startswith("#")])
    assert list(pinned) == ["torch"]
    lower = requirements(PROJECT["dependencies"])["torch"].removeprefix(">=")
    assert release(pinned["torch"].removeprefix("==")) >= release(lower)


def release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def test_every_lower_bound_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    lines = [
        line
        for name in ("dependencies", "eval", "cluster")
        for line in text.partition(f"\n{name} = [\n")[2].partition("\n]")[0].splitlines()
    ]
    assert len(lines) > 15
    for line in lines:
        assert re.fullmatch(r'    "[\w-]+>=[\d.]+", # \S.+', line), line


def test_the_version_is_the_same_everywhere() -> None:
    assert PROJECT["dynamic"] == ["version"]
    assert SETUPTOOLS["dynamic"]["version"] == {"attr": "rs_superres._version.__version__"}
    version = rs_superres.__version__
    assert version == _version.__version__
    assert importlib.metadata.version("rs-superres") == version
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert re.search(rf"^version: {re.escape(version)}$", citation, re.MULTILINE)
    changes = (ROOT / "CHANGES.md").read_text("utf-8")
    assert re.findall(r"^## (\S+)", changes, re.MULTILINE)[0] == version


def test_the_command_is_an_entry_point() -> None:
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="rs-sr")
    assert command.value == "rs_superres.cli:main"


def test_every_make_target_is_explained() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    contributing = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    targets = " ".join(re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)).split()
    explained = re.findall(r"^\| `make ([\w-]+)` \|", contributing, re.MULTILINE)
    assert explained == targets
    assert set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE)) == set(targets)


def test_the_citation_has_what_its_format_asks_for() -> None:
    # Citation File Format 1.2.0: the required keys, and those of a reference.
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] in {"software", "dataset"}
    assert citation["license"] == PROJECT["license"]
    for entry in (citation, *citation["references"]):
        assert isinstance(entry["title"], str)
        for author in entry["authors"]:
            assert set(author) in ({"name"}, {"family-names", "given-names"})
    assert isinstance(citation["message"], str)
    assert {"software", "article"} == {citation["type"], citation["references"][0]["type"]}


def test_only_checkers_and_builders_of_docs_have_upper_bounds() -> None:
    extras = PROJECT["optional-dependencies"]
    used = (extras[name] for name in ("gdal", "eval", "cluster", "test"))
    for line in (*PROJECT["dependencies"], *chain.from_iterable(used)):
        assert "<" not in line, line
    for line in extras["docs"]:
        assert "<" in line, line


def test_importing_the_package_loads_no_torch(tmp_path: Path) -> None:
    script = "import sys, rs_superres; sys.exit('torch' in sys.modules)"
    # Elsewhere, so that it is the installed package.
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    ("reason", "in_ci", "status"),
    [
        pytest.param("needs a GPU", "true", pytest.ExitCode.OK, id="expected"),
        pytest.param("no shared imagery", "true", pytest.ExitCode.TESTS_FAILED, id="unexpected"),
        pytest.param("no shared imagery", "", pytest.ExitCode.OK, id="outside CI"),
    ],
)
def test_ci_fails_when_a_test_is_skipped(
    tmp_path: Path, reason: str, in_ci: str, status: pytest.ExitCode
) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "def test_passes(): pass\n"
        f"def test_skips(): pytest.skip({reason!r})\n"
        "@pytest.mark.xfail\ndef test_known_fault(): raise ValueError\n",
        "utf-8",
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", tmp_path],
        cwd=tmp_path, env=os.environ | {"CI": in_ci}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == status, run.stdout
    assert ("test_it.py::test_skips: Skipped: no shared" in run.stdout) == (status != 0)


def test_the_paths_in_contributing_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    paths = re.findall(r"`((?:rs_superres|cli|docs|tests|models|benchmarks|qgis)/[\w/.]*)`", text)
    assert len(paths) > 25
    for path in paths:
        assert (ROOT / path).exists(), path
