"""Test that keywords in the library's messages become the flags of a command."""

from __future__ import annotations

import importlib

import click
import pytest

from tests.cli.calls import main

translate = importlib.import_module("rs_superres.cli.flags").translate


def command(name: str) -> click.Command:
    """Return a command of rs-sr."""
    result = main.get_command(click.Context(main), name)
    assert result is not None
    return result


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("choose some by bidx=", "choose some by --bands"),
        ("one of scale=, resolution= and like= is", "one of --scale, --res and --like is"),
        ("out.tif exists; overwrite=True replaces it", "out.tif exists; --overwrite replaces it"),
        ("dropped by resume=False", "dropped by --no-resume"),
        ("without consistency=False.", "without --no-consistency."),
        ("with consistency=True", "with --consistency"),
        ("use nodata=V, a value", "use --nodata V, a value"),
        ("is a prior alone: use steps=0", "is a prior alone: use --steps 0"),
        ("use steps=0.", "use --steps 0."),
        ("give creation=, format=gtiff", "give --co, --format gtiff"),
        ("creation=TILED=YES", "--co TILED=YES"),
        ("use memory=2.5GB, or fewer", "use --memory 2.5GB, or fewer"),
        ("value_range=LO,HI", "--value-range LO,HI"),
        ("value_range=(0, 255.5)", "--value-range 0,255.5"),
        ("bounds=(1, 2, 3, 4)", "--bounds 1 2 3 4"),
        ("(bidx=[4, 3, 2])", "(--bands 4,3,2)"),
        ("classes='expand' and classes=\"nearest\"", "--classes expand and --classes nearest"),
        ("`samples=8` or `scratch=`", "`--samples 8` or `--scratch`"),
        ("uncertainty=std.tif", "--uncertainty std.tif"),
    ],
)
def test_keywords_become_flags(message: str, expected: str) -> None:
    assert translate(message, command("upscale")) == expected


@pytest.mark.parametrize(
    "message",
    [
        "out.tif exists already; use --overwrite to replace it",
        "--steps 0 is the operator alone; leave out --samples, or use --value-range LO,HI",
        "max_steps=9 is an option of another command",
        "GDAL_NUM_THREADS=4, crs=, FOO_steps=0",
        "cannot open scale=2/tile.tif",
        "cannot open /data/steps=0/a.tif: nothing there",
        "cannot open https://host/a?seed=3&steps=0",
        "cannot open steps=0.tif",
        "the equation a == b, x = 3",
        "",
    ],
)
def test_other_text_stays(message: str) -> None:
    assert translate(message, command("upscale")) == message


def test_the_command_decides_which_keywords_are_options() -> None:
    message = "leave out resume=True, or use max_steps=9 and scale=2"
    assert translate(message, command("train")) == (
        "leave out --resume, or use --max-steps 9 and scale=2"
    )
    assert translate("overwrite=True, steps=1", command("models")) == "--overwrite, steps=1"
    assert translate("bidx=9", command("verify")) == "--bands 9"
