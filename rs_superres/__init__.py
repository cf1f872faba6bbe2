"""Super-resolution of satellite and aerial rasters at any real scale, by NeurOp-Diff."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rs_superres.engine import Options, Plan, Report, plan, run, upscale

__version__ = "0.1.0"

__all__ = ["Options", "Plan", "Report", "__version__", "plan", "run", "upscale"]


def __getattr__(name: str) -> object:
    """Import the engine, and with it torch and rasterio, when something of it is asked for."""
    if name in __all__:
        from rs_superres import engine

        return getattr(engine, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
