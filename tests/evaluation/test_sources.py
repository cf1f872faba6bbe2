"""The list of spoiled sources as text."""

from __future__ import annotations

import pytest

from rs_superres.config import ConsistencyConfig
from rs_superres.errors import InputError
from rs_superres.evaluation.sources import SpoiledSource, parse_sources


def test_sources_have_the_names_of_what_spoils_them() -> None:
    sources = parse_sources("noise=8, jpeg=75,noise=3+mtf=0.250,noise=8.0")
    assert sources == (
        SpoiledSource(noise=8),
        SpoiledSource(jpeg=75),
        SpoiledSource(mtf=0.25, noise=3),
    )
    assert [source.name for source in sources] == ["noise=8", "jpeg=75", "mtf=0.25+noise=3"]
    assert SpoiledSource().name == "clean"
    assert SpoiledSource().is_clean
    assert not sources[0].is_clean


def test_a_kernel_is_replaced_by_a_gaussian_alone() -> None:
    area = ConsistencyConfig(kernel="area", noise=0.01)
    assert SpoiledSource(noise=8).kernel(area) == area
    blurred = SpoiledSource(mtf=0.3).kernel(area)
    assert blurred == ConsistencyConfig(kernel="gaussian", mtf=0.3, noise=0.01)


@pytest.mark.parametrize(
    "text",
    [
        "", "clean", "blur=3", "noise", "noise=", "noise=x", "noise=0", "noise=-1", "noise=nan",
        "noise=inf", "sharpen=0", "sharpen=80%", "mtf=0", "mtf=1", "mtf=nan", "jpeg=0", "jpeg=101",
        "jpeg=75.5", "noise=8+", "noise=8+noise=3", "noise=8,,jpeg=75", "noise=8=3",
    ],
)  # fmt: skip
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^spoil='.*', expected noise=N above 0, jpeg=Q "):
        parse_sources(text)
