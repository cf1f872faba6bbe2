"""Super-resolution of satellite and aerial rasters at any real scale, by NeurOp-Diff."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from rs_superres._version import __version__

if TYPE_CHECKING:
    from rs_superres.api import upscale
    from rs_superres.engine import Plan, Report, plan, run
    from rs_superres.options import Options
    from rs_superres.zoo import Model
    from rs_superres.zoo import load as load_model

__all__ = [
    "Model",
    "Options",
    "Plan",
    "Report",
    "__version__",
    "load_model",
    "plan",
    "run",
    "upscale",
]

_HOMES = {
    **dict.fromkeys(("Plan", "Report", "plan", "run"), "engine"),
    "Options": "options",
    "upscale": "api",
    "Model": "zoo",
    "load_model": "zoo",
}
"""The modules that hold what the package offers."""


def __getattr__(name: str) -> object:
    """Import the engine, and with it torch and rasterio, when something of it is asked for."""
    if name in _HOMES:
        module = import_module(f"rs_superres.{_HOMES[name]}")
        return getattr(module, "load" if name == "load_model" else name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if "xarray" in sys.modules:  # who has it loaded gets the accessor; others import it by name
    import_module("rs_superres.accessor")
