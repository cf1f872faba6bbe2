"""Super-resolution of satellite and aerial rasters at any real scale, by NeurOp-Diff.

The functions and classes below are imported when they are first used, since torch and rasterio take
seconds to load. The accessor ``superres`` of xarray's arrays and datasets is registered as soon as
xarray is imported, whether that happens before or after; see :mod:`rs_superres._after_import`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from rs_superres._after_import import after_import
from rs_superres._version import __version__
from rs_superres.errors import (
    CardWarning,
    ClusterError,
    ColourWarning,
    InputError,
    MissingPackageError,
    ModelError,
    RasterError,
    SuperResError,
    TrainingError,
    UnknownModelError,
    WriteError,
)

if TYPE_CHECKING:
    from rs_superres.api import upscale
    from rs_superres.engine import Plan, Report, plan, run
    from rs_superres.options import Options
    from rs_superres.zoo import Model
    from rs_superres.zoo import load as load_model

__all__ = [
    "CardWarning",
    "ClusterError",
    "ColourWarning",
    "InputError",
    "MissingPackageError",
    "Model",
    "ModelError",
    "Options",
    "Plan",
    "RasterError",
    "Report",
    "SuperResError",
    "TrainingError",
    "UnknownModelError",
    "WriteError",
    "__version__",
    "load_model",
    "plan",
    "run",
    "upscale",
]

_LAZY = {
    "Model": ("zoo", "Model"),
    "Options": ("options", "Options"),
    "Plan": ("engine", "Plan"),
    "Report": ("engine", "Report"),
    "load_model": ("zoo", "load"),
    "plan": ("engine", "plan"),
    "run": ("engine", "run"),
    "upscale": ("api", "upscale"),
}
"""Module and name of each object that is imported when it is first used."""


def __getattr__(name: str) -> object:
    """Import an object of the package when it is first used."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(import_module(f"rs_superres.{module}"), attribute)


def __dir__() -> list[str]:
    """List the objects that are not imported yet too, so that completion offers them."""
    return sorted({*globals(), *__all__})


after_import("xarray", lambda: import_module("rs_superres.accessor"))
