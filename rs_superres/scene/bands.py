"""Which bands of a source a result has, how each is computed, and which are computed together.

The roles are decided once for a scene, by the caller's options, and by what the bands say of
themselves: colour interpretation, names and wavelengths. The number of bands never decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rs_superres.errors import InputError
from rs_superres.image.radiometry import ValueRange
from rs_superres.options import PixelOptions
from rs_superres.raster import Band, Description, Selection, Source, numbers_of, visible
from rs_superres.scene.colours import Colours, find_colours, sensor_of
from rs_superres.types import Floats, Valid, Values

MOST_BANDS = 4096
"""Largest number of bands of a result, ten times that of a hyperspectral image.

The limit is needed because a file of a few bytes can claim to have 65,535 bands.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandRoles:
    """What each band of a result is used for; bands are given by their index in it, from 0."""

    selection: Selection
    """The bands of the source that the result has."""
    triplet: tuple[int, ...] = ()
    """Red, green and blue, which go through the network together; empty if there are none."""
    single: tuple[int, ...] = ()
    """Bands that go through the network alone, as grey."""
    nearest: tuple[int, ...] = ()
    """Bands that are resampled by nearest neighbour."""
    alpha: tuple[int, ...] = ()
    """Bands that are interpolated linearly."""
    described: str = ""
    """How names or wavelengths say which bands are the triplet; empty if they did not decide."""

    def __str__(self) -> str:
        """Describe the roles in words; bands are numbered from 1, in the result's order."""
        words = [f"{name} {','.join(map(str, m))}" for name, m in self.facts().items() if m]
        return "; ".join(words)

    def facts(self) -> dict[str, list[int]]:
        """Return the bands of each role, numbered from 1 in the result's order."""
        roles = {
            "joint": self.triplet,
            "alone": self.single,
            "nearest": self.nearest,
            "alpha": self.alpha,
        }
        return {name: [i + 1 for i in members] for name, members in roles.items()}


@dataclass(frozen=True, slots=True)
class BandGroup:
    """Bands that go through the network together: an RGB triplet, or one band as grey."""

    bands: tuple[int, ...]
    """Indices of the bands in the result, from 0: three, or one."""
    value_range: ValueRange
    """The digital numbers that map to the network's -1 and 1."""
    mtf: float | None = None
    """Modulation transfer from result to source at Nyquist; None if unknown."""
    noise: float | None = None
    """Standard deviation of the source's noise, digital numbers; None if unknown."""
    estimated: tuple[bool, bool] = (False, False)
    """Whether ``mtf``, and whether ``noise``, were estimated."""


def as_triplet(image: Floats) -> Floats:
    """Return an image of one band or three as the networks take it, (3, y, x): grey is repeated."""
    return np.broadcast_to(image, (3, *image.shape[1:]))


def decide(source: Description, options: PixelOptions) -> BandRoles:
    """Decide the roles of a result's bands.

    Args:
        source: describes the source and all its bands.
        options: the caller's options; bands are numbered as in the source, from 1.

    Raises:
        InputError: an option lists a band that does not exist, or lists a band twice; or a band
            cannot be super-resolved and no option says what to do with it.
    """
    colour_bands = () if options.rgb == "none" else options.rgb
    rgb = numbers_of(source.bands, colour_bands, "rgb=", source.path)
    nearest_bands = numbers_of(source.bands, options.nearest, "nearest=", source.path)
    _check_together(source, options.bidx)
    if source.product is not None and options.nodata is not None:
        raise InputError(
            f"nodata={options.nodata:g}, but the metadata of {source.path} say what is nodata in "
            "each of its bands; leave it out, or name the files of bands"
        )
    order = numbers_of(source.bands, options.bidx, "bidx=", source.path) or source.default_bands
    if len(order) > MOST_BANDS:
        raise InputError(
            f"{source.path}: {len(order)} bands, expected at most {MOST_BANDS} at once; choose "
            "fewer with bidx="
        )
    selection = Selection(bands=order, nodata=options.nodata, expand=options.classes == "expand")
    if selection.expand:
        _check_expansion(source, options, order)
        bands = selection.of(source).bands
        return BandRoles(selection=selection, triplet=(0, 1, 2), alpha=tuple(range(3, len(bands))))
    if source.band_masks and options.nodata is None and all(b.nodata is None for b in source.bands):
        raise InputError(
            f"{source.path} has a mask for each band, which a GeoTIFF cannot hold; choose a value "
            "for masked pixels with nodata=V"
        )
    nearest = _positions("nearest=", nearest_bands, order)
    known = {i for i, number in enumerate(order) if source.bands[number - 1].nearest}
    nearest = tuple(sorted({*nearest, *known}))
    if options.classes == "nearest":
        kept = [i for i, number in enumerate(order) if _is_class(source.bands[number - 1])]
        nearest = tuple(sorted({*nearest, *kept}))
    for i, number in enumerate(order):
        if i not in nearest:
            _check_continuous(source.bands[number - 1], number, source.path)
    triplet = _positions("rgb=", rgb, order)
    chosen = [source.bands[number - 1] for number in order]
    _check_triplet(chosen, triplet, nearest)
    colours = Colours(triplet)
    if not options.rgb:
        # Of all bands, since those that are left out help to tell the sensor.
        sensor = sensor_of(source.bands, options.sensor_of(source.sensor))
        colours = find_colours(chosen, nearest=nearest, sensor=sensor)
        colours = Colours() if _differ_in_size(chosen, colours.triplet) else colours
    return roles_of(chosen, selection, colours=colours, nearest=nearest)


def roles_of(
    bands: Sequence[Band],
    selection: Selection | None = None,
    *,
    colours: Colours | None = None,
    nearest: tuple[int, ...] = (),
) -> BandRoles:
    """Return the roles of bands.

    Args:
        bands: the bands of the result.
        selection: the bands of the source that they are; all bands of a source if None.
        colours: red, green and blue; None to find them by what the bands say of themselves.
        nearest: indices of the bands that are resampled by nearest neighbour.
    """
    if colours is None:
        colours = find_colours(bands, nearest=nearest, sensor=sensor_of(bands))
    alpha = tuple(i for i, b in enumerate(bands) if b.is_alpha and i not in nearest)
    apart = {*colours.triplet, *nearest, *alpha}
    return BandRoles(
        selection=selection or Selection(bands=tuple(range(1, len(bands) + 1))),
        triplet=colours.triplet,
        described=colours.described,
        single=tuple(i for i in range(len(bands)) if i not in apart),
        nearest=nearest,
        alpha=alpha,
    )


def loses_colours(bands: Sequence[Band], roles: BandRoles) -> bool:
    """Whether bands are marked as red, green and blue, but so many that none counts as a colour.

    Args:
        bands: the bands of the result.
        roles: their roles.
    """
    marked = {bands[i].interpretation for i in roles.single}
    return not roles.triplet and {"red", "green", "blue"} <= marked


def _check_together(source: Description, chosen: Sequence[int | str]) -> None:
    """Refuse bands of a product that lie on another grid than the others."""
    apart = {} if source.product is None else source.product.apart
    for name in chosen:
        if name in apart:
            raise InputError(
                f"bidx= names band {name} of {source.path}, whose pixels do not divide into those "
                f"of the other bands; upscale it by itself: {apart[str(name)]}"
            )


def _check_triplet(bands: Sequence[Band], triplet: Sequence[int], nearest: Sequence[int]) -> None:
    """Refuse to sharpen bands together that cannot be, or whose pixels differ in size."""
    if any(i in nearest or bands[i].is_alpha for i in triplet):
        raise InputError(
            "rgb= lists a band that is alpha or resampled by nearest neighbour, expected others"
        )
    if _differ_in_size(bands, triplet):
        raise InputError("rgb= lists bands whose pixels differ in size, expected those of one size")


def _differ_in_size(bands: Sequence[Band], members: Sequence[int]) -> bool:
    """Whether the pixels of some bands differ in size."""
    return len({bands[i].factor for i in members}) > 1


def _is_class(band: Band) -> bool:
    """Whether a band's values are classes, which must not be interpolated."""
    return band.is_palette or band.bits == 1


def _positions(option: str, numbers: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    """Find the indices in the result of bands that an option lists by their source number."""
    for number in numbers:
        if number not in order:
            raise InputError(
                f"{option} lists band {number}, which bidx= does not; number bands as in the source"
            )
    return tuple(order.index(number) for number in numbers)


def _check_expansion(source: Description, options: PixelOptions, order: Sequence[int]) -> None:
    """Refuse to expand anything but one band with a colour table."""
    if options.rgb or options.nearest:
        raise InputError("classes=expand replaces the bands; leave out rgb= and nearest=")
    if len(order) != 1 or not source.bands[order[0] - 1].is_palette:
        raise InputError(
            f"classes=expand needs one band with a colour table, {source.path} has "
            f"{len(order)} bands; choose one with bidx=, or use classes=nearest"
        )


def _check_continuous(band: Band, number: int, path: str) -> None:
    """Refuse a band that cannot be super-resolved, and say which option accepts it."""
    # Before the colour table, because GDAL gives 1-bit bands one of black and white.
    if band.bits == 1:
        raise InputError(
            f"band {number} of {path} holds 1-bit values: a mask, which cannot be super-resolved; "
            "classes=nearest resamples it by nearest neighbour"
        )
    if band.is_palette:
        raise InputError(
            f"band {number} of {path} has a colour table: its values are classes, which cannot be "
            "super-resolved; classes=expand turns them into colours, classes=nearest resamples "
            "them by nearest neighbour"
        )


def needs_samples(bands: Sequence[Band], given: tuple[float, float] | None) -> bool:
    """Whether value ranges depend on the source's pixels, so that some must be read.

    Args:
        bands: the bands of the result.
        given: the range that the caller gives; None if there is none.
    """
    return given is None and bands[0].dtype != "uint8"


def band_groups(
    roles: BandRoles,
    bands: Sequence[Band],
    samples: Sequence[tuple[Values, Valid]],
    given: tuple[float, float] | None,
) -> Iterator[BandGroup]:
    """Find the groups of bands that go through the network, each with its value range.

    Args:
        roles: the roles of the bands.
        bands: the bands of the result.
        samples: digital numbers and validity, (band, y, x) each, of windows of the source; needed
            only if :func:`needs_samples`.
        given: the range that the caller gives for all groups, low and high digital number; None
            to find one for each group.

    Yields:
        The RGB triplet, if there is one, then each single band.

    Raises:
        InputError: the low end of the given range is not below its high end.
    """
    if given is not None and not given[0] < given[1]:
        low, high = given
        raise InputError(f"value_range={low:g},{high:g}, expected the lower one first")
    samples = [(values, visible(bands, values, valid)) for values, valid in samples]
    for members in [*([roles.triplet] if roles.triplet else []), *((i,) for i in roles.single)]:
        if given is not None:
            yield BandGroup(members, ValueRange(*given))
        elif not needs_samples(bands, given):
            most = max(2.0 ** (bands[i].bits or 8) - 1 for i in members)
            yield BandGroup(members, ValueRange(0.0, most))
        else:
            index = list(members)
            valid = [values[index][mask[index]] for values, mask in samples]
            yield BandGroup(members, ValueRange.of_samples(np.concatenate(valid)))


def default_groups(source: Source, given: tuple[float, float] | None = None) -> list[BandGroup]:
    """Find the groups of the bands that a result has if the caller chooses none.

    Args:
        source: an open raster, with all of its bands.
        given: the range that the caller gives for all groups; see :func:`band_groups`.

    Returns:
        The groups, whose bands are indices in the source.

    Raises:
        InputError: a band cannot be super-resolved.
    """
    roles = decide(source.description, PixelOptions())
    chosen = source.selected(roles.selection)
    samples = list(chosen.samples()) if needs_samples(chosen.description.bands, given) else []
    groups = band_groups(roles, chosen.description.bands, samples, given)
    numbers = roles.selection.bands
    return [replace(group, bands=tuple(numbers[i] - 1 for i in group.bands)) for group in groups]
