"""The CI workflows, the commit hooks and the mutation settings, compared with what they run."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # dask depends on it

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
[_MODULES] = re.findall(r"^MODULES \?= ((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
MODULES = _MODULES.replace("\\\n", " ").split()


def read(path: Path) -> dict[Any, Any]:
    workflow: dict[Any, Any] = yaml.safe_load(path.read_text("utf-8"))
    return workflow


def steps(workflow: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job["steps"]


def targets(workflow: dict[Any, Any]) -> list[str]:
    """The targets that a workflow makes, in their order."""
    commands = [step["run"] for step in steps(workflow) if "run" in step]
    return [target for c in commands for target in re.findall(r"^make ([\w-]+)", c, re.MULTILINE)]


def named(name: str) -> dict[Any, Any]:
    return read(ROOT / ".github" / "workflows" / f"{name}.yml")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_makes_targets_of_the_makefile(path: Path) -> None:
    workflow = read(path)
    assert targets(workflow)
    assert set(targets(workflow)) <= TARGETS
    for step in steps(workflow):
        assert ("run" in step) != ("uses" in step)
        if "run" in step:  # what is not a target installs programs
            assert step["run"].startswith(("make ", "apt-get update"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_few_rights_and_limits(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert 0 < job["timeout-minutes"] < 360


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_selects_tests_by_markers_that_exist(path: Path) -> None:
    workflow = read(path)
    markers = {
        line.partition(":")[0] for line in PYPROJECT["tool"]["pytest"]["ini_options"]["markers"]
    }
    jobs = workflow["jobs"].values()
    selections = [
        holder["env"]["TESTS"] for holder in (workflow, *jobs) if "TESTS" in holder.get("env", {})
    ]
    assert selections
    for selection in selections:
        expression = re.fullmatch(r'-m "(.+)"', selection)
        assert expression is not None
        assert set(expression[1].split()) - {"and", "not"} <= markers
        assert "not shared" in expression[1]
        assert "not qgis" in expression[1]  # a job of its own runs them
    assert "TESTS ?=" in MAKEFILE  # so the variable of the environment counts


def test_pushes_and_pull_requests_are_tested_on_each_supported_python() -> None:
    workflow = named("tests")
    assert {"push", "pull_request"} <= set(workflow[True])  # YAML 1.1 reads the key `on` as true
    assert {"check", "docs", "test", "qgis-test"} <= set(targets(workflow))
    prefix = "Programming Language :: Python :: "
    supported = [
        line.removeprefix(prefix)
        for line in PYPROJECT["project"]["classifiers"]
        if line.startswith(prefix)
    ]
    assert workflow["jobs"]["linux"]["strategy"]["matrix"]["python"] == supported
    oldest = PYPROJECT["project"]["requires-python"].removeprefix(">=")
    assert supported[0] == oldest


def test_only_the_runs_on_other_systems_may_fail() -> None:
    jobs = named("tests")["jobs"]
    assert {name for name, job in jobs.items() if job.get("continue-on-error")} == {"other-systems"}
    assert "Operating System :: POSIX" in PYPROJECT["project"]["classifiers"]


def test_the_slow_checks_run_each_week() -> None:
    workflow = named("weekly")
    assert workflow[True]["schedule"]
    assert set(targets(workflow)) == {"lowest", "wheel-test", "test-full"}
    assert "not full" not in workflow["jobs"]["full"]["env"]["TESTS"]


def test_commit_hooks_run_the_tools_of_the_project() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    [repository] = config["repos"]
    assert repository["repo"] == "local"
    extra = PYPROJECT["project"]["optional-dependencies"]["dev"]
    installed = {re.split(r"[<>=\[]", line)[0] for line in extra}
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        tool = re.match(r"\.venv/bin/(\w+)", hook["entry"])
        assert tool is not None
        assert tool[1] in installed
    assert [hook["id"] for hook in repository["hooks"]] == ["ruff", "ruff-format", "mypy"]
    assert "pre-commit" in installed


def test_the_modules_of_mutants_exist() -> None:
    assert len(MODULES) == len(set(MODULES)) >= 9
    for module in MODULES:
        assert (ROOT / "rs_superres" / f"{module}.py").is_file(), module


def test_the_settings_of_mutants_have_what_the_makefile_replaces() -> None:
    text = (ROOT / "cosmic-ray.toml").read_text("utf-8")
    settings = tomllib.loads(text)["cosmic-ray"]
    assert settings["module-path"] == "rs_superres/MODULE.py"
    assert settings["test-command"].endswith(" TESTS")
    assert "s|MODULE|$$module|; s|TESTS|$$tests|" in MAKEFILE
