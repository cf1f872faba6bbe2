"""Imports without the search for garbage."""

from __future__ import annotations

import gc
import importlib

import pytest

loading = importlib.import_module("rs_superres.cli.loading").loading


def failing() -> None:
    with loading():
        assert not gc.isenabled()
        raise ImportError


def test_the_search_goes_on_afterwards() -> None:
    assert gc.isenabled()
    with pytest.raises(ImportError):
        failing()
    assert gc.isenabled()
