"""Band groups: what goes through the network together, and on which value range."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rs_superres.dtypes import Valid, Values
from rs_superres.errors import InputError
from rs_superres.radiometry import ValueRange
from rs_superres.raster import Band
from rs_superres.roles import Roles


@dataclass(frozen=True, slots=True)
class Group:
    """Bands that go through the network together: an RGB triplet, or one band as grey."""

    bands: tuple[int, ...]
    """Indices from 0: three, or one."""
    value_range: ValueRange


def needs_samples(bands: Sequence[Band], given: tuple[float, float] | None) -> bool:
    """Whether value ranges come from the source's values."""
    return given is None and bands[0].dtype != "uint8"


def band_groups(
    roles: Roles,
    bands: Sequence[Band],
    samples: Sequence[tuple[Values, Valid]],
    given: tuple[float, float] | None,
) -> Iterator[Group]:
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
            yield Group(members, ValueRange(*given))
        elif not needs_samples(bands, given):
            most = max(2.0 ** (bands[i].bits or 8) - 1 for i in members)
            yield Group(members, ValueRange(0.0, most))
        else:
            index = list(members)
            valid = [values[index][mask[index]] for values, mask in samples]
            yield Group(members, ValueRange.of_samples(np.concatenate(valid)))
