"""Band groups: by role, each with the range of its own valid values."""

from __future__ import annotations

import numpy as np
import pytest

from rs_superres.errors import InputError
from rs_superres.groups import Group, band_groups
from rs_superres.radiometry import ValueRange
from rs_superres.raster import Band
from rs_superres.roles import assigned


def band(dtype: str, interpretation: str = "undefined", bits: int | None = None) -> Band:
    return Band(dtype=dtype, interpretation=interpretation, bits=bits)


@pytest.mark.parametrize(
    ("colours", "groups"),
    [
        (("red", "green", "blue"), [(0, 1, 2)]),
        (("blue", "green", "red", "undefined"), [(2, 1, 0), (3,)]),
        (("red", "green", "blue", "alpha"), [(0, 1, 2)]),
        (("gray",), [(0,)]),
        (("gray", "alpha"), [(0,)]),
        (("gray", "undefined", "undefined"), [(0,), (1,), (2,)]),
        (("red", "red", "green", "blue"), [(0,), (1,), (2,), (3,)]),
    ],
)
def test_groups_follow_the_colour_interpretation(
    colours: tuple[str, ...], groups: list[tuple[int, ...]]
) -> None:
    bands = [band("uint8", c) for c in colours]
    found = list(band_groups(assigned(bands), bands, [], None))
    assert [g.bands for g in found] == groups
    assert {g.value_range for g in found} == {ValueRange(0.0, 255.0)}


def test_ranges_are_of_valid_samples_by_group() -> None:
    bands = [band("uint16", c) for c in ("red", "green", "blue", "undefined")]
    values = np.stack([np.full((10, 10), v) for v in (100, 200, 300, 5000)]).astype(np.uint16)
    values[:, :5] = 65_535
    valid = values < 65_535
    rgb, single = band_groups(assigned(bands), bands, [(values, valid)] * 2, None)
    assert (rgb.value_range.low, rgb.value_range.high) == (100, 300)
    assert single.value_range.low == 5000
    assert list(band_groups(assigned(bands), bands, [], (1.0, 2.0))) == [
        Group((0, 1, 2), ValueRange(1.0, 2.0)),
        Group((3,), ValueRange(1.0, 2.0)),
    ]


@pytest.mark.parametrize("given_range", [(2.0, 1.0), (1.0, 1.0), (float("nan"), 1.0)])
def test_ranges_that_are_none(given_range: tuple[float, float]) -> None:
    bands = [band("uint8")]
    with pytest.raises(InputError, match=r"value range .*, expected the lower one first"):
        list(band_groups(assigned(bands), bands, [], given_range))


def test_bytes_of_fewer_bits_have_their_own_range() -> None:
    bands = [band("uint8", bits=4), band("uint8")]
    found = list(band_groups(assigned(bands), bands, [], None))
    assert [g.value_range for g in found] == [ValueRange(0.0, 15.0), ValueRange(0.0, 255.0)]
