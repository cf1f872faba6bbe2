"""The plugin finds rs-sr, and gives it an environment without QGIS's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.qgis.plugin import environment, errors, program


def install(folder: Path, name: str = "rs-sr") -> Path:
    """Write an empty program."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home of ünal"


@pytest.fixture(autouse=True)
def no_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide what this machine has."""
    monkeypatch.setattr(program, "SYSTEM", ())


def test_the_places_are_searched_in_their_order(tmp_path: Path, home: Path) -> None:
    found = []
    places = [tmp_path / name for name in ("setting", "variable", "path")]
    programs = [install(place) for place in places]
    programs += [install(home / ".local" / "bin")]
    environ = {program.VARIABLE: str(programs[1]), "PATH": str(places[2])}
    for setting, variables in (
        (str(programs[0]), environ),
        ("", environ),
        ("", {"PATH": str(places[2])}),
        ("", {"PATH": ""}),
    ):
        found.append(program.find(setting, variables, home))
    assert found == programs


@pytest.mark.parametrize("folder", ["", "bin", "Scripts"])
def test_the_setting_may_be_the_folder_of_an_environment(
    tmp_path: Path, home: Path, folder: str
) -> None:
    there = install(tmp_path / "my env" / folder)
    assert program.find(f" {tmp_path / 'my env'} ", {}, home) == there


@pytest.mark.parametrize("tool", program.TOOLS)
def test_environments_of_pipx_and_uv_are_found(home: Path, tool: str) -> None:
    there = install(home / tool / "bin")
    assert program.find("", {"PATH": ""}, home) == there


@pytest.mark.parametrize("conda", program.CONDAS)
def test_environments_of_conda_are_found(home: Path, conda: str) -> None:
    install(home / conda / "envs" / "b" / "bin")
    first = install(home / conda / "envs" / "a" / "bin")
    assert program.find("", {"PATH": ""}, home) == first


def test_on_windows_the_program_is_an_exe(home: Path) -> None:
    install(home / "miniforge3" / "envs" / "geo" / "Scripts")  # no .exe: not a program there
    path = install(home / ".local" / "bin", "rs-sr.exe")
    assert program.find("", {"PATH": ""}, home, windows=True) == path


def test_a_file_that_is_no_program_is_passed_over(home: Path) -> None:
    install(home / ".local" / "bin").chmod(0o644)
    (home / "miniforge3" / "bin" / "rs-sr").mkdir(parents=True)
    with pytest.raises(errors.PluginError) as caught:
        program.find("", {"PATH": ""}, home)
    assert str(caught.value) == program.MISSING
    for word in ("Install", program.SETTING, program.VARIABLE):
        assert word in program.MISSING


@pytest.mark.parametrize("kind", ["nothing", "folder", "data"])
def test_a_wrong_setting_is_refused_although_a_program_is_there(
    tmp_path: Path, home: Path, kind: str
) -> None:
    install(home / ".local" / "bin")
    path = tmp_path / kind
    if kind == "folder":
        path.mkdir()
    if kind == "data":
        path.write_text("x")
    for setting, environ, place in (
        (str(path), {}, program.SETTING),
        ("", {program.VARIABLE: str(path)}, program.VARIABLE),
    ):
        with pytest.raises(errors.PluginError, match="which is not a program") as caught:
            program.find(setting, environ, home)
        assert str(caught.value).startswith(f"{place} is {path}")


def test_variables_of_qgis_are_removed_and_others_kept() -> None:
    removed = {"PYTHONHOME", "PYTHONPATH", "GDAL_DATA", "PROJ_LIB", "PROJ_DATA", "GDAL_DRIVER_PATH"}
    kept = {
        "PATH": "/bin",
        "RS_SR_MEMORY": "2GB",
        "CUDA_VISIBLE_DEVICES": "0",
        "GDAL_CACHEMAX": "9",
    }
    given = kept | dict.fromkeys(removed, "/qgis")
    assert environment.cleaned(given) == kept | {"PYTHONUTF8": "1"}
    assert given.keys() > removed  # a copy


def test_variables_are_removed_in_any_case() -> None:
    assert "PythonHome" not in environment.cleaned({"PythonHome": "C:\\QGIS"})
