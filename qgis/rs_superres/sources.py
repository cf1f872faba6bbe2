"""What QGIS calls a layer's source, as GDAL opens it."""

from __future__ import annotations

from .errors import PluginError

PROVIDER = "gdal"
"""QGIS's name for layers that GDAL reads."""


def dataset(source: str, provider: str, name: str) -> str:
    """Return what rs-sr opens for a raster layer.

    Paths, sub-datasets (``NETCDF:"a.nc":red``) and GDAL's virtual paths (``/vsizip/...``) stay as
    they are.

    Args:
        source: The layer's source.
        provider: The name of the layer's data provider.
        name: The layer's name, for messages.

    Raises:
        PluginError: rs-sr cannot open the layer.
    """
    if provider != PROVIDER:
        raise PluginError(
            f"the layer {name} comes from {provider}, and rs-sr reads files: export it to a "
            "GeoTIFF first (right-click it, then Export > Save As)"
        )
    path, *options = source.split("|")
    if options or "authcfg=" in source:
        raise PluginError(
            f"the layer {name} is opened with options ({source}), which rs-sr does not know: "
            "export it to a GeoTIFF first (right-click it, then Export > Save As)"
        )
    return path


def polygons(path: str, layer: str) -> str:
    """Return a layer of a vector file as ``--aoi`` takes it."""
    return f"{path}|layer={layer}" if layer else path


def positions(shown: list[int], chosen: list[int]) -> list[int]:
    """Return where the bands that a style shows are among the chosen ones, from 1.

    Args:
        shown: Numbers of bands in the source.
        chosen: Numbers of the source's bands that the result holds, in its order.

    Returns:
        Numbers of bands in the result; empty if it lacks one of them.
    """
    if any(band not in chosen for band in shown):
        return []
    return [chosen.index(band) + 1 for band in shown]
