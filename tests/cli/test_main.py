"""The entry point: help without heavy imports, and failures in one line."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner, Result

from rs_superres._version import __version__
from rs_superres.errors import InputError
from tests.cli.calls import main

cli = importlib.import_module("rs_superres.cli")
HEAVY = ("torch", "rasterio", "xarray", "rioxarray", "dask", "distributed", "numpy", "safetensors")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A command ``fail`` that raises the error that its argument names."""
    errors: dict[str, BaseException] = {
        "ours": InputError("scale is 0,\nexpected more"),
        "keyword": InputError("out.tif exists; overwrite=True replaces it, steps=1 does not"),
        "any": ZeroDivisionError("by\nzero"),
        "memory": MemoryError(),
        "stop": KeyboardInterrupt(),
    }

    @click.command()
    @click.argument("name")
    @click.option("--overwrite", is_flag=True)
    def command(name: str, overwrite: bool) -> None:  # noqa: ARG001 (only declared)
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


def test_help_lists_every_command() -> None:
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


@pytest.mark.parametrize("command", list(cli.COMMANDS))
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
def test_errors_name_the_flags_of_the_command() -> None:
    assert run("fail", "keyword").stderr == (
        "rs-sr: error: out.tif exists; --overwrite replaces it, steps=1 does not\n"
    )


@pytest.mark.usefixtures("failing")
def test_other_errors_are_one_line_and_point_to_debug() -> None:
    result = run("fail", "any")
    assert result.exit_code == 1
    assert result.stderr == (
        "rs-sr: error: ZeroDivisionError: by zero (run with --debug for the traceback)\n"
    )
    assert "MemoryError" in run("fail", "memory").stderr


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("name", ["ours", "any"])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_debug_anywhere_shows_the_traceback(name: str, position: int) -> None:
    args = ["fail", name]
    args.insert(position, "--debug")
    result = run(*args)
    assert isinstance(result.exception, InputError if name == "ours" else ZeroDivisionError)


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("name", ["--debug", "-v"])
def test_options_after_two_dashes_are_arguments(name: str) -> None:
    assert run("fail", "--", name).stdout == "done\n"


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


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["upscal", "a.tif"], "No such command 'upscal'. Did you mean 'upscale'?"),
        (["Verify", "a.tif"], "No such command 'Verify'. Did you mean 'verify'?"),
        (
            ["a.tif", "--scale", "2"],
            (
                "No such command 'a.tif'. To upscale a raster: "
                "rs-sr upscale a.tif --scale 2 -o out.tif"
            ),
        ),
        (["models", "lst"], "No such command 'lst'. Did you mean 'list'?"),
        (["zzz", "a.tif"], "No such command 'zzz'."),
    ],
)
def test_a_misspelt_word_gets_a_suggestion(args: list[str], line: str) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == f"Error: {line}"


def test_a_misspelt_option_gets_a_suggestion() -> None:
    result = run("demo", "--ovrwrite")
    assert result.exit_code == 2
    assert "Did you mean" in result.stderr
    assert "--overwrite" in result.stderr


def test_without_arguments_a_short_page_shows_the_commands_that_matter() -> None:
    result = run()
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert len(lines) < 15
    assert lines[0] == "Super-resolve satellite and aerial rasters at any real scale."
    for name in ("upscale", "batch", "info", "verify", "view"):
        assert f"  {name:7}  {cli.COMMANDS[name][1]}" in lines  # one line each
    for name in ("train", "eval", "models", "demo"):
        assert f"  {name} " not in result.stdout
    assert "  rs-sr upscale scene.tif --scale 3.5 -o out.tif" in lines
    assert "  rs-sr --help " in result.stdout
    assert run("-q").exit_code == 2  # options alone are not a call


def test_an_installed_command_fails_in_one_line() -> None:
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


def test_the_last_garbage_collection_finds_nothing_to_do() -> None:
    """Exit hooks run last one first, so the hook below runs after the command's own."""
    code = (
        "import atexit, gc, sys; from importlib.metadata import entry_points\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"
        "[entry] = entry_points(group='console_scripts', name='rs-sr')\n"
        "sys.argv = ['rs-sr', 'models', 'list']; entry.load()()"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == "True"


@pytest.mark.parametrize(
    "args",
    [
        ["upscale", "a.tif", "-o", "b.tif", "--scale", "0.5"],
        ["upscale", "a.tif", "-o", "b.tif"],
        ["upscale", "a.tif", "-o", "b.tif", "-s", "4x", "--device", "gpu"],
        ["upscale", "a.tif", "-o", "b.tif", "-s", "x4", "--samples", "2", "--steps", "0"],
        ["batch", "a", "-o", "b", "-s", "1"],
        ["train", "--data", "a", "-o", "b", "--device", "gpu"],
        ["eval", "-o", "b"],
        ["verify", "b.tif"],
    ],
)
def test_wrong_calls_import_nothing_heavy(args: list[str]) -> None:
    code = (
        "import sys\n"
        "from rs_superres.cli import main\n"
        f"try: main({args!r})\n"
        "except SystemExit as error: status = error.code\n"
        f"print(status, sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout == "2 []\n", ran.stderr
