"""What every test may ask for, and the rule that CI skips nothing silently."""

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
"""What a skip's reason says where CI may skip: the machine is known to lack it."""

# Before torch is loaded: threads that wait by spinning made the tests' commands ten times as slow
# on two cores with other work to do.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# No deadline: a busy machine is no fault of the code. In CI the same examples each time, so that a
# red build is about the change at hand.
hypothesis.settings.register_profile("rs_superres", deadline=None, derandomize=IN_CI)
hypothesis.settings.load_profile("rs_superres")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared imagery and fixtures: ``$RS_SR_SHARED``, or beside the project."""
    named = os.environ.get("RS_SR_SHARED")
    folder = Path(named) if named else ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        if named:
            pytest.fail(f"RS_SR_SHARED names {folder}, which holds no folder data")
        pytest.skip(f"no shared imagery in {folder}; RS_SR_SHARED names another folder")
    return folder


@pytest.fixture(scope="session")
def gdal_tools() -> Path:
    """The folder of GDAL's own tools (gdalinfo and its kin), the judge that is not us."""
    gdalinfo = shutil.which("gdalinfo")
    if gdalinfo is None:
        pytest.skip("gdalinfo is not on PATH; on Debian: apt-get install gdal-bin")
    return Path(gdalinfo).parent


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny model of the shipped kind with random weights, as ``-m`` takes it."""
    # Not at the top: a test runs this file alone, and most tests need no torch.
    from rs_superres.config import TileConfig  # noqa: PLC0415
    from tests import models  # noqa: PLC0415

    made = models.config(tiles=TileConfig(size=64, margin=8))
    return str(models.write(tmp_path_factory.mktemp("models") / "tiny", made))


@pytest.fixture
def make(tmp_path: Path, tiny: str) -> Callable[..., Plan]:
    """Plans of a run of the tiny model, prior alone, in float32, onto ``out.tif``."""
    from rs_superres import engine  # noqa: PLC0415 (as above)

    def planned(source: Path, out: str = "out.tif", **options: Any) -> Plan:
        asked = engine.Options(**{"model": tiny, "steps": 0, "precision": "fp32", **options})
        return engine.plan(source, tmp_path / out, asked)

    return planned


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A small RGB scene of 10 m; at x3 it takes nine cells of the tiny model."""
    from tests.rasters import RGB, textured, write  # noqa: PLC0415 (as above)

    return write(tmp_path / "scene.tif", textured(1, 3, 50, 44), colours=RGB)


@pytest.hookimpl(tryfirst=True)  # before -m chooses by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker("shared")


class NoSilentSkips:
    """Fails a run in which something was skipped that the machine should have been able to do."""

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
            terminalreporter.section("skipped in CI, where nothing may be", red=True)
            for skip in self.skips:
                terminalreporter.line(skip)


def pytest_configure(config: pytest.Config) -> None:
    if IN_CI:
        config.pluginmanager.register(NoSilentSkips())
