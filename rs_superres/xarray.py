"""Registers the accessor ``superres`` of xarray's arrays and datasets when it is imported.

``import rs_superres`` registers the accessor too, before or after xarray is imported. This module
says so explicitly, as ``import rioxarray`` and ``import odc.geo.xr`` do.
"""

import rs_superres.accessor  # noqa: F401 (importing it registers the accessor)
