"""The plugin's zip file, its description and its icon."""

from __future__ import annotations

import ast
import configparser
import io
import sys
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import pytest

from rs_superres import __version__
from tests.qgis.plugin import FOLDER, ROOT, build, icon

MODULES = sorted(FOLDER.glob("*.py"))
WITHOUT_QGIS = {"child", "command", "environment", "errors", "findings", "output", "program",
                "sources"}  # fmt: skip


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build.write(tmp_path_factory.mktemp("dist"))


def test_the_zip_holds_the_plugin_in_one_folder(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
    expected = {path.name for path in MODULES} | {"icon.svg", "metadata.txt", "LICENSE"}
    assert names == sorted(f"rs_superres/{name}" for name in expected)
    assert archive.name == f"rs_superres-qgis-{__version__}.zip"


def test_the_zip_is_the_same_each_time(archive: Path, tmp_path: Path) -> None:
    assert build.write(tmp_path).read_bytes() == archive.read_bytes()


def test_the_description_has_what_the_plugin_index_asks_for(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        text = opened.read("rs_superres/metadata.txt").decode()
        names = opened.namelist()
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_file(io.StringIO(text))
    general = parser["general"]
    for key in ("name", "qgisMinimumVersion", "description", "about", "version", "author", "email",
                "repository", "tracker", "homepage", "tags", "license"):  # fmt: skip
        assert general[key].strip(), key
    assert general["version"] == __version__
    assert general["hasProcessingProvider"] == "yes"
    assert f"rs_superres/{general['icon']}" in names
    assert "," in general["tags"]
    assert "\n" not in general["description"]


def test_the_icon_is_what_our_code_draws() -> None:
    text = icon.ICON.read_text("utf-8")
    assert text == icon.icon(), "run qgis/icon.py"
    cells = [c for c in ET.fromstring(text) if c.tag.endswith("rect")]  # noqa: S314 (our own file)
    areas = [float(c.attrib["width"]) * float(c.attrib["height"]) for c in cells]
    assert sum(areas) == icon.SIDE**2  # the pixels cover the picture, once
    assert {*areas} == {icon.COARSE**2, icon.FINE**2}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_is_python_3_9_and_imports_qgis_only_where_it_may(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 9))
    imported = {
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    }  # fmt: skip
    uses_qgis = any(name.split(".")[0] in {"qgis", "processing"} for name in imported)
    assert not (uses_qgis and path.stem in WITHOUT_QGIS)
    assert uses_qgis or path.stem in WITHOUT_QGIS | {"__init__"}
    # The plugin runs in the Python of QGIS, which may have only the standard library.
    tops = {name.split(".")[0] for name in imported}
    assert tops <= {*sys.stdlib_module_names, "qgis", "processing"}


def test_the_folder_does_not_hide_qgis_itself() -> None:
    assert not (ROOT / "qgis" / "__init__.py").exists()
