"""Defaults from environment variables, and completion in the shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.cli.calls import Call, facts_of, main

ROOT = Path(__file__).resolve().parents[2]


def test_variables_set_defaults_and_the_command_line_wins(
    upscale: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RS_SR_UPSCALE_SCALE", "x3")
    monkeypatch.setenv("RS_SR_UPSCALE_SEED", "7")
    monkeypatch.setenv("RS_SR_UPSCALE_RGB", "3,2,1")
    facts = facts_of(upscale("--dry-run", "--json"))
    assert (facts["scale"], facts["seed"]) == (3, 7)
    facts = facts_of(upscale("--dry-run", "--json", "-s", "2", "--seed", "0"))
    assert (facts["scale"], facts["seed"]) == (2, 0)


def test_wrong_variables_are_refused(upscale: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RS_SR_UPSCALE_SCALE", "0.5")
    result = upscale()
    assert result.exit_code == 2
    assert "'0.5', expected a number above 1" in result.stderr


def test_flags_and_options_of_all_commands(
    upscale: Call, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out.write_bytes(b"old")
    monkeypatch.setenv("RS_SR_UPSCALE_OVERWRITE", "1")
    monkeypatch.setenv("RS_SR_QUIET", "1")
    result = upscale("-s", "2")
    assert (result.exit_code, result.output) == (0, "")
    assert out.read_bytes() != b"old"


def test_the_page_names_the_variables_that_differ_from_their_flags() -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    text = page[page.index("## Defaults from the environment") : page.index("## Completion")]
    named = set(re.findall(r"RS_SR_[A-Z_]+", text))
    context = click.Context(main, info_name="rs-sr", **main.context_settings)
    known = {f"RS_SR_{param.name}".upper() for param in main.params}
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        for param in command.params:
            variable = f"RS_SR_{name}_{param.name}".upper()
            known.add(variable)
            flag = max(param.opts, key=len).lstrip("-").replace("-", "_")
            if isinstance(param, click.Option) and flag.upper() != str(param.name).upper():
                same = variable.replace("BATCH", "UPSCALE") in named
                assert same or param.name in {"as_json", "sources"}, variable
    assert named <= known


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["upscale", "-m", "ae"], {"dir,ae", "plain,aerial"}),
        (["train", "-m", ""], {"dir,", "plain,aerial"}),
        (["eval", "-m", "aer"], {"dir,aer", "plain,aerial"}),
        (["models", "show", "a"], {"dir,a", "plain,aerial"}),
        (["upscale", "--device", "cu"], {"plain,cuda", "plain,cuda:0", "plain,cuda:1"}),
        (["train", "--device", "m"], {"plain,mps"}),
        (["upscale", "--precision", "f"], {"plain,fp32", "plain,fp16"}),
        (["upscale", "--unc"], {"plain,--uncertainty"}),
        (["up"], {"plain,upscale"}),
    ],
)
def test_the_shell_completes(words: list[str], expected: set[str]) -> None:
    line = ["rs-sr", *words]
    variables = {
        "_RS_SR_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join([*line[:-1], line[-1] or "''"]),
        "COMP_CWORD": str(len(line) - 1),
    }
    result = CliRunner().invoke(main, prog_name="rs-sr", env=variables)
    assert set(result.stdout.splitlines()) == expected


def test_completion_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from rs_superres.cli import main\n"
        "try: main(prog_name='rs-sr')\n"
        "except SystemExit: print('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    variables = {
        "_RS_SR_COMPLETE": "bash_complete", "COMP_WORDS": "rs-sr upscale -m a", "COMP_CWORD": "3",
    }  # fmt: skip
    ran = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | variables,
    )
    assert ran.stdout.splitlines()[-1] == "False False"
