"""A scene's recipe: all that a cell of the result depends on, and the cell's computation.

A pixel's way: read with its surroundings, mapped to network values, holes filled, through the
network, back to digital numbers, rounded. :func:`compute_cell` is that way from end to end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rs_superres.area import Area
from rs_superres.errors import InputError
from rs_superres.grid import Window, Zoom
from rs_superres.inference import Inference
from rs_superres.noise import normal_field
from rs_superres.radiometry import FILL_RADIUS, Valid, ValueRange, fill_holes, quantise
from rs_superres.raster import Band
from rs_superres.tiles import Lattice, Patch, patch, reflected


class Reader(Protocol):
    """Where source pixels come from."""

    def read_reflected(
        self, row: int, column: int, height: int, width: int
    ) -> tuple[npt.NDArray[np.generic], Valid]:
        """Digital numbers and validity of any window, mirrored beyond the border."""
        ...


class ArrayReader:
    """Source pixels from an array in memory."""

    def __init__(self, values: npt.NDArray[np.generic], valid: Valid | None = None) -> None:
        self._values = values
        self._valid = np.ones(values.shape, dtype=np.bool_) if valid is None else valid

    def read_reflected(
        self, row: int, column: int, height: int, width: int
    ) -> tuple[npt.NDArray[np.generic], Valid]:
        """(band, y, x) each; see :class:`Reader`."""
        rows = reflected(row, height, self._values.shape[1])
        columns = reflected(column, width, self._values.shape[2])
        take = np.ix_(np.arange(len(self._values)), rows, columns)
        return self._values[take], self._valid[take]


@dataclass(frozen=True, slots=True)
class Group:
    """Bands that go through the network together: an RGB triplet, or one band as grey."""

    bands: tuple[int, ...]
    """Indices from 0: three, or one."""
    value_range: ValueRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that a cell's pixels depend on but the source's."""

    zoom: Zoom
    lattice: Lattice
    bands: tuple[Band, ...]
    """Of source and result alike."""
    groups: tuple[Group, ...]
    inference: Inference
    seed: int
    """Names the noise field."""
    masked: bool
    """Whether the result has a mask band."""
    area: Area | None = None
    """The polygons that are wanted; all where None."""

    @property
    def dtype(self) -> str:
        """Of source and result."""
        return self.bands[0].dtype

    @property
    def nodata(self) -> float | None:
        """Of source and result."""
        return self.bands[0].nodata


def band_groups(
    bands: Sequence[Band],
    samples: Sequence[tuple[npt.NDArray[np.generic], Valid]],
    given: tuple[float, float] | None,
) -> Iterator[Group]:
    """Red, green and blue as one group, every other band but alpha as its own."""
    for members in _members(bands):
        if given is not None:
            low, high = given
            if not low < high:
                raise InputError(f"value range {low:g},{high:g}, expected the lower one first")
            yield Group(members, ValueRange(low, high))
        elif bands[0].dtype == "uint8":
            yield Group(members, ValueRange(0.0, 255.0))
        else:
            index = list(members)
            valid = [values[index][mask[index]] for values, mask in samples]
            yield Group(members, ValueRange.of_samples(np.concatenate(valid)))


def _members(bands: Sequence[Band]) -> Iterator[tuple[int, ...]]:
    """Indices of the bands of each group, by their colour interpretation."""
    colours = [b.interpretation for b in bands]
    triplet: tuple[int, ...] = ()
    if all(colours.count(c) == 1 for c in ("red", "green", "blue")):
        triplet = tuple(colours.index(c) for c in ("red", "green", "blue"))
        yield triplet
    for i, band in enumerate(bands):
        if i not in triplet and not band.is_alpha:
            yield (i,)


def compute_cell(
    recipe: Recipe, reader: Reader, cell: Window
) -> tuple[npt.NDArray[np.generic], Valid | None]:
    """Compute one cell of the lattice.

    Returns:
        (band, y, x) in the result's dtype, and the mask (y, x) if the result has one.
    """
    inference, zoom = recipe.inference, recipe.zoom
    rows, columns = (
        patch(axis, start, count, margin=inference.margin, halo=inference.halo)
        for axis, start, count in (
            (zoom.rows, cell.row, cell.height),
            (zoom.columns, cell.column, cell.width),
        )
    )
    wanted = _wanted(recipe, cell)
    if not wanted.any():
        return blank_cell(recipe, cell)
    r = FILL_RADIUS
    values, valid = reader.read_reflected(
        rows.start - r, columns.start - r, rows.count + 2 * r, columns.count + 2 * r
    )
    there = wanted & _under(zoom, cell, rows.start, columns.start, valid[:, r:-r, r:-r])
    if not there.any():
        return blank_cell(recipe, cell)
    drawn = _network_groups(recipe, cell, rows, columns, values, valid)
    bands = recipe.bands
    out = np.empty((len(bands), cell.height, cell.width), dtype=recipe.dtype)
    for group, network_values in zip(recipe.groups, drawn, strict=True):
        numbers = group.value_range.from_network(network_values)
        if len(group.bands) == 1:
            numbers = numbers.mean(axis=0, keepdims=True)
        out[list(group.bands)] = quantise(numbers, recipe.dtype, recipe.nodata)
    inner = (
        slice(inference.margin, inference.margin + cell.height),
        slice(inference.margin, inference.margin + cell.width),
    )
    for i, band in enumerate(bands):
        if band.is_alpha:
            alpha = _linear(values[i, r:-r, r:-r], rows, columns)[inner]
            out[i] = quantise(alpha, recipe.dtype, None)
    out[~there] = _absent(recipe)
    return out, np.asarray(there.all(axis=0)) if recipe.masked else None


def holds_valid(recipe: Recipe, reader: Reader, cell: Window) -> bool:
    """Whether a cell has a valid pixel: only such cells are computed, others cost a reading."""
    wanted = _wanted(recipe, cell)
    if not wanted.any():
        return False
    rows = recipe.zoom.rows.under(cell.row, cell.height)
    columns = recipe.zoom.columns.under(cell.column, cell.width)
    top, left = int(rows[0]), int(columns[0])
    _, valid = reader.read_reflected(
        top, left, int(rows[-1]) - top + 1, int(columns[-1]) - left + 1
    )
    return bool((wanted & _under(recipe.zoom, cell, top, left, valid)).any())


def is_blank(recipe: Recipe, values: npt.NDArray[np.generic], mask: Valid | None) -> bool:
    """Whether a finished cell, as :func:`compute_cell` gave it, holds nothing valid."""
    if mask is not None:
        return not mask.any()
    absent = _absent(recipe)
    if np.isnan(absent):
        return values.dtype.kind == "f" and bool(np.isnan(values).all())
    return recipe.nodata is not None and bool((values == absent).all())


def blank_cell(recipe: Recipe, cell: Window) -> tuple[npt.NDArray[np.generic], Valid | None]:
    """A cell in which nothing is valid, as :func:`compute_cell` gives it."""
    shape = cell.height, cell.width
    out = np.full((len(recipe.bands), *shape), _absent(recipe), dtype=recipe.dtype)
    return out, np.zeros(shape, dtype=np.bool_) if recipe.masked else None


def _absent(recipe: Recipe) -> float:
    """What stands in an invalid pixel."""
    if recipe.nodata is not None:
        return recipe.nodata
    return float("nan") if np.dtype(recipe.dtype).kind == "f" else 0


def _network_groups(
    recipe: Recipe,
    cell: Window,
    rows: Patch,
    columns: Patch,
    values: npt.NDArray[np.generic],
    valid: Valid,
) -> npt.NDArray[np.float32]:
    """Run the network over each group: (group, 3, y, x) of the cell, network values."""
    r, margin = FILL_RADIUS, recipe.inference.margin
    shape = 3, cell.height + 2 * margin, cell.width + 2 * margin
    outputs = []
    for number, group in enumerate(recipe.groups):
        index = list(group.bands)
        filled = fill_holes(group.value_range.to_network(values[index]), valid[index])
        image = np.broadcast_to(filled, (3, *filled.shape[1:]))[:, r:-r, r:-r]
        noise = partial(
            normal_field,
            (recipe.seed, 0, 0, number),  # sample 0, step 0
            row=cell.row - margin,
            column=cell.column - margin,
            shape=shape,
        )
        outputs.append(recipe.inference(image, rows, columns, noise))
    whole = np.stack(outputs)
    return whole[:, :, margin : margin + cell.height, margin : margin + cell.width]


def _wanted(recipe: Recipe, cell: Window) -> Valid:
    """Whether each pixel's centre is in the output, the source and the area: (y, x)."""
    zoom = recipe.zoom
    under_rows = zoom.rows.under(cell.row, cell.height)
    under_columns = zoom.columns.under(cell.column, cell.width)
    inside: Valid = np.logical_and.outer(
        (under_rows >= 0) & (under_rows < zoom.rows.source),
        (under_columns >= 0) & (under_columns < zoom.columns.source),
    )
    # A lattice cell may stand out of the output; what lies there is the mirror image.
    inside &= np.logical_and.outer(
        np.arange(cell.row, cell.row + cell.height) < zoom.rows.size,
        np.arange(cell.column, cell.column + cell.width) < zoom.columns.size,
    )
    return inside if recipe.area is None else inside & recipe.area.inside(cell)


def _under(zoom: Zoom, cell: Window, top: int, left: int, valid: Valid) -> Valid:
    """The validity under each output pixel's centre, of source pixels read from (top, left)."""
    rows = zoom.rows.under(cell.row, cell.height) - top
    columns = zoom.columns.under(cell.column, cell.width) - left
    under: Valid = valid[:, rows][:, :, columns]
    return under


def _linear(
    values: npt.NDArray[np.generic], rows: Patch, columns: Patch
) -> npt.NDArray[np.float64]:
    """Bilinear interpolation of one band of a patch at its positions."""
    out = values.astype(np.float64)
    for axis, along in ((0, rows), (1, columns)):
        place = along.positions - along.start
        first = np.floor(place).astype(np.int64)
        t = np.expand_dims(place - first, 1 - axis)
        out = out.take(first, axis) * (1 - t) + out.take(first + 1, axis) * t
    return out
