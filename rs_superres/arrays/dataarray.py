"""Arrays in, arrays out: at once for NumPy's, lazily for dask's; the cells are those of files."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import numpy as np
import xarray as xr

from rs_superres.arrays import graph
from rs_superres.arrays.conventions import BAND, describe, result, spatial_dims, with_bands
from rs_superres.engine.pixels import PixelPlan, plan_pixels, warn
from rs_superres.engine.region import output_region
from rs_superres.errors import InputError
from rs_superres.options import PixelOptions
from rs_superres.raster import sample_windows
from rs_superres.scene.bands import band_groups, decide, needs_samples
from rs_superres.scene.cell import compute_window
from rs_superres.scene.reader import ArrayReader
from rs_superres.system.memory import check_memory
from rs_superres.types import Values

EIGHT_BITS = np.array((0.0, 255.0))
"""The value range of uint8."""


def upscale_array(array: xr.DataArray, options: PixelOptions) -> xr.DataArray:
    """Super-resolve an array; each member of a dimension beside band, y and x is a scene.

    Returns:
        The dimensions of ``array`` in their order; computed if ``array`` is NumPy's, lazy if it is
        dask's.

    Raises:
        InputError: an option or an array that cannot be used.
        ModelError: the model cannot be used.
    """
    y, x = spatial_dims(array)
    if options.classes == "expand":
        raise InputError("classes 'expand' goes with files, where the colour table is")
    options = replace(options, value_range=options.value_range or _stored_range(array))
    whole = describe(array)
    roles = decide(whole, options)
    description = roles.selection.of(whole)
    samples = None if needs_samples(description.bands, options.value_range) else ()
    region = output_region(description.grid, options)
    design = plan_pixels(description, roles, region, options, samples)
    if design.recipe.masked and np.dtype(description.dtype).kind != "f":
        raise InputError(
            f"parts of the result lie outside {description.path}, and its dtype "
            f"{description.dtype} has no value for them; say nodata=V, a value that stands for them"
        )
    warn(design.warnings())
    chosen = with_bands(array, roles.selection.bands)
    source = chosen if BAND in chosen.dims else chosen.expand_dims(BAND)
    order: list[Hashable] = [d for d in source.dims if d not in {BAND, y, x}]
    data = source.transpose(*order, BAND, y, x).data
    out = graph.lazily(data, design) if _is_lazy(array) else _at_once(data, design)
    made = xr.DataArray(out, dims=[*order, BAND, y, x])
    if BAND not in chosen.dims:
        made = made.isel({BAND: 0})
    return result(made.transpose(*chosen.dims).data, chosen, (y, x), design)


def _is_lazy(array: xr.DataArray) -> bool:
    """Whether an array is dask's."""
    return array.chunks is not None


def _stored_range(array: xr.DataArray) -> tuple[float, float] | None:
    """The value range of floats that are stored as uint8, as rioxarray reads what is masked."""
    stored = array.encoding
    if array.dtype.kind != "f" or stored.get("dtype") != "uint8":
        return None
    ends = EIGHT_BITS * stored.get("scale_factor", 1.0) + stored.get("add_offset", 0.0)
    return float(ends.min()), float(ends.max())


def _at_once(values: Values, design: PixelPlan) -> Values:
    """The result of (..., band, y, x) in memory, scene by scene and cell by cell."""
    description, window = design.description, design.window
    scenes = values.shape[:-3]
    shape = (*scenes, len(description.bands), window.height, window.width)
    size = float(np.prod(shape, dtype=np.float64)) * values.dtype.itemsize
    check_memory(
        int(size), "the result", "make the array lazy, as in array.chunk(), or ask for a part"
    )
    out = np.empty(shape, dtype=description.dtype)
    for scene in np.ndindex(scenes):
        _fill(out[scene], values[scene], design)
    return out


def _fill(out: Values, values: Values, design: PixelPlan) -> None:
    """Compute one scene into its place, (band, y, x)."""
    recipe = design.recipe
    whole = ArrayReader(values, nodata=recipe.nodata)
    if not recipe.groups:
        samples = [whole.read(part) for part in sample_windows(design.description)]
        groups = band_groups(design.roles, recipe.bands, samples, None)
        recipe = replace(recipe, groups=tuple(groups))
    out[:] = compute_window(recipe, whole, design.window).values
