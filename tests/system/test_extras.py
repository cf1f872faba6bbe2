"""Optional packages: the error that names what is missing, and how to install it."""

from __future__ import annotations

import importlib
import pickle
import sys

import pytest

import rs_superres
from rs_superres.errors import MissingPackageError, SuperResError
from rs_superres.system.extras import OPTIONAL, needed_for


@pytest.mark.parametrize("module", OPTIONAL)
def test_a_missing_package_is_named_with_its_extra(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, extra = OPTIONAL[module]
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError) as caught, needed_for("a test"):
        importlib.import_module(module)
    assert str(caught.value) == (
        f"a test needs {package}, which is not installed: pip install 'rs-superres[{extra}]'"
    )
    assert isinstance(caught.value, SuperResError)
    assert isinstance(caught.value, ImportError)
    assert caught.value.name == module
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 (ours)
    assert rs_superres.MissingPackageError is MissingPackageError


def test_a_part_of_a_missing_package_counts_as_the_package() -> None:
    with pytest.raises(MissingPackageError, match="scikit-image"), needed_for("a test"):
        raise ModuleNotFoundError("No module named 'skimage.metrics'", name="skimage.metrics")


@pytest.mark.parametrize("name", ["no_such_module", None])
def test_any_other_missing_module_keeps_its_error(name: str | None) -> None:
    with pytest.raises(ModuleNotFoundError) as caught, needed_for("a test"):
        raise ModuleNotFoundError("a fault of ours", name=name)
    assert not isinstance(caught.value, MissingPackageError)


def test_what_is_installed_is_imported() -> None:
    with needed_for("a test"):
        assert importlib.import_module("skimage").__name__ == "skimage"
