"""A scene's recipe: all that a cell of the result depends on, and the cell's computation.

A pixel's way: read with its surroundings, mapped to network values, holes filled, through the
network, back to digital numbers, rounded. :func:`compute_cell` is that way from end to end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from rs_superres.area import Area
from rs_superres.config import ConsistencyConfig
from rs_superres.consistency import Projection
from rs_superres.grid import Shape, Window, Zoom
from rs_superres.groups import Group
from rs_superres.inference import Inference
from rs_superres.moments import Running
from rs_superres.noise import normal_field
from rs_superres.radiometry import (
    DOUBLE,
    FILL_RADIUS,
    Floats,
    Valid,
    fill_holes,
    limits,
    quantise,
)
from rs_superres.raster import Band
from rs_superres.raster.description import nodata_of
from rs_superres.resample import cubic, linear
from rs_superres.tiles import Lattice, Patch, patch, read_mirrored

Indices = npt.NDArray[np.int64]


FARTHEST = 1e6
"""Network values that the networks are shown at most, of rasters in double precision."""


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
        shape = Shape(*self._values.shape[1:])
        return read_mirrored(self._read, Window(row, column, height, width), shape)

    def _read(self, window: Window) -> tuple[npt.NDArray[np.generic], Valid]:
        """The same of a window within the scene."""
        return self._values[:, *window.slices], self._valid[:, *window.slices]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that a cell's pixels depend on but the source's."""

    zoom: Zoom
    lattice: Lattice
    bands: tuple[Band, ...]
    """Of source and result alike."""
    groups: tuple[Group, ...]
    nearest: tuple[int, ...] = ()
    """Indices of the bands that are carried by nearest neighbour."""
    alpha: tuple[int, ...] = ()
    """Indices of the bands that are interpolated linearly."""
    inference: Inference
    seed: int
    """Names the noise field."""
    masked: bool
    """Whether the result has a mask band."""
    area: Area | None = None
    """The polygons that are wanted; all where None."""
    consistency: ConsistencyConfig | None = None
    """What brings the result back to the source, which it must equal there; None: it need not."""
    samples: int = 1
    """Results that are drawn and averaged."""
    spread: float | None = None
    """Factor on their standard deviation, which is given too; None: it is not."""

    @property
    def dtype(self) -> str:
        """Of source and result."""
        return self.bands[0].dtype

    @property
    def nodata(self) -> float | None:
        """Of the result: one value for all bands."""
        return nodata_of(self.bands)


class Made(NamedTuple):
    """A computed cell."""

    values: npt.NDArray[np.generic]
    """(band, y, x) in the result's dtype."""
    mask: Valid | None
    """(y, x), if the result has one."""
    spread: Floats | None = None
    """(band, y, x): standard deviation of the samples, digital numbers; NaN where not valid."""


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """One cell of the lattice and the source around it."""

    cell: Window
    rows: Patch
    columns: Patch
    values: npt.NDArray[np.generic]
    """(band, y, x): the patch, and beyond it a border that holes are filled from."""
    valid: Valid

    @classmethod
    def of(cls, recipe: Recipe, reader: Reader, cell: Window) -> _Surroundings:
        """Read them."""
        rows, columns = _patches(recipe, cell)
        read = _with_border(rows, columns)
        values, valid = reader.read_reflected(read.row, read.column, read.height, read.width)
        return cls(cell, rows, columns, values, valid)


def source_window(recipe: Recipe, cell: Window) -> Window:
    """What of the source :func:`compute_cell` asks its reader for; it may stand out."""
    return _with_border(*_patches(recipe, cell))


def compute_cell(recipe: Recipe, reader: Reader, cell: Window) -> Made:
    """Compute one cell of the lattice."""
    wanted = _wanted(recipe, cell)
    if not wanted.any():
        return blank_cell(recipe, cell)
    around = _Surroundings.of(recipe, reader, cell)
    under = _under(
        recipe.zoom, cell, around.rows.start - FILL_RADIUS, around.columns.start - FILL_RADIUS
    )
    there = wanted & around.valid[:, under[0], under[1]]
    if not there.any():
        return blank_cell(recipe, cell)
    out, mask, spread = blank_cell(recipe, cell)
    for number, group in enumerate(recipe.groups):
        drawn = _drawn(recipe, around, number)
        for at, i in enumerate(group.bands):
            out[i] = quantise(drawn.mean[at], recipe.dtype, recipe.nodata, recipe.bands[i].bits)
        if spread is not None and recipe.spread is not None:
            spread[list(group.bands)] = drawn.deviation() * recipe.spread
    for i in recipe.alpha:
        out[i] = quantise(_interpolated(recipe, around, i), recipe.dtype, None)
    for i in recipe.nearest:
        out[i] = around.values[i][under]
    out[~there] = _absent(recipe)
    if spread is not None:
        spread[[*recipe.alpha, *recipe.nearest]] = 0.0
        spread[~there] = np.nan
    if mask is not None:
        # What nodata alone marks is marked in its own band: the mask is for what no band has.
        told = [i for i in range(len(out)) if i not in recipe.alpha] or list(recipe.alpha)
        mask = np.asarray(there[told].any(axis=0))
    return Made(out, mask, spread)


def compute_window(
    recipe: Recipe, reader: Reader, window: Window, out: npt.NDArray[np.generic]
) -> None:
    """Compute a window of the output into an array, (band, y, x), cell by cell."""
    for cell in recipe.lattice.cells(window):
        shared = cell.intersection(window)
        if shared is not None:
            made = compute_cell(recipe, reader, cell).values
            out[:, *shared.relative_to(window).slices] = made[:, *shared.relative_to(cell).slices]


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
    under = _under(recipe.zoom, cell, top, left)
    return bool((wanted & valid[:, under[0], under[1]]).any())


def is_blank(recipe: Recipe, values: npt.NDArray[np.generic], mask: Valid | None) -> bool:
    """Whether a finished cell, as :func:`compute_cell` gave it, holds nothing valid."""
    if mask is not None:
        return not mask.any()
    absent = _absent(recipe)
    if np.isnan(absent):
        return values.dtype.kind == "f" and bool(np.isnan(values).all())
    return recipe.nodata is not None and bool((values == absent).all())


def blank_cell(recipe: Recipe, cell: Window) -> Made:
    """A cell in which nothing is valid, as :func:`compute_cell` gives it."""
    shape = len(recipe.bands), cell.height, cell.width
    return Made(
        np.full(shape, _absent(recipe), dtype=recipe.dtype),
        np.zeros(shape[1:], dtype=np.bool_) if recipe.masked else None,
        None if recipe.spread is None else np.full(shape, np.nan, dtype=np.float32),
    )


def _absent(recipe: Recipe) -> float:
    """What stands in an invalid pixel."""
    if recipe.nodata is not None:
        return recipe.nodata
    return float("nan") if np.dtype(recipe.dtype).kind == "f" else 0


def _drawn(recipe: Recipe, around: _Surroundings, number: int) -> Running:
    """All samples of one group: (band, y, x) of the cell, digital numbers."""
    sound = recipe.inference.sound
    width = 2 * recipe.groups[number].value_range.half
    source, samples = _samples(recipe, around, number)
    inner = np.s_[:, sound : sound + around.cell.height, sound : sound + around.cell.width]
    drawn = Running()
    project = _projection(recipe, around)
    ends = [limits(recipe.dtype, recipe.bands[i].bits) for i in recipe.groups[number].bands]
    least, most = np.array(ends, dtype=np.float64).T[..., None, None]
    for sample in samples:
        # Clipped before the correction too: what is clipped after it is lost to it.
        made = sample if project is None else project(sample.clip(least, most), source, width)
        drawn.add(made[inner])
    return drawn


def _projection(recipe: Recipe, around: _Surroundings) -> Projection | None:
    """What brings a cell and what is sound around it to the source; None where nothing shall."""
    if recipe.consistency is None:
        return None
    sound, cell, zoom = recipe.inference.sound, around.cell, recipe.zoom
    return Projection(
        recipe.consistency,
        (zoom.rows, zoom.columns),
        (
            range(cell.row - sound, cell.row + cell.height + sound),
            range(cell.column - sound, cell.column + cell.width + sound),
        ),
        (
            range(around.rows.start, around.rows.start + around.rows.count),
            range(around.columns.start, around.columns.start + around.columns.count),
        ),
    )


def _samples(
    recipe: Recipe, around: _Surroundings, number: int
) -> tuple[npt.NDArray[np.float64], Iterator[npt.NDArray[np.float64]]]:
    """The source of one group, holes filled, and the network's samples of it.

    Returns:
        (band, y, x) of the patch; and of the cell and what is sound around it, a sample at a time.
    """
    group, cell, inference, r = (
        recipe.groups[number],
        around.cell,
        recipe.inference,
        FILL_RADIUS,
    )
    index, found, margin = list(group.bands), group.value_range, inference.margin
    exact = None
    if recipe.dtype in DOUBLE:
        exact = fill_holes(
            around.values[index].astype(np.float64) - found.centre, around.valid[index]
        )
        # Beyond these the base alone carries a value: single precision would make it infinite.
        filled = (exact / found.half).clip(-FARTHEST, FARTHEST).astype(np.float32)
    else:
        filled = fill_holes(found.to_network(around.values[index]), around.valid[index])
    inside = np.s_[:, r:-r, r:-r]
    image = np.broadcast_to(filled, (3, *filled.shape[1:]))[inside]
    noises = [
        partial(
            normal_field,
            (recipe.seed, sample, 0, number),  # step 0
            row=cell.row - margin,
            column=cell.column - margin,
            shape=(3, cell.height + 2 * margin, cell.width + 2 * margin),
        )
        for sample in range(recipe.samples)
    ]
    dropped = margin - inference.sound
    kept = np.s_[:, dropped:-dropped, dropped:-dropped] if dropped else np.s_[:]
    if exact is None:
        results = inference(image, around.rows, around.columns, noises)
        return (
            found.from_network(filled[inside]),
            (_merged(group, found.from_network(drawn[kept])) for drawn in results),
        )
    # The networks compute in single precision: they supply what the base lacks, no more.
    rows, columns = (_bordered(p, dropped) for p in (around.rows, around.columns))
    base = found.centre + cubic(exact, rows, columns)
    residuals = inference.residual(image, around.rows, around.columns, noises)
    return (
        found.centre + exact[inside],
        (base + found.half * _merged(group, one[kept].astype(np.float64)) for one in residuals),
    )


def _patches(recipe: Recipe, cell: Window) -> tuple[Patch, Patch]:
    """What a cell and its margin ask of the source: rows, and columns."""
    zoom, inference = recipe.zoom, recipe.inference
    rows = patch(zoom.rows, cell.row, cell.height, margin=inference.margin, halo=inference.halo)
    columns = patch(
        zoom.columns, cell.column, cell.width, margin=inference.margin, halo=inference.halo
    )
    return rows, columns


def _with_border(rows: Patch, columns: Patch) -> Window:
    """What patches cover, and the border around it that holes are filled from."""
    r = FILL_RADIUS
    return Window(rows.start - r, columns.start - r, rows.count + 2 * r, columns.count + 2 * r)


def _merged(group: Group, drawn: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What the network made of a group, (3, y, x): of a single band's three results the mean."""
    return drawn if len(group.bands) == 3 else drawn.mean(axis=0, keepdims=True)


def _bordered(along: Patch, dropped: int) -> Patch:
    """A patch with the border that holes are filled from, its outermost positions dropped."""
    inner = along.positions[dropped : len(along.positions) - dropped]
    return Patch(along.start - FILL_RADIUS, along.count + 2 * FILL_RADIUS, inner)


def _interpolated(recipe: Recipe, around: _Surroundings, i: int) -> npt.NDArray[np.float64]:
    """One band of a cell, interpolated linearly: (y, x)."""
    r, margin, cell = FILL_RADIUS, recipe.inference.margin, around.cell
    whole = linear(around.values[[i], r:-r, r:-r], around.rows, around.columns)
    band: npt.NDArray[np.float64] = whole[
        0, margin : margin + cell.height, margin : margin + cell.width
    ]
    return band


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


def _under(zoom: Zoom, cell: Window, top: int, left: int) -> tuple[Indices, Indices]:
    """The source pixel under each output pixel's centre, as indices of what begins there."""
    rows = zoom.rows.under(cell.row, cell.height) - top
    columns = zoom.columns.under(cell.column, cell.width) - left
    return rows[:, None], columns[None]
