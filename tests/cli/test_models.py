"""``rs-sr models``: list, show and import models."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rs_superres import zoo
from tests import models
from tests.cli.calls import main


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(main, ["models", *map(str, args)])


@pytest.fixture(scope="module")
def checkpoint(shared: Path) -> Path:
    return shared / "fixtures" / "official" / "small.pth"


@pytest.fixture
def imported(checkpoint: Path, tmp_path: Path) -> Path:
    out = tmp_path / "imported"
    assert run("import", checkpoint, "-o", out, "--norm-groups", "4").exit_code == 0
    return out


def test_list() -> None:
    result = run("list")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == zoo.names()
    assert run().stdout == result.stdout


def test_list_as_json() -> None:
    result = run("list", "--json")
    assert result.exit_code == 0
    listed = json.loads(result.stdout)
    assert [model["name"] for model in listed] == zoo.names()
    assert [model["name"] for model in listed if model["default"]] in ([], [zoo.DEFAULT])


def test_list_of_an_imported_folder(imported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "names", lambda: [str(imported)])
    monkeypatch.setattr(zoo, "DEFAULT", str(imported))
    monkeypatch.setattr(zoo, "find", Path)
    result = run("list")
    assert result.stdout.startswith("imported (default)  paper model, prior and denoiser")
    assert zoo.checksum(str(imported))[:16] in result.stdout
    [facts] = json.loads(run("list", "--json").stdout)
    assert (facts["default"], facts["kind"], facts["steps"]) == (True, "paper", 20)
    assert (facts["scales"], facts["pixel_size"]) == ([1, 8], None)


def test_list_has_the_models_of_the_variable(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "damaged" / "config.toml"
    damaged.parent.mkdir()
    folders = [str(Path(tiny).parent), str(tmp_path / "none")]
    monkeypatch.setenv("RS_SR_MODELS", os.pathsep.join(folders))
    result = run()
    assert result.exit_code == 0
    [line] = [line for line in result.stdout.splitlines() if line.startswith("tiny  ")]
    assert line.endswith(f"  in {folders[0]}")
    assert result.stderr.endswith(f"RS_SR_MODELS names {folders[1]}, which is no folder\n")
    shipped = {
        facts["name"]: facts["shipped"] for facts in json.loads(run("list", "--json").stdout)
    }
    assert shipped == {"tiny": False} | dict.fromkeys(zoo.shipped(), True)
    assert run("show", "tiny").exit_code == 0

    damaged.write_text("kind = 3\n")
    monkeypatch.setenv("RS_SR_MODELS", str(tmp_path))
    result = run()
    assert result.exit_code == 1
    assert [line.split()[0] for line in result.stdout.splitlines()] == zoo.shipped()
    assert result.stderr.startswith("rs-sr: warning: damaged: config.toml: kind: 3, expected")


def test_check(tmp_path: Path) -> None:
    folder = models.write(tmp_path / "mine", models.config())
    (folder / "card.md").write_text("# mine\n\nLicence: CC0\n")
    result = run("check", folder)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("mine  scene model")
    assert result.stdout.endswith("\nPASS: others can use this model\n")
    (folder / "card.md").write_text("no heading\n")
    result = run("check", folder)
    assert (result.exit_code, result.stdout) == (1, "")
    assert [line.split()[1] for line in result.stderr.splitlines()] == ["warning:", "error:"]


def test_import_describes_the_model(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "imported"
    result = run("import", checkpoint, "--out", out, "--norm-groups", "4", "--weights", "raw")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(
        f"{out}: paper model, prior and denoiser, edsr-baseline 64 x 16"
    )
    assert "Weights: raw" in (out / "card.md").read_text()


def test_import_over_a_model_needs_overwrite(imported: Path, checkpoint: Path) -> None:
    again = ("import", checkpoint, "-o", imported, "--norm-groups", "4")
    result = run(*again)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"rs-sr: error: {imported} exists")
    assert run(*again, "--overwrite").exit_code == 0


def test_import_refuses_other_files(tmp_path: Path) -> None:
    (tmp_path / "notes.pth").write_text("hello")
    for name in ("notes.pth", "none.pth", "."):
        result = run("import", tmp_path / name, "-o", tmp_path / "imported")
        assert result.exit_code == 1
        assert result.stderr.startswith(f"rs-sr: error: {tmp_path}")
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize(
    "args",
    [
        ["import"],
        ["import", "a.pth"],
        ["import", "a.pth", "-o", "b", "--weights", "best"],
        ["import", "a.pth", "-o", "b", "--norm-groups", "0"],
        ["show"],
        ["drop"],
    ],
)
def test_wrong_calls(args: list[str]) -> None:
    assert run(*args).exit_code == 2


def test_show(imported: Path) -> None:
    result = run("show", imported)
    assert result.exit_code == 0
    assert result.stdout.startswith("imported  paper model")
    assert result.stdout.endswith((imported / "card.md").read_text())
    facts = json.loads(run("show", imported, "--json").stdout)
    assert facts["card"] == (imported / "card.md").read_text()
    assert facts["checksum"] == zoo.checksum(str(imported))


def test_show_unknown() -> None:
    result = run("show", "no-such-model")
    assert result.exit_code == 1
    assert result.stderr.startswith("rs-sr: error: no model 'no-such-model': expected one of")
