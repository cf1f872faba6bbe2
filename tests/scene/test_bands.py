"""Band roles follow what the bands say of themselves, and the caller's options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rs_superres.errors import InputError
from rs_superres.image.radiometry import ValueRange
from rs_superres.options import PixelOptions
from rs_superres.raster import Band, Description, open_source, with_alpha
from rs_superres.scene.bands import (
    BandGroup,
    BandRoles,
    band_groups,
    decide,
    roles_of,
)
from tests import rasters
from tests.rasters import textured


@pytest.fixture
def source(tmp_path: Path) -> Description:
    """Blue, green, red, an infrared band, classes and alpha."""
    colours = ("blue", "green", "red", "undefined", "undefined", "alpha")
    path = rasters.write(tmp_path / "a.tif", textured(1, 6, 8, 9), colours=colours)
    with open_source(path) as opened:
        return opened.description


def members(roles: BandRoles) -> tuple[tuple[int, ...], ...]:
    return roles.triplet, roles.single, roles.nearest, roles.alpha


@pytest.mark.parametrize(
    ("options", "expected", "words"),
    [
        (PixelOptions(), ((2, 1, 0), (3, 4), (), (5,)), "joint 3,2,1; alone 4,5; alpha 6"),
        (
            PixelOptions(nearest=(5,)),
            ((2, 1, 0), (3,), (4,), (5,)),
            "joint 3,2,1; alone 4; nearest 5; al",
        ),
        (PixelOptions(bidx=(4, 3, 2)), ((), (0, 1, 2), (), ()), "alone 1,2,3"),
        (PixelOptions(bidx=(3, 2, 1)), ((0, 1, 2), (), (), ()), "joint 1,2,3"),
        (PixelOptions(rgb=(4, 3, 2)), ((3, 2, 1), (0, 4), (), (5,)), "joint 4,3,2"),
        # Options number bands as in the source, whatever their order in the result.
        (
            PixelOptions(bidx=(5, 4, 3, 2), rgb=(4, 3, 2), nearest=(5,)),
            ((1, 2, 3), (), (0,), ()),
            "joint",
        ),
        (PixelOptions(nearest=(1,)), ((), (1, 2, 3, 4), (0,), (5,)), "alone"),
        (PixelOptions(nearest=(6,)), ((2, 1, 0), (3, 4), (5,), ()), "nearest 6"),
        (PixelOptions(rgb="none"), ((), (0, 1, 2, 3, 4), (), (5,)), "alone 1,2,3,4,5; alpha 6"),
    ],
)
def test_options_and_colours_decide_the_roles(
    source: Description, options: PixelOptions, expected: tuple[tuple[int, ...], ...], words: str
) -> None:
    roles = decide(source, options)
    assert members(roles) == expected
    assert words in str(roles)
    assert roles.selection.bands == (options.bidx or (1, 2, 3, 4, 5, 6))
    assert sorted(sum(members(roles), ())) == list(range(len(roles.selection.bands)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (PixelOptions(bidx=(7,)), "bidx= lists band 7, .* has bands 1 to 6"),
        (PixelOptions(rgb=(1, 2, 9)), "rgb= lists band 9"),
        (PixelOptions(bidx=(1, 2), rgb=(1, 2, 3)), "rgb= lists band 3, which bidx= does not"),
        (PixelOptions(bidx=(1, 2), nearest=(3,)), "nearest= lists band 3, which bidx= does not"),
        (PixelOptions(rgb=(1, 2, 6)), "rgb= lists a band that is alpha or resampled by"),
        (PixelOptions(rgb=(1, 2, 3), nearest=(3,)), "rgb= lists a band that is alpha or resampled"),
        (PixelOptions(classes="expand"), "classes=expand needs one band with a colour table"),
        (
            PixelOptions(classes="expand", bidx=(1,)),
            "classes=expand needs one band with a colour",
        ),
        (PixelOptions(classes="expand", rgb=(1, 2, 3)), "leave out rgb= and nearest="),
        (PixelOptions(nodata=300), "nodata 300, expected a value that uint8 holds"),
        (PixelOptions(nodata=float("nan")), "nodata nan, expected a value that uint8 holds"),
        (PixelOptions(nodata=1.5), "nodata 1.5, expected a value that uint8 holds"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    source: Description, options: PixelOptions, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        decide(source, options).selection.of(source)
    assert "\n" not in str(caught.value)


def test_names_decide_where_colours_do_not(source: Description) -> None:
    names = ("B2", "B3", "B4", "B8", "B8A", "red")
    bands = [Band(dtype="uint8", description=name) for name in names]
    stack = described(source, *bands, mask_flags=((),) * 6)
    roles = decide(stack, PixelOptions())
    assert members(roles) == ((2, 1, 0), (3, 4, 5), (), ())
    assert roles.described == "are named B4, B3 and B2, the red, green and blue of sentinel-2"
    # B8A tells the sensor even if it is not chosen.
    assert decide(stack, PixelOptions(bidx=(4, 3, 2, 1))).triplet == (1, 2, 3)
    four = described(source, *bands[:4], mask_flags=((),) * 4)
    assert decide(four, PixelOptions()).triplet == ()
    assert decide(four, PixelOptions(sensor="sentinel-2")).triplet == (2, 1, 0)
    assert decide(four, PixelOptions(sensor="quickbird")).triplet == ()
    cases: list[tuple[Any, tuple[int, ...]]] = [
        ((4, 3, 2), (3, 2, 1)),
        (("B8", "b04", 2), (3, 2, 1)),
        ("none", ()),
    ]
    for rgb, triplet in cases:
        roles = decide(stack, PixelOptions(rgb=rgb))
        assert (roles.triplet, roles.described) == (triplet, "")
    assert decide(stack, PixelOptions(nearest="B8A")).nearest == (4,)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"rgb= names band B9 of x.tif: expected one of its bands"):
        decide(stack, PixelOptions(rgb=("B9", "B3", "B2")))
    with pytest.raises(InputError, match=r"nearest= lists band 1 of x.tif twice"):
        decide(stack, PixelOptions(nearest=("B2", 1)))


def described(source: Description, *bands: Band, **more: Any) -> Description:
    return Description(
        path="x.tif",
        driver="GTiff",
        grid=source.grid,
        bands=bands,
        dataset_mask=False,
        tags={},
        **more,
    )


def test_classes_are_refused_unless_an_option_accepts_them(source: Description) -> None:
    palette = Band(dtype="uint8", interpretation="palette", colours=((1, 2, 3, 255),))
    bit = Band(dtype="uint8", bits=1, interpretation="palette")
    plain = Band(dtype="uint8")
    both = described(source, plain, palette, bit)
    with pytest.raises(InputError, match=r"band 2 .* colour table.*classes=expand.*nearest"):
        decide(both, PixelOptions())
    with pytest.raises(InputError, match=r"band 3 .* 1-bit values.*classes=nearest"):
        decide(both, PixelOptions(nearest=(2,)))
    assert members(decide(both, PixelOptions(classes="nearest"))) == ((), (0,), (1, 2), ())
    assert members(decide(both, PixelOptions(nearest=(2, 3)))) == ((), (0,), (1, 2), ())
    assert members(decide(both, PixelOptions(bidx=(1,)))) == ((), (0,), (), ())
    expanded = decide(described(source, palette), PixelOptions(classes="expand"))
    assert members(expanded) == ((0, 1, 2), (), (), ())
    assert expanded.selection.expand
    clear = Band(dtype="uint8", interpretation="palette", colours=((1, 2, 3, 0), (1, 1, 1, 255)))
    assert decide(described(source, clear), PixelOptions(classes="expand")).alpha == (3,)


def test_masks_of_bands_need_a_nodata_value(source: Description) -> None:
    masked = described(source, Band(dtype="uint8"), Band(dtype="uint8"), band_masks=True)
    with pytest.raises(InputError, match=r"a mask for each band.*nodata=V"):
        decide(masked, PixelOptions())
    assert decide(masked, PixelOptions(nodata=0)).selection.nodata == 0


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
    result = list(band_groups(roles_of(bands), bands, [], None))
    assert [g.bands for g in result] == groups
    assert {g.value_range for g in result} == {ValueRange(0.0, 255.0)}


def test_transparent_samples_do_not_count() -> None:
    bands = with_alpha([band("uint16", c) for c in ("gray", "undefined", "alpha")])
    values = np.stack([np.linspace(5, 25, 400), np.linspace(1, 2, 400), np.full(400, 9)])
    values[:2, :200], values[2, :200] = 60_000, 0
    samples = [(values.astype(np.uint16)[:, None], np.ones((3, 1, 400), dtype=np.bool_))]
    first, second = band_groups(roles_of(bands), bands, samples, None)
    assert first.value_range.low >= 15
    assert max(first.value_range.high, second.value_range.high) <= 25


def test_each_group_takes_its_range_from_valid_samples() -> None:
    bands = [band("uint16", c) for c in ("red", "green", "blue", "undefined")]
    values = np.stack([np.full((10, 10), v) for v in (100, 200, 300, 5000)]).astype(np.uint16)
    values[:, :5] = 65_535
    valid = values < 65_535
    rgb, single = band_groups(roles_of(bands), bands, [(values, valid)] * 2, None)
    assert (rgb.value_range.low, rgb.value_range.high) == (100, 300)
    assert single.value_range.low == 5000
    assert list(band_groups(roles_of(bands), bands, [], (1.0, 2.0))) == [
        BandGroup((0, 1, 2), ValueRange(1.0, 2.0)),
        BandGroup((3,), ValueRange(1.0, 2.0)),
    ]


@pytest.mark.parametrize("given_range", [(2.0, 1.0), (1.0, 1.0), (float("nan"), 1.0)])
def test_ranges_without_extent_are_refused(given_range: tuple[float, float]) -> None:
    bands = [band("uint8")]
    with pytest.raises(InputError, match=r"value_range=.*, expected the lower one first"):
        list(band_groups(roles_of(bands), bands, [], given_range))


def test_fewer_bits_have_a_smaller_range() -> None:
    bands = [band("uint8", bits=4), band("uint8")]
    groups = list(band_groups(roles_of(bands), bands, [], None))
    assert [g.value_range for g in groups] == [ValueRange(0.0, 15.0), ValueRange(0.0, 255.0)]
