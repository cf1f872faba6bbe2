"""The open rasters of a page, and the bands that it shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from rs_superres.errors import InputError
from rs_superres.grid import Zoom
from rs_superres.raster import (
    COLOURS,
    Band,
    Description,
    Paths,
    Source,
    bands_with_role,
    numbers_of,
    open_source,
    same_crs,
)
from rs_superres.scene.colours import find_colours, sensor_of
from rs_superres.verify.audit import matching_bands
from rs_superres.verify.placement import map_grids

MOST_BANDS = 16
"""Bands that a page shows, at most; the others are left out, and a note says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewedPair:
    """A source, its result, and perhaps its uncertainty, all open.

    Band i of source and result is the band that is shown under the number ``numbers[i]``. An alpha
    band may follow, which is not shown.
    """

    source: Source
    result: Source
    uncertainty: Source | None
    zoom: Zoom
    """The mapping between the two grids."""
    numbers: tuple[int, ...]
    """The result's numbers of the bands that are shown, from 1."""
    rgb: tuple[int, ...]
    """Indices in ``numbers`` of red, green and blue; empty if no bands are known to be these."""
    left_out: int
    """How many bands the page leaves out."""

    @property
    def bands(self) -> tuple[Band, ...]:
        """The result's bands that are shown."""
        return self.result.description.bands[: len(self.numbers)]


@contextmanager
def opened(
    out: str,
    source: Paths,
    *,
    uncertainty: str | None = None,
    bidx: tuple[int | str, ...] = (),
    rgb: tuple[int, ...] = (),
) -> Iterator[ViewedPair]:
    """Open a result, its source and its uncertainty while the block runs.

    Args:
        out: path of the result.
        source: path of the source, or the paths of several sources that were stacked.
        uncertainty: path of a raster on the result's grid.
        bidx: the source's bands that the result holds; see :func:`rs_superres.verify.verify`.
        rgb: numbers of the result's bands that are red, green and blue, from 1; empty to find them.

    Raises:
        InputError: the rasters do not belong together, or a band does not exist.
        RasterError: a raster cannot be opened.
    """
    with ExitStack() as files:
        result = files.enter_context(open_source(out))
        matched = matching_bands(files.enter_context(open_source(source)), result, bidx)
        before, after = matched.description, result.description
        zoom, fault = map_grids(before, after)
        if zoom is not None and not same_crs(before.grid, after.grid) and not _covers(zoom):
            zoom, fault = None, "its CRS is another one, and its corners are others"
        if zoom is None:
            raise InputError(
                f"{out} does not lie on {before.path}: {fault}; give the source that it was made "
                "from, or run rs-sr verify for the details"
            )
        error = None
        if uncertainty is not None:
            error = files.enter_context(open_source(uncertainty))
            _check_uncertainty(error.description, after)
        numbers_of(after.bands, rgb, "rgb=", out)
        both = after.bands[: len(before.bands)]
        plain = [
            i for i, (a, b) in enumerate(zip(before.bands, both, strict=False)) if _shown(a, b)
        ]
        if not plain:
            raise InputError(f"{out} and {before.path} share no band that can be shown")
        colours = tuple(number - 1 for number in rgb) or _colours(before, after)
        lost = [i + 1 for i in colours if i not in plain]
        if lost:
            raise InputError(f"rgb= names band {lost[0]}, which is alpha or not in {before.path}")
        chosen = sorted({*colours, *[i for i in plain if i not in colours][: _room(colours)]})
        yield ViewedPair(
            source=_with_alpha(matched, chosen),
            result=_with_alpha(result, chosen),
            uncertainty=error if error is None else _uncertainty_of(error, chosen),
            zoom=zoom,
            numbers=tuple(i + 1 for i in chosen),
            rgb=tuple(chosen.index(i) for i in colours),
            left_out=len(plain) - len(chosen),
        )


def _covers(zoom: Zoom) -> bool:
    """Return whether the corners of source and result agree, to a pixel of the source."""
    return all(
        abs(axis.edge(0.0)) <= 1 / axis.step
        and abs(axis.edge(float(axis.source)) - axis.size) <= 1 / axis.step
        for axis in (zoom.rows, zoom.columns)
    )


def _shown(before: Band, after: Band) -> bool:
    """Return whether a band of source and result has values to look at."""
    return not (before.is_alpha or after.is_alpha)


def _colours(before: Description, after: Description) -> tuple[int, ...]:
    """Return the indices of red, green and blue: those of the run, or what the bands say."""
    joint = bands_with_role(after.tags, "joint")
    count = min(len(before.bands), len(after.bands))
    if len(joint) == len(COLOURS) and max(joint) < count:
        return joint
    bands = before.bands[:count]
    sensor = before.sensor or sensor_of(bands)
    classes = [i for i, band in enumerate(bands) if band.nearest]
    return find_colours(bands, nearest=classes, sensor=sensor).triplet


def _room(colours: Sequence[int]) -> int:
    """Return how many bands a page can show besides the colours."""
    return MOST_BANDS - len(colours)


def _with_alpha(source: Source, bands: Sequence[int]) -> Source:
    """Return a source of the bands that are shown, followed by their alpha band."""
    described = source.description.bands
    alpha = {described[i].alpha for i in bands} - {None}
    return source.narrowed([*bands, *(i for i in alpha if i is not None)])


def _check_uncertainty(error: Description, result: Description) -> None:
    """Refuse an uncertainty that is not that of the result.

    Raises:
        InputError: it has another size or other bands.
    """
    one, other = error.grid.shape, result.grid.shape
    if one != other:
        raise InputError(
            f"the uncertainty {error.path} has {one.width} x {one.height} pixels, expected "
            f"{other.width} x {other.height}, those of {result.path}"
        )
    if len(error.bands) not in (1, len(result.bands)):
        raise InputError(
            f"the uncertainty {error.path} has {len(error.bands)} bands, expected 1, or "
            f"{len(result.bands)} as {result.path}"
        )


def _uncertainty_of(error: Source, bands: Sequence[int]) -> Source:
    """Return the uncertainty of the bands that are shown, or its only band."""
    return error if len(error.description.bands) == 1 else error.narrowed(bands)
