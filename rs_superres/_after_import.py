"""A callback after another package's import, for a package that is too slow to import in advance.

``import rs_superres`` registers an accessor with xarray. To import xarray for that would take more
than a second, which the command line cannot afford, and to require that users import xarray first
would break with sorted imports. So a finder waits at the front of ``sys.meta_path``. When the
package is imported, in any thread, the finder lets the other finders find it, wraps its loader to
call back after it has executed the package, and leaves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def after_import(name: str, callback: Callable[[], object]) -> None:
    """Call back as soon as a package is imported: now, if it has been."""
    if name in sys.modules:
        callback()
    else:
        sys.meta_path.insert(0, _Waiting(name, callback))


class _Waiting(MetaPathFinder):
    """Finds one package by means of the other finders, and wraps its loader."""

    def __init__(self, name: str, callback: Callable[[], object]) -> None:
        self._name, self._callback, self._searching = name, callback, False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of the package; None for other packages."""
        if fullname != self._name or self._searching:
            return None
        self._searching = True  # another finder of this kind may search all of sys.meta_path again
        try:
            others = [f for f in sys.meta_path if f is not self and hasattr(f, "find_spec")]
            specs = (finder.find_spec(fullname, path, target) for finder in others)
            spec = next((spec for spec in specs if spec is not None), None)
        finally:
            self._searching = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._loaded)
        return spec

    def _loaded(self) -> None:
        """Leave, and call back."""
        with suppress(ValueError):  # removed already, as by a test that restores sys.meta_path
            sys.meta_path.remove(self)
        self._callback()


class _Loader(Loader):
    """Loads a package as another loader does, and then calls a function."""

    def __init__(self, loader: Any, loaded: Callable[[], None]) -> None:
        self._loader, self._loaded = loader, loaded

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create the module as the other loader does."""
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module, which from now on belongs to the other loader."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._loaded()

    def __getattr__(self, name: str) -> Any:
        """Return what else the other loader offers, to code that only looks for the package."""
        return getattr(self._loader, name)
