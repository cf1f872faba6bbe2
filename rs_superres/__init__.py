"""Super-resolution of satellite and aerial rasters at any real scale, by NeurOp-Diff."""

__version__ = "0.1.0"
