"""The plugin's command lines: what the algorithms ask rs-sr to do."""

from __future__ import annotations

import tomllib
from importlib.metadata import entry_points
from typing import Any

import click
import pytest

from tests.qgis.plugin import ROOT, command, errors, sources

[entry] = entry_points(group="console_scripts", name="rs-sr")
main: click.Group = entry.load()


def parsed(words: list[str]) -> dict[str, Any]:
    """The values that rs-sr takes from a command line."""
    group = main.make_context("rs-sr", list(words))
    name, inner, rest = main.resolve_command(group, list(words))
    assert inner is not None
    return inner.make_context(name, rest, parent=group).params


def test_rs_sr_understands_every_option_of_upscale() -> None:
    options = command.Options(
        scale=3.5,
        texture=0.25,
        texts={"--sensor": "sentinel-2", "--bands": "4,3,2", "--model": " my model ", "--rgb": "",
               "--device": "cpu", "--memory": "2GB", "--format": "gtiff"},
        switches={"--overwrite": True, "--stac": False},
        more="--seed 7 --scratch 'a folder'",
    )  # fmt: skip
    words = command.upscale(
        options, "-a scene.tif", "out é.tif", bounds=(500000, -1.5, 1e6 / 3, 7),
        aoi="f.gpkg|layer=fields", uncertainty="std.tif",
    )  # fmt: skip
    values = parsed(words)
    assert values["source"] == ("-a scene.tif",)
    assert values["out"] == "out é.tif"
    assert values["scale"] == "3.5"
    assert values["texture"] == 0.25
    assert values["sensor"] == "sentinel-2"
    assert values["bidx"] == (4, 3, 2)
    assert values["rgb"] == ()
    assert values["model"] == "my model"
    assert values["memory"] == 2_000_000_000
    assert values["format"] == "gtiff"
    assert values["bounds"] == (500000, -1.5, 1e6 / 3, 7)
    assert (str(values["aoi"]), str(values["uncertainty"])) == ("f.gpkg|layer=fields", "std.tif")
    assert values["overwrite"]
    assert not values["stac"]
    assert values["seed"] == 7
    assert str(values["scratch"]) == "a folder"


def test_rs_sr_understands_every_option_of_batch() -> None:
    options = command.Options(scale=2.0, measure=True, switches={"--skip-existing": True})
    values = parsed(command.batch(options, "my scenes", "finer", report="r.html"))
    assert values["scenes"] == ("my scenes",)
    assert (str(values["out"]), str(values["report"])) == ("finer", "r.html")
    assert values["as_json"]
    assert values["skip_existing"]
    assert values["steps"] == 0
    assert not values["quiet"]


def test_rs_sr_understands_verify_and_info() -> None:
    values = parsed(command.verify("out.tif", "scene.tif", bands=" 4,3 "))
    assert (values["out"], values["source"]) == ("out.tif", ("scene.tif",))
    assert values["bidx"] == (4, 3)
    assert values["as_json"]
    assert parsed(command.verify("out.tif", "scene.tif"))["bidx"] == ()
    for as_json in (True, False):
        values = parsed(command.info("scene.tif", as_json=as_json))
        assert values == {"file": "scene.tif", "as_json": as_json}


def test_a_result_stays_where_qgis_expects_it() -> None:
    options = command.Options(scale=2, more="-o elsewhere.tif --bounds 0 0 1 1")
    values = parsed(command.upscale(options, "a.tif", "out.tif", bounds=(1, 2, 3, 4)))
    assert values["out"] == "out.tif"
    assert values["bounds"] == (1, 2, 3, 4)


@pytest.mark.parametrize("scale", [None, 2.0])
@pytest.mark.parametrize("resolution", [None, 2.5])
@pytest.mark.parametrize("like", ["", "other.tif"])
def test_exactly_one_target_is_given(
    scale: float | None, resolution: float | None, like: str
) -> None:
    options = command.Options(scale=scale, resolution=resolution, like=like)
    if resolution and like:
        with pytest.raises(errors.PluginError, match="clear one of them"):
            options.check()
    elif scale or resolution or like:
        flag = "--like" if like else "--res" if resolution else "--scale"
        assert options.words() == [flag, like or ("2.5" if resolution else "2")]
    else:
        with pytest.raises(errors.PluginError, match="set a scale factor, a pixel size or a ref"):
            options.check()


def test_texture_needs_the_mode_that_draws_it() -> None:
    with pytest.raises(errors.PluginError, match="draws none"):
        command.Options(scale=2, measure=True, texture=0.5).check()
    measuring = command.Options(scale=2, measure=True, texture=0.0)
    assert measuring.words() == ["--scale", "2", "--steps", "0"]
    assert command.Options(scale=2).words() == ["--scale", "2"]
    assert command.Options(scale=2, texture=0).words() == ["--scale", "2", "--texture", "0"]


@pytest.mark.parametrize(
    ("value", "text"), [(2.0, "2"), (3.5, "3.5"), (0.1, "0.1"), (1e-7, "1e-07"), (10.0, "10")]
)
def test_numbers_are_not_rounded(value: float, text: str) -> None:
    assert command.number(value) == text
    assert float(text) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("--seed 1  --noise=2", ["--seed", "1", "--noise=2"]),
        (r"--scratch 'D:\my files\x'", ["--scratch", r"D:\my files\x"]),
        (r"--scratch D:\tmp", ["--scratch", r"D:\tmp"]),
        ('--co "A=b c" #no', ["--co", "A=b c", "#no"]),
        ("; rm -r $HOME", [";", "rm", "-r", "$HOME"]),
    ],
)
def test_more_options_are_split_into_words(text: str, words: list[str]) -> None:
    assert command.split(text) == words


def test_an_open_quote_is_refused() -> None:
    with pytest.raises(errors.PluginError, match="a quote is not closed"):
        command.Options(scale=2, more="--scratch 'a").check()


def test_the_sensors_are_those_of_rs_sr() -> None:
    known = tomllib.loads((ROOT / "models" / "sensors.toml").read_text("utf-8"))
    assert list(command.SENSORS) == list(known)


@pytest.mark.parametrize(
    "path",
    ["/data/a b.tif", r"C:\daten\größe.tif", 'NETCDF:"/d/a.nc":red', "/vsizip/a.zip/b.tif",
     "GPKG:/d/a.gpkg:ortho", "GTIFF_DIR:2:/d/a.tif"],
)  # fmt: skip
def test_what_gdal_opens_is_passed_on(path: str) -> None:
    assert sources.dataset(path, "gdal", "a layer") == path


@pytest.mark.parametrize(
    ("source", "provider"),
    [
        ("url=https://tiles.example/wms&layers=a", "wms"),
        ("dbname='gis' table=\"a\"", "postgresraster"),
        ("/d/a.tif|option:NUM_THREADS=2", "gdal"),
        ("/vsicurl/https://h.example/a.tif authcfg='x1'", "gdal"),
    ],
)
def test_other_layers_are_refused_in_a_line(source: str, provider: str) -> None:
    with pytest.raises(errors.PluginError, match="export it to a GeoTIFF first") as caught:
        sources.dataset(source, provider, "my layer")
    assert "my layer" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_layer_of_polygons_is_named() -> None:
    assert sources.polygons("f.gpkg", "fields") == "f.gpkg|layer=fields"
    assert sources.polygons("f.geojson", "") == "f.geojson"


@pytest.mark.parametrize(
    ("shown", "chosen", "positions"),
    [([4, 3, 2], [4, 3, 2], [1, 2, 3]), ([1], [3, 1], [2]), ([3, 2, 1], [3, 2], [])],
)
def test_a_style_follows_its_bands(
    shown: list[int], chosen: list[int], positions: list[int]
) -> None:
    assert sources.positions(shown, chosen) == positions
