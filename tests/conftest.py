"""Fixtures that all tests share, and the rule that CI skips nothing silently."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

if TYPE_CHECKING:
    from rs_superres.engine import Plan

ROOT = Path(__file__).resolve().parents[1]
IN_CI = os.environ.get("CI") == "true"
EXPECTED_SKIPS = ("needs a GPU",)
"""Texts in the reasons of skips that are allowed in CI, whose machines lack the thing."""

# Before torch is loaded: threads that wait by spinning made the commands of tests ten times slower
# on two busy cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# No deadline, since machines may be busy. In CI the examples are the same each time, so that a
# failing build is due to the change.
hypothesis.settings.register_profile("rs_superres", deadline=None, derandomize=IN_CI)
hypothesis.settings.load_profile("rs_superres")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared imagery and fixtures: ``$RS_SR_SHARED``, or next to the project."""
    named = os.environ.get("RS_SR_SHARED")
    folder = Path(named) if named else ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        if named:
            pytest.fail(f"RS_SR_SHARED is {folder}, which has no folder data")
        pytest.skip(f"no shared imagery in {folder}; set RS_SR_SHARED to another folder")
    return folder


@pytest.fixture(scope="session")
def gdal_tools() -> Path:
    """The folder of GDAL's tools (gdalinfo and others), an independent check."""
    gdalinfo = shutil.which("gdalinfo")
    if gdalinfo is None:
        pytest.skip("gdalinfo is not on PATH; on Debian: apt-get install gdal-bin")
    return Path(gdalinfo).parent


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny model of the shipped kind with random weights, as ``-m`` accepts it."""
    # Not at the top: most tests need no torch.
    from rs_superres.config import TileConfig  # noqa: PLC0415
    from tests import models  # noqa: PLC0415

    config = models.config(tiles=TileConfig(size=64, margin=8))
    return str(models.write(tmp_path_factory.mktemp("models") / "tiny", config))


@pytest.fixture
def make(tmp_path: Path, tiny: str) -> Callable[..., Plan]:
    """A function that plans a run of the tiny model to ``out.tif``: operator alone, float32."""
    from rs_superres import engine  # noqa: PLC0415 (as above)

    def planned(source: Path, out: str = "out.tif", **options: Any) -> Plan:
        chosen = engine.Options(**{"model": tiny, "steps": 0, "precision": "fp32", **options})
        return engine.plan(source, tmp_path / out, chosen)

    return planned


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A small RGB scene with 10 m pixels; at x3 it takes nine cells of the tiny model."""
    from tests.rasters import RGB, textured, write  # noqa: PLC0415 (as above)

    return write(tmp_path / "scene.tif", textured(1, 3, 50, 44), colours=RGB)


@pytest.hookimpl(tryfirst=True)  # before -m chooses by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker("shared")


class NoSilentSkips:
    """Fails a test run that skipped something which the machine should be able to do."""

    def __init__(self) -> None:
        self.skips: list[str] = []

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        # pytest describes a skip by (file, line, reason).
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        if not any(expected in reason for expected in EXPECTED_SKIPS):
            self.skips.append(f"{report.nodeid}: {reason}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.note(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.skips and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.skips:
            terminalreporter.section("skipped in CI, where skips are not allowed", red=True)
            for skip in self.skips:
                terminalreporter.line(skip)


def pytest_configure(config: pytest.Config) -> None:
    if IN_CI:
        config.pluginmanager.register(NoSilentSkips())
