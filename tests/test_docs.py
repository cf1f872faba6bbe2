"""README and docs: their commands and code run, and generated pages are up to date."""

from __future__ import annotations

import ast
import importlib
import json
import logging
import re
import runpy
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import entry_points
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import click
import matplotlib as mpl
import pytest
from click.testing import CliRunner
from distributed import Client, LocalCluster
from matplotlib import pyplot as plt
from rasterio.rio.main import main_group as rio

import rs_superres
from rs_superres import zoo
from rs_superres.batch import cluster
from rs_superres.config import SamplerConfig, TileConfig
from rs_superres.training import losses, phase, run
from tests import models
from tests.documented import PAGES, ROOT, Block, blocks, write_scenes

[entry] = entry_points(group="console_scripts", name="rs-sr")
main: click.Group = entry.load()
PROGRAMS: dict[str, click.Command] = {"rs-sr": main, "rio": rio}
TO_RUN = [block for block in blocks("sh") if block.reason is None]
TO_PARSE = [block for block in blocks("sh", "console") if block not in TO_RUN]

SMALLER = {
    "channels = 64": "channels = 8",
    "blocks = 16": "blocks = 2",
    "channels = 128": "channels = 8",
    "blocks = 6": "blocks = 1",
}
"""Changes to the configuration of docs/training.md, so that its network is tiny."""


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    assert {block.kind for block in blocks()} <= {"sh", "console", "python", "toml", "text"}
    assert len(TO_RUN) >= 15
    for page in PAGES:  # an indented command would not be tested
        assert not re.search(r"^    (rs-sr|\$) ", page.read_text("utf-8"), re.MULTILINE), page


def test_a_block_that_is_not_run_says_why() -> None:
    for block in TO_PARSE:
        if block.kind == "sh":
            assert len(block.reason or "") > 10, str(block)


@contextmanager
def threads(workers: int) -> Iterator[Client]:
    """Start dask's workers as threads, which use the patched small model too."""
    quiet = {"dashboard_address": ":0", "silence_logs": logging.CRITICAL}
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, processes=False, **quiet) as local,
        Client(local, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of the shipped kind that takes one step."""
    config = models.config(tiles=TileConfig(size=128, margin=8))
    return models.write(
        tmp_path_factory.mktemp("models") / "small", replace(config, sampler=SamplerConfig(steps=1))
    )


@pytest.fixture
def scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Path) -> None:
    """A folder with the files that the pages use; ``aerial`` is tiny and training short."""
    importlib.import_module("rs_superres.accessor")  # the pages import xarray first
    write_scenes(tmp_path)
    [table] = [block.text for block in blocks("toml")]
    for old, new in SMALLER.items():
        assert old in table
        table = table.replace(old, new)
    (tmp_path / "config.toml").write_text(table)
    monkeypatch.chdir(tmp_path)
    find = zoo.find
    for module in (zoo, zoo.models):  # where callers look it up
        monkeypatch.setattr(
            module, "find", lambda m: small if m in {zoo.DEFAULT, "mine"} else find(m)
        )
    monkeypatch.setattr(cluster, "_local_cluster", threads)
    monkeypatch.setattr(run, "WINDOWS", 1)
    monkeypatch.setattr(run, "SHOWN", 1)
    monkeypatch.setattr(phase, "WINDOWS", 1)
    for name in ("calibrate", "measure_residual"):
        real: Any = getattr(losses, name)
        monkeypatch.setattr(losses, name, lambda *a, f=real, **k: f(*a, **k | {"count": 2}))


def shortened(words: list[str]) -> list[str]:
    """Return a command with less work, whose output files may be replaced."""
    if "train" in words:
        return [*words, "--max-steps", "1"]
    few = {"--samples", "--seeds", "--scales"}
    words = ["2" if before in few else word for before, word in pairwise(["", *words])]
    if "eval" in words:
        return [*words, "--overwrite"]
    if "upscale" in words:
        Path(words[words.index("-o") + 1]).unlink(missing_ok=True)
    return words


@pytest.mark.parametrize("block", TO_RUN, ids=str)
@pytest.mark.usefixtures("scenes")
def test_the_commands_run(block: Block) -> None:
    for words in block.commands():
        program, *args = shortened(words)
        result = CliRunner().invoke(PROGRAMS[program], args)
        assert result.exit_code == 0, f"{block}: {' '.join(words)}\n{result.output}"


@pytest.mark.parametrize("block", TO_PARSE, ids=str)
def test_other_commands_parse(block: Block) -> None:
    for words in block.commands():
        if "rs-sr" not in words:
            continue
        start = words.index("rs-sr") + 1
        args = list(takewhile(lambda word: word not in {"&", ">"}, words[start:]))
        if args:
            parse(main, args)


def test_the_examples_of_the_help_parse() -> None:
    """Each line of the section "Examples" is a command that a reader may copy."""
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    sections = re.findall(r"^Examples:\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(sections) == page.count("\nUsage: ")
    for line in "".join(sections).splitlines():
        program, *args = shlex.split(line)
        assert program == "rs-sr"
        parse(main, args)


def parse(command: click.Command, args: list[str], above: click.Context | None = None) -> None:
    """Parse a command line as click does, down to the last command, without running it."""
    context = command.make_context(command.name, list(args), parent=above)
    if isinstance(command, click.Group) and args:
        _, inner, rest = command.resolve_command(context, args)
        assert inner is not None
        parse(inner, rest, context)


@pytest.mark.parametrize("page", sorted({b.page for b in blocks("python")}), ids=lambda p: p.name)
@pytest.mark.usefixtures("scenes")
def test_the_code_runs(page: Path) -> None:
    names: dict[str, Any] = {}
    for block in (b for b in blocks("python") if b.page == page):
        # Compiled with its line numbers, so that a traceback shows the line of the page.
        exec(compile("\n" * (block.line - 1) + block.text, page, "exec"), names)  # noqa: S102


TUTORIAL = ROOT / "docs" / "tutorial.ipynb"


def cells(kind: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of the tutorial's cells of a kind."""
    for number, cell in enumerate(json.loads(TUTORIAL.read_text("utf-8"))["cells"], start=1):
        if cell["cell_type"] == kind:
            yield f"{TUTORIAL.name}, cell {number}", "".join(cell["source"])


def shown(text: str, name: str, names: dict[str, Any]) -> object:
    """Run a cell, and return the value of its last line, which Jupyter shows."""
    *statements, last = ast.parse(text).body
    if not isinstance(last, ast.Expr):
        exec(compile(text, name, "exec"), names)  # noqa: S102
        return None
    exec(compile(ast.Module(statements, type_ignores=[]), name, "exec"), names)  # noqa: S102
    return eval(compile(ast.Expression(last.value), name, "eval"), names)  # noqa: S307


@pytest.mark.usefixtures("scenes")
def test_the_tutorial_runs() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    with mpl.rc_context({"backend": "agg"}):
        values = [shown(text, name, names) for name, text in cells("code")]
        plt.close("all")
    html = "".join(v._repr_html_() for v in values if hasattr(v, "_repr_html_"))
    assert html.count("<img ") == 3  # of the report
    assert "checks" in html  # of the audit
    assert "dask" in html


def test_the_tutorial_stores_no_outputs() -> None:
    book = json.loads(TUTORIAL.read_text("utf-8"))
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert len(code) >= 7
    for cell in code:
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        assert cell["metadata"] == {}
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])


def test_the_site_shows_the_tutorial() -> None:
    write = runpy.run_path(str(ROOT / "docs" / "notebook.py"))["on_page_markdown"]
    page = write((ROOT / "docs" / "tutorial.md").read_text("utf-8"), page=None, config={}, files=[])
    assert page.startswith("# A tutorial\n")
    for _, text in cells("markdown"):
        assert text in page
    for _, text in cells("code"):
        assert f"\n\n```python\n{text}\n```\n\n" in page
    assert "{{" not in page
    for linked in re.findall(r"\]\(([\w-]+\.\w+)", page):
        assert (ROOT / "docs" / linked).exists(), linked
    assert write("no {{ x.ipynb }} here", page=None) == "no {{ x.ipynb }} here"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    script = complete(_RS_SR_COMPLETE=f"{shell}_source")
    assert "_RS_SR_COMPLETE" in script
    words = {"COMP_WORDS": "rs-sr upscale --unc", "COMP_CWORD": "--unc" if shell == "fish" else "2"}
    assert "--uncertainty" in complete(_RS_SR_COMPLETE=f"{shell}_complete", **words)


def complete(**variables: str) -> str:
    """Return what the command answers to a shell's request for completion."""
    return CliRunner(env=variables).invoke(main, [], prog_name="rs-sr").stdout


def test_the_command_line_reference_is_up_to_date() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "reference.py"))["reference"]()
    assert page == (ROOT / "docs" / "cli.md").read_text("utf-8"), "run docs/reference.py"


def test_the_python_reference_lists_every_public_name() -> None:
    api = (ROOT / "docs" / "api.md").read_text("utf-8")
    listed = set(re.findall(r"^::: (\S+)$", api, re.MULTILINE))
    for name in set(rs_superres.__all__) - {"__version__"}:
        member = getattr(rs_superres, name)
        assert f"{member.__module__}.{member.__name__}" in listed, name
    for path in listed - {"rs_superres.errors"}:
        module, _, name = path.rpartition(".")
        assert getattr(importlib.import_module(module), name).__doc__, path


def test_the_models_page_includes_every_card() -> None:
    page = (ROOT / "docs" / "models.md").read_text("utf-8")
    assert re.findall(r'^--8<-- "models/(\w+)/card.md"$', page, re.MULTILINE) == zoo.shipped()


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r"[\w-]+\.md", (ROOT / "mkdocs.yml").read_text("utf-8"))
    assert sorted(listed) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))
