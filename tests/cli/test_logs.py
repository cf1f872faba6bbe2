"""``-v`` and ``-vv``: the log on standard error, and warnings that do not leak."""

from __future__ import annotations

import importlib
import logging
import re
import warnings
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner, Result

from tests.cli.calls import main

cli = importlib.import_module("rs_superres.cli")


@pytest.fixture(autouse=True)
def chatty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command ``chat`` that logs and warns."""

    @click.command()
    @click.option("-q", "--quiet", is_flag=True)
    def command(quiet: bool) -> None:
        logging.getLogger("rs_superres.engine.chat").debug("%d cells\nat once", 2)
        logging.getLogger("rasterio._env").debug("GDAL speaks")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("alpha wins", UserWarning, stacklevel=1)
        click.echo("quiet" if quiet else "loud")

    real = cli.importlib.import_module
    monkeypatch.setitem(cli.COMMANDS, "chat", ("chat", "Chats."))
    monkeypatch.setattr(
        cli.importlib,
        "import_module",
        lambda name, package=None: (
            SimpleNamespace(command=command) if name == ".chat" else real(name, package)
        ),
    )


def run(*args: str) -> Result:
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 0, result.output
    return result


def test_without_v_nothing_is_shown() -> None:
    assert run("chat").stderr == ""


@pytest.mark.parametrize("args", [("-v", "chat"), ("chat", "-v"), ("chat", "--verbose")])
def test_v_shows_our_log_and_warnings_a_line_each(args: tuple[str, ...]) -> None:
    ours, warning = run(*args).stderr.splitlines()
    assert re.fullmatch(r" +\d+\.\d\d s  rs_superres\.engine\.chat: 2 cells at once", ours)
    assert re.fullmatch(r" +\d+\.\d\d s  py\.warnings: UserWarning: alpha wins", warning)


@pytest.mark.parametrize("args", [("-vv", "chat"), ("chat", "-v", "-v"), ("-v", "chat", "-v")])
def test_vv_shows_the_log_of_rasterio_too(args: tuple[str, ...]) -> None:
    lines = run(*args).stderr.splitlines()
    assert len(lines) == 3
    assert lines[1].endswith(" s  rasterio._env: GDAL speaks")


def test_loggers_and_warnings_are_restored() -> None:
    names = ("rs_superres", "rasterio", "py.warnings")
    before = [(logging.getLogger(n).level, logging.getLogger(n).handlers[:]) for n in names]
    showing = warnings.showwarning
    run("-vv", "chat")
    assert before == [(logging.getLogger(n).level, logging.getLogger(n).handlers) for n in names]
    assert warnings.showwarning is showing


@pytest.mark.parametrize("args", [("-q", "chat"), ("chat", "-q"), ("-q", "chat", "-q")])
def test_quiet_before_or_after_the_command(args: tuple[str, ...]) -> None:
    assert run(*args).stdout == "quiet\n"
    assert run("chat").stdout == "loud\n"
