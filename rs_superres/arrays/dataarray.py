"""Super-resolves an ``xarray.DataArray``: NumPy arrays at once, dask arrays lazily.

The lattice of cells is that of a file, so the pixels are those of a file too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from dataclasses import replace

import numpy as np
import xarray as xr

from rs_superres.arrays import graph
from rs_superres.arrays.conventions import (
    BAND,
    describe,
    spatial_dims,
    with_bands,
    with_metadata,
)
from rs_superres.engine import ProgressOption
from rs_superres.engine.pixels import PixelPlan, plan_pixels
from rs_superres.engine.region import output_region
from rs_superres.errors import CardWarning, InputError
from rs_superres.options import PixelOptions
from rs_superres.raster import sample_windows
from rs_superres.scene.bands import decide
from rs_superres.scene.cell import CellResult, compute_window
from rs_superres.scene.reader import ArrayReader
from rs_superres.system.caller import warn_caller
from rs_superres.system.memory import check_memory
from rs_superres.system.progress import counted, shown_progress
from rs_superres.types import Values

logger = logging.getLogger(__name__)

UINT8_RANGE = np.array((0.0, 255.0))
"""The value range of uint8, in digital numbers."""


def upscale_array(
    array: xr.DataArray, options: PixelOptions, progress: ProgressOption = None
) -> xr.DataArray:
    """Super-resolve an array; each index of a dimension other than band, y and x is a scene.

    Args:
        array: Has y and x among its dimensions, and perhaps a band dimension.
        options: PixelOptions of the run; those about files are ignored.
        progress: Called after each cell, or whether to show a bar; for arrays in memory only.

    Returns:
        An array with the dimensions of ``array`` in the same order: computed if ``array`` is in
        memory, lazy if it is a dask array.

    Raises:
        InputError: An option or the array cannot be used.
        ModelError: The model cannot be used.

    Warns:
        CardWarning: The source or the scale lies outside what the model was trained on.
    """
    y, x = spatial_dims(array)
    if options.classes == "expand":
        raise InputError(
            "classes='expand' needs a colour table, which only files have; pass the path of the "
            "file, or classes='nearest'"
        )
    options = replace(options, value_range=options.value_range or _stored_range(array))
    description = describe(array)
    roles = decide(description, options)
    # An array has no mask: if its alpha band is not chosen, it plays no part.
    description = replace(roles.selection.of(description), dataset_mask=False)
    region = output_region(description.grid, options)
    plan = plan_pixels(description, roles, region, options, None)
    if plan.recipe.masked and np.dtype(description.dtype).kind != "f":
        raise InputError(
            f"parts of the result lie outside {description.path}, and its dtype "
            f"{description.dtype} has no value for them; set one with nodata=V"
        )
    for message in plan.warnings():
        warn_caller(message, CardWarning)
    selected = with_bands(array, roles.selection.bands)
    source = selected if BAND in selected.dims else selected.expand_dims(BAND)
    scene_dims: list[Hashable] = [d for d in source.dims if d not in {BAND, y, x}]
    data = source.transpose(*scene_dims, BAND, y, x).data
    lazy = array.chunks is not None
    if lazy and progress not in (None, False):
        raise InputError(
            "progress= applies to files and to arrays in memory; for a dask array, compute the "
            "result within dask.diagnostics.ProgressBar()"
        )
    logger.debug("upscaling %s: shape %s, lazy: %s", description.path, data.shape, lazy)
    pixels = graph.lazy_result(data, plan) if lazy else _compute(data, plan, progress)
    result = xr.DataArray(pixels, dims=[*scene_dims, BAND, y, x])
    if BAND not in selected.dims:
        result = result.isel({BAND: 0})
    return with_metadata(result.transpose(*selected.dims).data, selected, (y, x), plan)


def _stored_range(array: xr.DataArray) -> tuple[float, float] | None:
    """Return the value range of floats that a file stores as uint8; None for other arrays.

    rioxarray converts such a file to floats if it masks nodata or applies scale and offset.
    """
    encoding = array.encoding
    if array.dtype.kind != "f" or encoding.get("dtype") != "uint8":
        return None
    ends = UINT8_RANGE * encoding.get("scale_factor", 1.0) + encoding.get("add_offset", 0.0)
    return float(ends.min()), float(ends.max())


def _compute(values: Values, plan: PixelPlan, progress: ProgressOption) -> Values:
    """Compute the result of an array in memory, scene by scene.

    Args:
        values: Digital numbers, (..., band, y, x).
        plan: The plan for one scene.
        progress: As for :func:`upscale_array`.

    Returns:
        Digital numbers of the plan's window, (..., band, y, x).

    Raises:
        InputError: The result does not fit into memory.
    """
    description, window = plan.description, plan.window
    scenes = values.shape[:-3]
    shape = (*scenes, len(description.bands), window.height, window.width)
    size = float(np.prod(shape, dtype=np.float64)) * values.dtype.itemsize
    check_memory(
        int(size), "the result", "make the array lazy with array.chunk(), or request a part"
    )
    out = np.empty(shape, dtype=description.dtype)
    total = len(plan.recipe.lattice.cells(window)) * int(np.prod(scenes))
    with shown_progress(progress, "upscale", unit="cell", total=total) as shown:
        finished = counted(shown, total)
        for scene in np.ndindex(scenes):
            _compute_scene(values[scene], plan, out[scene], finished)
    return out


def _compute_scene(
    values: Values, plan: PixelPlan, out: Values, finished: Callable[[], None]
) -> None:
    """Compute the result of one scene into ``out``, (band, y, x) of the plan's window."""
    recipe = plan.recipe
    reader = ArrayReader(values, nodata=recipe.nodata)
    if plan.needs_groups:
        samples = [reader.read(window) for window in sample_windows(plan.description)]
        recipe = replace(recipe, groups=recipe.find_groups(plan.roles, samples))
    compute_window(recipe, reader, plan.window, CellResult(out, None), finished)
