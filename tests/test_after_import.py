"""A callback after another package's import."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from rs_superres._after_import import after_import

NAME = "package_of_this_test"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the search path; what a test imports is forgotten after it."""
    monkeypatch.syspath_prepend(tmp_path)
    before = list(sys.meta_path)
    yield tmp_path
    sys.meta_path[:] = before
    sys.modules.pop(NAME, None)


def test_it_calls_back_once_after_the_package_was_executed(folder: Path) -> None:
    (folder / f"{NAME}.py").write_text("value = 3\n")
    values: list[int] = []
    before = list(sys.meta_path)
    after_import(NAME, lambda: values.append(sys.modules[NAME].value))
    importlib.import_module("json")
    assert not values
    package = importlib.import_module(NAME)
    assert values == [3]
    assert sys.meta_path == before
    assert package.__spec__ is not None
    assert type(package.__spec__.loader) is type(package.__loader__)
    assert type(package.__loader__).__module__ != "rs_superres._after_import"
    importlib.reload(package)
    assert values == [3]


def test_it_calls_back_at_once_if_the_package_is_imported(folder: Path) -> None:
    (folder / f"{NAME}.py").touch()
    importlib.import_module(NAME)
    calls: list[str] = []
    after_import(NAME, lambda: calls.append("called"))
    assert calls == ["called"]


def test_a_search_without_an_import_does_not_call_back(folder: Path) -> None:
    (folder / f"{NAME}.py").touch()
    calls: list[str] = []
    after_import(NAME, lambda: calls.append("called"))
    assert importlib.util.find_spec(NAME) is not None
    assert not calls
    importlib.import_module(NAME)
    assert calls == ["called"]


def test_a_package_that_is_missing_or_fails_may_come_later(folder: Path) -> None:
    calls: list[str] = []
    after_import(NAME, lambda: calls.append("called"))
    with pytest.raises(ModuleNotFoundError, match=NAME):
        importlib.import_module(NAME)
    path = folder / f"{NAME}.py"
    path.write_text("raise ValueError('broken')\n")
    importlib.invalidate_caches()
    with pytest.raises(ValueError, match="broken"):
        importlib.import_module(NAME)
    assert not calls
    path.write_text("value = 'mended, and longer'\n")
    importlib.import_module(NAME)
    assert calls == ["called"]


def test_other_finders_of_this_kind_do_not_search_for_ever(folder: Path) -> None:
    """As wrapt's hooks: a finder that searches all of ``sys.meta_path`` again."""
    (folder / f"{NAME}.py").touch()

    class Searching(MetaPathFinder):
        active = False

        def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
            if fullname != NAME or self.active:
                return None
            self.active = True
            try:
                return importlib.util.find_spec(fullname)
            finally:
                self.active = False

    calls: list[str] = []
    sys.meta_path.insert(0, Searching())
    after_import(NAME, lambda: calls.append("called"))
    sys.meta_path.insert(0, Searching())
    importlib.import_module(NAME)
    assert calls == ["called"]
