"""The options of a run: what each accepts, and that all four listings of them agree."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np
import pytest
from click.testing import CliRunner

import rs_superres
from rs_superres import zoo
from rs_superres.api import FileKeywords, PixelKeywords
from rs_superres.errors import InputError
from rs_superres.options import Options, PixelOptions, Precision, memory_bytes
from rs_superres.system import devices

ROOT = Path(__file__).resolve().parents[1]
FIELDS = {entry.name: entry for entry in fields(Options)}
COMMANDS: dict[str, click.Command] = {
    name: importlib.import_module(f"rs_superres.cli.{name}").command
    for name in ("upscale", "batch")
}
SIGNATURE = inspect.signature(rs_superres.upscale)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"scale": "2.3"}, "2.3"),
        ({"scale": 3}, 3),
        ({"scale": Fraction(7, 3)}, Fraction(7, 3)),
        ({"scale": "x4"}, "4"),
        ({"scale": "4x"}, "4"),
        ({"scale": " X 2.5"}, "2.5"),
        ({"device": "cuda:1"}, "cuda:1"),
        ({"resolution": 5}, (5.0, 5.0)),
        ({"resolution": (5,)}, (5.0, 5.0)),
        ({"resolution": [5, 2.5]}, (5.0, 2.5)),
        ({"like": "a.tif"}, Path("a.tif")),
        ({"bounds": np.array([1, 2, 3, 4])}, (1.0, 2.0, 3.0, 4.0)),
        ({"model": Path("folder/model")}, "folder/model"),
        ({"steps": None}, None),
        ({"steps": np.int64(4)}, 4),
        ({"bidx": 3}, (3,)),
        ({"bidx": range(1, 4)}, (1, 2, 3)),
        ({"rgb": np.array([4, 3, 2])}, (4, 3, 2)),
        ({"rgb": "none"}, "none"),
        ({"rgb": ["B4", "B3", 2]}, ("B4", "B3", 2)),
        ({"nearest": "SCL"}, ("SCL",)),
        ({"nodata": 0}, 0.0),
        ({"value_range": [0, 255]}, (0.0, 255.0)),
        ({"memory": "2GB"}, 2 * 10**9),
        ({"memory": "1.5 GiB"}, 3 * 2**29),
        ({"memory": 10**9}, 10**9),
        ({"mtf": 0.3}, 0.3),
        ({"noise": 0}, 0.0),
        ({"limits": "none"}, "none"),
        ({"limits": [0, 100]}, (0.0, 100.0)),
        ({"creation": "COMPRESS=ZSTD"}, ("COMPRESS=ZSTD",)),
        ({"creation": ["A=1", "B=2"]}, ("A=1", "B=2")),
        ({"scratch": "work"}, Path("work")),
    ],
)
def test_values_are_normalised(given: dict[str, Any], taken: Any) -> None:
    [name] = given
    options = Options(**given)
    assert getattr(options, name) == taken
    assert type(getattr(options, name)) is type(taken)
    assert replace(options) == options


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scale": True}, "scale=True, expected a number above 1"),
        ({"scale": [2]}, "scale=[2], expected a number above 1"),
        ({"scale": 1}, "scale=1, expected a number above 1"),
        ({"scale": float("nan")}, "scale=nan, expected a number above 1"),
        ({"scale": "x0.5"}, "scale='x0.5', expected a number above 1"),
        ({"scale": "x4x"}, "scale='x4x', expected a number above 1"),
        ({"scale": "x"}, "scale='x', expected a number above 1"),
        ({"resolution": 0}, "resolution=0, expected a pixel size above 0"),
        ({"resolution": (1, float("inf"))}, "expected a pixel size above 0"),
        ({"bidx": 0}, "bidx=0, expected names of bands, or numbers counted from 1"),
        ({"bidx": (1, 1)}, "bidx=(1, 1), expected each band once"),
        ({"rgb": (1, 2)}, "rgb=(1, 2), expected three bands, or none"),
        ({"rgb": "all"}, "rgb='all', expected three bands, or none"),
        ({"value_range": (9, 1)}, "value_range=(9, 1), expected the lower number first"),
        ({"value_range": (0, float("nan"))}, "expected the lower number first"),
        ({"device": "gpu"}, "device='gpu', expected auto, cpu, cuda, cuda:1 or mps"),
        ({"creation": "COMPRESS"}, "creation='COMPRESS', expected texts KEY=VALUE"),
        ({"resolution": "5"}, "resolution='5', expected 1 or 2 numbers"),
        ({"resolution": (1, 2, 3)}, "resolution=(1, 2, 3), expected 1 or 2 numbers"),
        ({"like": 3}, "like=3, expected a path"),
        ({"like": ""}, "like='', expected a path"),
        ({"bounds": 5}, "bounds=5, expected 4 numbers"),
        ({"bounds": (1, 2, 3)}, "bounds=(1, 2, 3), expected 4 numbers"),
        ({"bounds": (1, 2, None, 4)}, "bounds=(1, 2, None, 4), expected 4 numbers"),
        ({"model": 3}, "model=3, expected a model's name, a model folder, or a loaded"),
        ({"model": None}, "model=None, expected a model's name"),
        ({"steps": 1.5}, "steps=1.5, expected a whole number, 0 or more"),
        ({"steps": True}, "steps=True, expected a whole number, 0 or more"),
        ({"steps": -1}, "steps=-1, expected a whole number, 0 or more"),
        ({"seed": 1.7}, "seed=1.7, expected a whole number, 0 or more"),
        ({"seed": None}, "seed=None, expected a whole number"),
        ({"seed": 2**63}, "expected a whole number, 0 or more, at most 9223372036854775807"),
        ({"samples": 0}, "samples=0, expected a whole number, 1 or more"),
        ({"consistency": "no"}, "consistency='no', expected True or False"),
        ({"mtf": 9}, "mtf=9, expected a number above 0, at most 8"),
        ({"noise": -1}, "noise=-1, expected a finite number, 0 or more"),
        ({"limits": (5, 1)}, "limits=(5, 1), expected none, local, or the least and the greatest"),
        ({"limits": "global"}, "limits='global', expected none, local, or the least and the gre"),
        ({"bidx": "1,2"}, "bidx='1,2', expected names of bands, or numbers counted from 1"),
        ({"bidx": (1, 2.5)}, "bidx=(1, 2.5), expected names of bands"),
        ({"rgb": ("red", "green", "")}, "rgb=('red', 'green', ''), expected names of bands"),
        ({"rgb": ("red", "green")}, "rgb=('red', 'green'), expected three bands, or none"),
        ({"nearest": True}, "nearest=True, expected names of bands, or numbers counted from 1"),
        ({"classes": "neerest"}, "classes='neerest', expected one of expand, nearest"),
        ({"nodata": "none"}, "nodata='none', expected a number"),
        ({"value_range": 255}, "value_range=255, expected 2 numbers"),
        ({"value_range": "0:255"}, "value_range='0:255', expected 2 numbers"),
        ({"value_range": np.zeros((9, 9))}, "expected 2 numbers"),
        ({"device": 0}, "device=0, expected auto, cpu"),
        ({"precision": "fp8"}, "precision='fp8', expected one of auto, fp32, bf16, fp16"),
        ({"memory": "2"}, "memory='2', expected an amount of memory as in 2GB or 800MB"),
        ({"memory": "0GB"}, "memory='0GB', expected an amount of memory"),
        ({"memory": 1.5}, "memory=1.5, expected an amount of memory"),
        ({"memory": True}, "memory=True, expected an amount of memory"),
        ({"memory": -1}, "memory=-1, expected an amount of memory"),
        ({"format": "png"}, "format='png', expected one of cog, gtiff"),
        ({"creation": {"A": "1"}}, "creation={'A': '1'}, expected texts KEY=VALUE"),
        ({"creation": [1]}, "creation=[1], expected texts KEY=VALUE"),
        ({"overwrite": 1}, "overwrite=1, expected True or False"),
        ({"resume": None}, "resume=None, expected True or False"),
        ({"scratch": 3}, "scratch=3, expected a path"),
    ],
)
def test_other_values_are_refused_in_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        Options(**given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["2", "GB", "0MB", "-1GB", "2 PB", "1e3MB", ""])
def test_amounts_that_are_none(text: str) -> None:
    assert memory_bytes(text) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(), "one of scale=, resolution= and like= is needed, and no more than one"),
        (Options(scale=2, like=Path("a.tif")), "one of scale=, resolution= and like= is needed"),
        (
            Options(scale=2, bounds=(1, 2, 3, 4), aoi=Path("a.json")),
            "bounds= and aoi= were both given",
        ),
        (Options(scale=2, samples=2, steps=0), "samples=2 of the neural operator alone"),
    ],
)
def test_contradictions_are_found_before_a_file_is_opened(options: Options, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        options.check()


def test_upscale_refuses_a_wrong_value_at_once() -> None:
    array = np.zeros((3, 20, 20), dtype=np.uint8)
    with pytest.raises(InputError, match="precision='fp8', expected one of auto, fp32, bf16, fp16"):
        rs_superres.upscale(array, scale=2, precision="fp8")  # type: ignore[call-overload]


# One declaration: the dataclass, the function, the command line and the documentation agree.


def test_the_signature_has_the_names_and_defaults_of_the_fields() -> None:
    declared = {name: entry.default for name, entry in FIELDS.items()}
    source, out, *keywords, progress = SIGNATURE.parameters.values()
    assert [source.name, out.name, progress.name] == ["src", "out", "progress"]
    assert {p.name: p.default for p in keywords} == declared
    assert [p.name for p in keywords] == list(declared)
    assert {p.kind for p in keywords} == {inspect.Parameter.KEYWORD_ONLY}


def test_the_typed_keywords_are_those_of_the_signature() -> None:
    signed = {name: p.annotation for name, p in SIGNATURE.parameters.items()}
    typed = {**PixelKeywords.__annotations__, **FileKeywords.__annotations__}
    assert list(PixelKeywords.__annotations__) == [f.name for f in fields(PixelOptions)]
    assert {name: hint.__forward_arg__ for name, hint in typed.items()} == {
        name: annotation for name, annotation in signed.items() if name not in {"src", "out"}
    }


def test_the_docstring_of_upscale_explains_each_keyword() -> None:
    docstring = inspect.getdoc(rs_superres.upscale) or ""
    described = dict(re.findall(r"^    (\w+): ((?:.|\n(?=        ))*)", docstring, re.MULTILINE))
    assert [name for name in described if name in FIELDS] == list(FIELDS)
    for name, entry in FIELDS.items():
        assert " ".join(described[name].split()).startswith(entry.metadata["help"]), name


def test_help_lists_each_keyword_with_type_and_default() -> None:
    shown = str(SIGNATURE)
    for name, entry in FIELDS.items():
        assert re.search(rf"\b{name}: '[^=]+' = {re.escape(repr(entry.default))}", shown), name


@pytest.mark.parametrize("command", ["upscale", "batch"])
def test_the_command_line_has_the_names_defaults_and_help_of_the_fields(command: str) -> None:
    offered = {p.name: p for p in COMMANDS[command].params}
    for name, entry in FIELDS.items():
        option: Any = offered[name]
        if command == "batch" and name in {"uncertainty", "preview"}:
            continue  # folders there
        assert (option.default, option.help) == (entry.default, entry.metadata["help"]), name


def test_the_documentation_has_the_names_defaults_and_help_of_the_fields() -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `(.+?)`(?: \((.+?)\))? \| (.+) \|$", page, re.MULTILINE)
    assert [
        (name, default.replace('"', "'"), unset, text) for name, default, unset, text in rows
    ] == [
        (name, repr(entry.default), entry.metadata["unset"], entry.metadata["help"])
        for name, entry in FIELDS.items()
    ]


def test_other_modules_declare_the_same_values() -> None:
    assert FIELDS["model"].default == zoo.DEFAULT
    assert get_args(Precision) == get_args(devices.Precision)


def test_a_default_of_zero_is_shown_in_the_help() -> None:
    main = importlib.import_module("rs_superres.cli").main
    shown = " ".join(CliRunner().invoke(main, ["upscale", "--help"]).stdout.split())
    assert "the same seed gives the same pixels. [default: 0; x>=0]" in shown
    assert "[default: (half of the machine's)]" in shown


def test_the_module_imports_nothing_slow(tmp_path: Path) -> None:
    slow = {"torch", "rasterio", "xarray", "dask", "numpy", "shapely"}
    line = f"import sys, rs_superres.options; sys.exit(len({slow} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", line], cwd=tmp_path, check=False).returncode == 0
