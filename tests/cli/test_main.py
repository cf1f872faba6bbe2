"""The entry point: help without imports, and failures told in one line."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from importlib.metadata import entry_points
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner, Result

from rs_superres._version import __version__
from rs_superres.errors import InputError

[entry] = entry_points(group="console_scripts", name="rs-sr")
main: click.Group = entry.load()
cli = importlib.import_module("rs_superres.cli")
HEAVY = ("torch", "rasterio", "xarray", "rioxarray", "dask", "distributed", "numpy", "safetensors")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A command ``fail`` that raises what its option names."""
    errors: dict[str, BaseException] = {
        "ours": InputError("scale is 0,\nexpected more"),
        "any": ZeroDivisionError("by\nzero"),
        "memory": MemoryError(),
        "stop": KeyboardInterrupt(),
    }

    @click.command()
    @click.argument("name")
    def command(name: str) -> None:
        if name in errors:
            raise errors[name]
        click.echo("done")

    real = cli.importlib.import_module

    def imported(name: str, package: str | None = None) -> object:
        return SimpleNamespace(command=command) if name == ".fail" else real(name, package)

    monkeypatch.setitem(cli.COMMANDS, "fail", ("fail", "Fails."))
    monkeypatch.setattr(cli.importlib, "import_module", imported)
    return monkeypatch


def run(*args: str) -> Result:
    return CliRunner().invoke(main, args)


def test_help_names_every_command() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for name, (_, text) in cli.COMMANDS.items():
        assert f"  {name} " in result.stdout
        assert text in result.stdout


def test_help_imports_nothing_heavy_and_is_quick() -> None:
    code = (
        "import sys, time; start = time.perf_counter()\n"
        "from rs_superres.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "elapsed = time.perf_counter() - start\n"
        f"heavy = sorted(set({HEAVY!r}) & set(sys.modules))\n"
        "print(elapsed, heavy, file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    elapsed, heavy = ran.stderr.split(maxsplit=1)
    assert "Usage:" in ran.stdout
    assert heavy.strip() == "[]"
    assert float(elapsed) < 0.5


@pytest.mark.parametrize("command", ["models", "eval"])
def test_help_of_a_command_imports_nothing_heavy(command: str) -> None:
    code = (
        "import sys\n"
        "from rs_superres.cli import main\n"
        f"main([{command!r}, '--help'], standalone_mode=False)\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stderr.strip() == "[]"


def test_version() -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"rs-sr, version {__version__}\n")


@pytest.mark.usefixtures("failing")
def test_success() -> None:
    result = run("fail", "not")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "done\n", "")


@pytest.mark.usefixtures("failing")
def test_our_errors_are_one_line() -> None:
    result = run("fail", "ours")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "rs-sr: error: scale is 0, expected more\n"


@pytest.mark.usefixtures("failing")
def test_other_errors_are_one_line_and_say_how_to_learn_more() -> None:
    result = run("fail", "any")
    assert result.exit_code == 1
    assert result.stderr == (
        "rs-sr: error: ZeroDivisionError: by zero (run with --debug for the traceback)\n"
    )
    assert "MemoryError" in run("fail", "memory").stderr


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("name", ["ours", "any"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_debug_anywhere_shows_the_traceback(name: str, place: int) -> None:
    args = ["fail", name]
    args.insert(place, "--debug")
    result = run(*args)
    assert isinstance(result.exception, InputError if name == "ours" else ZeroDivisionError)


@pytest.mark.usefixtures("failing")
def test_debug_after_two_dashes_is_a_name() -> None:
    assert run("fail", "--", "--debug").stdout == "done\n"


@pytest.mark.usefixtures("failing")
def test_interruption() -> None:
    result = run("fail", "stop")
    assert (result.exit_code, result.stderr) == (130, "rs-sr: interrupted\n")


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("args", [["fail"], ["fail", "a", "b"], ["fail", "-x"], ["fly"], ["-x"]])
def test_wrong_calls_exit_2(args: list[str]) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr


def test_the_command_that_is_installed() -> None:
    start = time.perf_counter()
    code = "from rs_superres.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", code, "models", "show", "no-such-model"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert time.perf_counter() - start < 10
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("rs-sr: error: no model 'no-such-model'")
    assert ran.stderr.count("\n") == 1


def test_nothing_is_looked_through_for_garbage_at_the_end() -> None:
    """By hooks at exit, the last one first: what a shell waits for after the last line."""
    code = (
        "import atexit, gc, sys; from importlib.metadata import entry_points\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"
        "[entry] = entry_points(group='console_scripts', name='rs-sr')\n"
        "sys.argv = ['rs-sr', 'models', 'list']; entry.load()()"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == "True"
