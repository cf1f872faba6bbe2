"""Band roles: what the colour interpretation says, and what is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rs_superres.errors import InputError
from rs_superres.raster import Band, Description, open_source
from rs_superres.roles import Roles, Wish, decide
from tests import rasters
from tests.rasters import textured


@pytest.fixture
def source(tmp_path: Path) -> Description:
    """Blue, green, red, an infrared band, classes and alpha."""
    colours = ("blue", "green", "red", "undefined", "undefined", "alpha")
    path = rasters.write(tmp_path / "a.tif", textured(1, 6, 8, 9), colours=colours)
    with open_source(path) as opened:
        return opened.description


def members(roles: Roles) -> tuple[tuple[int, ...], ...]:
    return roles.triplet, roles.single, roles.nearest, roles.alpha


@pytest.mark.parametrize(
    ("wish", "expected", "words"),
    [
        (Wish(), ((2, 1, 0), (3, 4), (), (5,)), "joint 3,2,1; alone 4,5; alpha 6"),
        (Wish(nearest=(5,)), ((2, 1, 0), (3,), (4,), (5,)), "joint 3,2,1; alone 4; nearest 5; al"),
        (Wish(bands=(4, 3, 2)), ((), (0, 1, 2), (), ()), "alone 1,2,3"),
        (Wish(bands=(3, 2, 1)), ((0, 1, 2), (), (), ()), "joint 1,2,3"),
        (Wish(rgb=(4, 3, 2)), ((3, 2, 1), (0, 4), (), (5,)), "joint 4,3,2"),
        # By their number in the source, whatever the order in which they are written.
        (Wish(bands=(5, 4, 3, 2), rgb=(4, 3, 2), nearest=(5,)), ((1, 2, 3), (), (0,), ()), "joint"),
        (Wish(nearest=(1,)), ((), (1, 2, 3, 4), (0,), (5,)), "alone"),
        (Wish(nearest=(6,)), ((2, 1, 0), (3, 4), (5,), ()), "nearest 6"),
    ],
)
def test_roles(
    source: Description, wish: Wish, expected: tuple[tuple[int, ...], ...], words: str
) -> None:
    found = decide(source, wish)
    assert members(found) == expected
    assert words in str(found)
    assert found.selection.bands == (wish.bands or (1, 2, 3, 4, 5, 6))
    everything = sorted(sum(members(found), ()))
    assert everything == list(range(len(found.selection.bands)))


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (Wish(bands=(7,)), "--bidx names band 7, .* has bands 1 to 6"),
        (Wish(bands=(0,)), "--bidx names band 0"),
        (Wish(bands=(1, 1)), "--bidx names a band twice"),
        (Wish(rgb=(1, 2)), "--rgb names 2 bands, expected three"),
        (Wish(rgb=(1, 2, 9)), "--rgb names band 9"),
        (Wish(bands=(1, 2), rgb=(1, 2, 3)), "--rgb names band 3, which --bidx does not"),
        (Wish(bands=(1, 2), nearest=(3,)), "--nearest names band 3, which --bidx does not"),
        (Wish(rgb=(1, 2, 6)), "--rgb names a band that is alpha or carried by nearest"),
        (Wish(rgb=(1, 2, 3), nearest=(3,)), "--rgb names a band that is alpha or carried"),
        (Wish(classes="expand"), "--classes expand needs one band with a colour table"),
        (Wish(classes="expand", bands=(1,)), "--classes expand needs one band with a colour"),
        (Wish(classes="expand", rgb=(1, 2, 3)), "leave out --rgb and --nearest"),
        (Wish(nodata=300), "nodata 300, expected a value that uint8 holds"),
        (Wish(nodata=float("nan")), "nodata nan, expected a value that uint8 holds"),
        (Wish(nodata=1.5), "nodata 1.5, expected a value that uint8 holds"),
    ],
)
def test_wishes_that_cannot_be(source: Description, wish: Wish, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        decide(source, wish).selection.of(source)
    assert "\n" not in str(caught.value)


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


def test_classes_are_refused_unless_asked(source: Description) -> None:
    palette = Band(dtype="uint8", interpretation="palette", colours=((1, 2, 3, 255),))
    bit = Band(dtype="uint8", bits=1, interpretation="palette")
    plain = Band(dtype="uint8")
    both = described(source, plain, palette, bit)
    with pytest.raises(InputError, match=r"band 2 .* colour table.*--classes expand.*nearest"):
        decide(both, Wish())
    with pytest.raises(InputError, match=r"band 3 .* 1-bit values.*--classes nearest"):
        decide(both, Wish(nearest=(2,)))
    assert members(decide(both, Wish(classes="nearest"))) == ((), (0,), (1, 2), ())
    assert members(decide(both, Wish(nearest=(2, 3)))) == ((), (0,), (1, 2), ())
    assert members(decide(both, Wish(bands=(1,)))) == ((), (0,), (), ())
    expanded = decide(described(source, palette), Wish(classes="expand"))
    assert members(expanded) == ((0, 1, 2), (), (), ())
    assert expanded.selection.expand
    clear = Band(dtype="uint8", interpretation="palette", colours=((1, 2, 3, 0), (1, 1, 1, 255)))
    assert decide(described(source, clear), Wish(classes="expand")).alpha == (3,)


def test_masks_of_bands_need_a_nodata_value(source: Description) -> None:
    masked = described(source, Band(dtype="uint8"), Band(dtype="uint8"), band_masks=True)
    with pytest.raises(InputError, match=r"a mask for each band.*--nodata V"):
        decide(masked, Wish())
    assert decide(masked, Wish(nodata=0)).selection.nodata == 0
