"""Band roles: which bands of a source a result has, and how each of them is carried.

Decided once for a scene, by the colour interpretation and by what the caller asks for; the number
of bands says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rs_superres.errors import InputError
from rs_superres.image.radiometry import ValueRange
from rs_superres.options import PixelOptions
from rs_superres.raster import Band, Description, Selection
from rs_superres.types import Valid, Values

MOST_BANDS = 4096
"""Of one result: ten times a hyperspectral image's; a header can claim 65,535 of a few bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandRoles:
    """How each band of a result comes about; its bands go by their index from 0."""

    selection: Selection
    """Which bands of the source they are."""
    triplet: tuple[int, ...] = ()
    """Red, green and blue: one joint group for the network; empty where there is none."""
    single: tuple[int, ...] = ()
    """Those that go through the network alone, as grey."""
    nearest: tuple[int, ...] = ()
    """Those that are carried by nearest neighbour."""
    alpha: tuple[int, ...] = ()
    """Those that are interpolated linearly."""

    def __str__(self) -> str:
        """The roles in words, bands numbered from 1 as they stand in the result."""
        parts = {
            "joint": self.triplet,
            "alone": self.single,
            "nearest": self.nearest,
            "alpha": self.alpha,
        }
        told = [
            f"{name} {','.join(str(i + 1) for i in members)}"
            for name, members in parts.items()
            if members
        ]
        return "; ".join(told)


def decide(source: Description, wish: PixelOptions) -> BandRoles:
    """Decide the roles of a result's bands.

    Raises:
        InputError: a band that is not there or is named twice, or one that cannot be
            super-resolved and for which nothing else was asked.
    """
    count = len(source.bands)
    for option, numbers in (
        ("--bidx", wish.bidx),
        ("--rgb", wish.rgb),
        ("--nearest", wish.nearest),
    ):
        _check_numbers(option, numbers, count, source.path)
    order = wish.bidx or tuple(range(1, count + 1))
    if len(order) > MOST_BANDS:
        raise InputError(
            f"{source.path}: {len(order)} bands, expected at most {MOST_BANDS} at once; choose "
            "some by --bidx"
        )
    selection = Selection(bands=order, nodata=wish.nodata, expand=wish.classes == "expand")
    if selection.expand:
        _check_expansion(source, wish, order)
        bands = selection.of(source).bands
        return BandRoles(selection=selection, triplet=(0, 1, 2), alpha=tuple(range(3, len(bands))))
    if source.band_masks and wish.nodata is None and all(b.nodata is None for b in source.bands):
        raise InputError(
            f"{source.path} has a mask for each band, which a GeoTIFF does not hold; say "
            "--nodata V, a value that stands for what is masked"
        )
    nearest = _positions("--nearest", wish.nearest, order)
    if wish.classes == "nearest":
        kept = [i for i, number in enumerate(order) if _is_class(source.bands[number - 1])]
        nearest = tuple(sorted({*nearest, *kept}))
    for i, number in enumerate(order):
        if i not in nearest:
            _check_continuous(source.bands[number - 1], number, source.path)
    triplet = _positions("--rgb", wish.rgb, order)
    chosen = [source.bands[number - 1] for number in order]
    if any(i in nearest or chosen[i].is_alpha for i in triplet):
        raise InputError("--rgb names a band that is alpha or carried by nearest neighbour")
    return assigned(chosen, selection, triplet=triplet, nearest=nearest)


def assigned(
    bands: Sequence[Band],
    selection: Selection | None = None,
    *,
    triplet: tuple[int, ...] = (),
    nearest: tuple[int, ...] = (),
) -> BandRoles:
    """The roles of bands by their colour interpretation.

    Args:
        bands: those of the result.
        selection: where they come from; all bands of a source where None.
        triplet: indices of red, green and blue where the colours do not count.
        nearest: indices of those that are carried by nearest neighbour.
    """
    colours = [None if i in nearest else b.interpretation for i, b in enumerate(bands)]
    if not triplet and all(colours.count(c) == 1 for c in ("red", "green", "blue")):
        triplet = tuple(colours.index(c) for c in ("red", "green", "blue"))
    alpha = tuple(i for i, b in enumerate(bands) if b.is_alpha and i not in nearest)
    apart = {*triplet, *nearest, *alpha}
    return BandRoles(
        selection=selection or Selection(bands=tuple(range(1, len(bands) + 1))),
        triplet=triplet,
        single=tuple(i for i in range(len(bands)) if i not in apart),
        nearest=nearest,
        alpha=alpha,
    )


def _is_class(band: Band) -> bool:
    """Whether a band's values are names rather than amounts."""
    return band.is_palette or band.bits == 1


def _positions(option: str, numbers: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    """Where bands of the source stand in the result."""
    for number in numbers:
        if number not in order:
            raise InputError(
                f"{option} names band {number}, which --bidx does not; bands go by their number "
                "in the source"
            )
    return tuple(order.index(number) for number in numbers)


def _check_numbers(option: str, numbers: Sequence[int], count: int, path: str) -> None:
    """Refuse bands that are not there, or named twice."""
    for number in numbers:
        if not 1 <= number <= count:
            raise InputError(f"{option} names band {number}, {path} has bands 1 to {count}")
    if len({*numbers}) < len(numbers):
        raise InputError(f"{option} names a band twice, expected each once")
    if option == "--rgb" and len(numbers) not in {0, 3}:
        raise InputError(f"--rgb names {len(numbers)} bands, expected three")


def _check_expansion(source: Description, wish: PixelOptions, order: Sequence[int]) -> None:
    """Refuse to expand what is not one band with a colour table."""
    if wish.rgb or wish.nearest:
        raise InputError("--classes expand makes bands of its own: leave out --rgb and --nearest")
    if len(order) != 1 or not source.bands[order[0] - 1].is_palette:
        raise InputError(
            f"--classes expand needs one band with a colour table, {source.path} has "
            f"{len(order)} bands; choose one by --bidx, or use --classes nearest"
        )


def _check_continuous(band: Band, number: int, path: str) -> None:
    """Refuse a band that cannot be super-resolved, in a line that names the way out."""
    # First, since GDAL gives 1-bit values a colour table of black and white.
    if band.bits == 1:
        raise InputError(
            f"band {number} of {path} holds 1-bit values: a mask, which cannot be super-resolved; "
            "--classes nearest carries it by nearest neighbour"
        )
    if band.is_palette:
        raise InputError(
            f"band {number} of {path} has a colour table: its values are classes, which cannot be "
            "super-resolved; --classes expand turns them into colours, --classes nearest carries "
            "them by nearest neighbour"
        )


@dataclass(frozen=True, slots=True)
class BandGroup:
    """Bands that go through the network together: an RGB triplet, or one band as grey."""

    bands: tuple[int, ...]
    """Indices from 0: three, or one."""
    value_range: ValueRange


def needs_samples(bands: Sequence[Band], given: tuple[float, float] | None) -> bool:
    """Whether value ranges come from the source's values."""
    return given is None and bands[0].dtype != "uint8"


def band_groups(
    roles: BandRoles,
    bands: Sequence[Band],
    samples: Sequence[tuple[Values, Valid]],
    given: tuple[float, float] | None,
) -> Iterator[BandGroup]:
    """The bands that go through the network, in groups, each with its value range.

    Args:
        roles: of the bands.
        bands: of source and result alike.
        samples: digital numbers and validity of windows of the source.
        given: the range that was asked for.

    Raises:
        InputError: a range that is none.
    """
    if given is not None and not given[0] < given[1]:
        low, high = given
        raise InputError(f"value range {low:g},{high:g}, expected the lower one first")
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
