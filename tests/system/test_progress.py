"""Progress: a bar where it was asked for or where a notebook calls, else nothing."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import rs_superres
import rs_superres.accessor  # registers the accessor ``superres``
from rs_superres import demo
from rs_superres.errors import InputError
from rs_superres.evaluation.wald import wald
from rs_superres.options import PixelOptions
from rs_superres.system.progress import shown_progress
from rs_superres.verify import verify
from tests import rasters
from tests.dataarrays import opened
from tests.rasters import RGB, textured

LABELS = {
    "file": "out.tif",
    "NumPy": "upscale",
    "array": "upscale",
    "dataset": "upscale",
    "verify": "verify",
    "wald": "wald",
}
"""The labels of the bars of :func:`calls`."""


def let_shell(monkeypatch: pytest.MonkeyPatch, shell: object) -> None:
    """Let IPython run this process, with a shell of that kind."""
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process look like the kernel of a notebook."""
    let_shell(monkeypatch, SimpleNamespace(kernel=object(), config={"IPKernelApp": {}}))


@pytest.fixture
def as_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the functions of this file look like those of a notebook's cells."""
    monkeypatch.setitem(globals(), "__name__", "__main__")


@pytest.fixture
def calls(tmp_path: Path, tiny: str) -> dict[str, Callable[..., object]]:
    """The calls that take ``progress``."""
    pixels = textured(1, 3, 70, 70)
    source = rasters.write(tmp_path / "scene.tif", pixels, colours=RGB)
    array, out, made = opened(source), tmp_path / "out.tif", tmp_path / "made.tif"
    options: Any = {"scale": 2, "model": tiny, "steps": 0}
    rs_superres.upscale(source, made, **options)
    return {
        "file": lambda **p: rs_superres.upscale(source, out, overwrite=True, **options, **p),
        "NumPy": lambda **p: rs_superres.upscale(pixels, **options, **p),
        "array": lambda **p: array.superres.upscale(**options, **p),
        "dataset": lambda **p: array.to_dataset(name="a").superres.upscale(**options, **p),
        "verify": lambda **p: verify(str(made), str(source), **p),
        "wald": lambda **p: wald(source, PixelOptions(**options), **p),
    }


@pytest.mark.parametrize("name", LABELS)
def test_a_bar_is_shown_where_it_was_asked_for(
    name: str, calls: dict[str, Callable[..., object]], capsys: pytest.CaptureFixture[str]
) -> None:
    calls[name](progress=True)
    last = capsys.readouterr().err.split("\r")[-1]
    assert last.startswith(f"{LABELS[name]}: 100%")
    calls[name]()
    calls[name](progress=None)
    calls[name](progress=False)
    assert not capsys.readouterr().err


@pytest.mark.usefixtures("kernel", "as_cell")
@pytest.mark.parametrize("name", LABELS)
def test_a_cell_of_a_notebook_shows_a_bar(
    name: str, calls: dict[str, Callable[..., object]], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()  # the bar of the fixture
    calls[name]()
    assert f"{LABELS[name]}: 100%" in capsys.readouterr().err
    calls[name](progress=False)
    assert not capsys.readouterr().err


def bar(option: Any = None, **keywords: Any) -> Any:
    return shown_progress(option, "label", unit="part", **{"total": 9, **keywords})


@pytest.mark.usefixtures("kernel")
def test_a_library_that_a_cell_calls_shows_none(capsys: pytest.CaptureFixture[str]) -> None:
    with bar() as shown:
        assert shown is None
    assert not capsys.readouterr().err


@pytest.mark.usefixtures("as_cell")
@pytest.mark.parametrize("shell", [None, SimpleNamespace(), SimpleNamespace(kernel=None)])
def test_a_script_and_a_terminal_of_ipython_show_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shell: object
) -> None:
    let_shell(monkeypatch, shell)
    with bar() as shown:
        assert shown is None
    assert not capsys.readouterr().err


def test_a_bar_begins_with_what_an_earlier_run_finished(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with bar(option=True, done=4) as shown:
        assert "4/9" in capsys.readouterr().err
        shown(4, 9)
        shown(9, 9)
    assert "9/9" in capsys.readouterr().err


@pytest.mark.usefixtures("kernel")
def test_a_notebook_without_widgets_gets_no_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if re.match(r"tqdm\.(auto|notebook)", name)]:
        monkeypatch.delitem(sys.modules, name)  # so that it looks for widgets again
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    monkeypatch.setitem(sys.modules, "ipykernel.zmqshell", SimpleNamespace())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with bar(option=True):
            assert "0/9" in capsys.readouterr().err
    assert not caught


def test_a_callback_is_given_back() -> None:
    with bar(print) as shown:
        assert shown is print


def test_another_value_is_refused() -> None:
    with pytest.raises(InputError, match="progress='yes', expected True, False, None or a func"):
        bar("yes")


@pytest.mark.usefixtures("kernel")
def test_the_demonstration_shows_one_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: list[object] = []

    def upscale(_: Path, out: Path, *__: object, progress: object = None) -> None:
        options.append(progress)
        rasters.write(out, np.zeros((3, 560, 560), np.uint8))

    monkeypatch.setattr("rs_superres.demo.showcase.upscale", upscale)
    demo.run_demo(tmp_path / "demo")
    assert options == [False, None]
