"""``rs-sr view``: a page on disk or on this machine's own address, and refusals in one line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from click.testing import CliRunner, Result

from rs_superres.view import build as building
from tests import rasters
from tests.cli.calls import facts_of, main
from tests.pages import Elements
from tests.view.scenes import write_noise, write_pair


def view(*args: object) -> Result:
    return CliRunner().invoke(main, ["view", *map(str, args)])


def test_a_page_beside_the_result(tmp_path: Path) -> None:
    out, source = write_pair(tmp_path)
    result = view(out, source, "-q")
    page = tmp_path / "result.html"
    assert (result.exit_code, result.stderr) == (0, "")
    size = len(page.read_bytes()) / 1e6
    first, second = result.stdout.splitlines()
    assert first == f"{page}: {size:.2f} MB; entire result"
    assert re.match(r"verify: PASS: \d+ of 17 checks", second)
    assert "source.tif" in Elements(page.read_text("utf-8")).text
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "result.html", "result.tif", "source.tif",
    ]  # fmt: skip
    again = view(out, source)
    assert again.exit_code == 1
    assert again.stderr == f"rs-sr: error: {page} exists already; --overwrite replaces it\n"
    assert view(out, "--source", source, "--overwrite", "--no-verify").exit_code == 0
    assert "was not audited" in page.read_text("utf-8")


def test_json(tmp_path: Path) -> None:
    out, source = write_noise(tmp_path, 500)
    page = tmp_path / "a.html"
    facts = facts_of(view(out, source, "-o", page, "--max-size", "3MB", "--no-verify", "--json"))
    assert list(facts) == ["page", "bytes", "parts", "notes", "passed"]
    assert facts["page"] == str(page)
    assert facts["bytes"] == page.stat().st_size <= 3_000_000
    assert facts["passed"] is None
    assert facts["parts"][0] == {
        "name": "Overview", "row": 0, "column": 0, "height": 1000, "width": 1000, "reduced": True,
    }  # fmt: skip
    assert [part["reduced"] for part in facts["parts"]] == [True] + 4 * [False]


def test_a_failed_check_is_shown_and_is_no_failure_of_the_command(tmp_path: Path) -> None:
    out, source = write_pair(tmp_path)
    rasters.write(out, rasters.read(out)[:2], transform=rasters.transform_of(out))
    result = view(out, source, "-q")
    assert result.exit_code == 0
    assert "verify: FAIL: 1 of 17 checks (bands)" in result.stdout
    text = Elements((tmp_path / "result.html").read_text("utf-8")).text
    assert "list the source's bands that the result holds, in the result's order: --bands" in text
    assert "PASS" in view(out, source, "-q", "-b", "1,2", "--overwrite").stdout


def test_large_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "AUDITED", 0)
    out, source = write_pair(tmp_path)
    result = view(out, source, "-q")
    assert result.stderr.endswith("so it was not audited; --verify does that\n")
    assert "verify: PASS" in view(out, source, "-q", "--verify", "--overwrite").stdout


def test_parts_and_uncertainty(tmp_path: Path) -> None:
    out, source = write_pair(tmp_path)
    bounds = ("--bounds", 500_010, 5_399_900, 500_050, 5_399_950)
    facts = facts_of(view(out, source, *bounds, *bounds, "--uncertainty", out, "--json"))
    part = {"row": 15, "column": 3, "height": 15, "width": 12, "reduced": False}
    assert facts["parts"][1:] == [{"name": f"Part {n}", **part} for n in (1, 2)]
    assert '"uncertainty"' in (tmp_path / "result.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        ([], 2, "Missing argument 'SOURCE'"),
        (["{source}", "--source", "{source}"], 2, "SOURCE was given twice"),
        (["{source}", "--max-size", "1MB"], 2, "--max-size 1MB, expected 3MB to 256MB"),
        (["{source}", "--max-size", "1"], 2, "expected an amount of memory"),
        (["{source}", "--rgb", "1,2"], 2, "--rgb names 2 bands, expected 3"),
        (["{source}", "--rgb", "1,2,9"], 1, "--rgb lists band 9"),
        (["{source}", "--serve", "--port", "70000"], 2, "0<=x<=65535"),
        (["{source}", "--port", "8000"], 2, "--port needs --serve"),
        (["{source}", "-o", "{out}"], 1, "expected a name that ends in .html, .htm"),
        (["{source}", "--bounds", "0", "0", "1", "1"], 1, "--bounds 0 0 1 1 lie outside"),
        (["{out}"], 1, "does not lie on"),
        (["none.tif"], 1, "cannot open none.tif: No such file"),
        (["{source}", "--uncertainty", "{source}"], 1, "has 24 x 20 pixels, expected 72 x 60"),
    ],
)
def test_wrong_calls(tmp_path: Path, args: list[str], status: int, message: str) -> None:
    out, source = write_pair(tmp_path)
    result = view(out, *(arg.format(out=out, source=source) for arg in args))
    assert result.exit_code == status
    assert message in result.stderr
    if status == 1:
        assert result.stderr.count("\n") == 1
    assert not list(tmp_path.glob("*.html"))


def test_a_failed_page_leaves_nothing(tmp_path: Path) -> None:
    out, source = write_pair(tmp_path)
    (tmp_path / "result.html").write_text("old")
    source.write_bytes(source.read_bytes()[:-900])
    result = view(out, source, "--overwrite")
    assert result.exit_code == 1
    assert (tmp_path / "result.html").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C reaches a process in another way")
def test_the_page_is_served_until_ctrl_c(tmp_path: Path) -> None:
    out, source = write_pair(tmp_path)
    code = "from rs_superres.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "view", out, source, "--serve", "--no-verify"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        [port] = re.findall(r"http://127\.0\.0\.1:(\d+)/", line)
        with urlopen(f"http://127.0.0.1:{port}/") as answer:
            assert "source.tif" in answer.read().decode()
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert rest == "rs-sr: stopped\n"
    assert not list(tmp_path.glob("*.html"))


def test_a_page_is_written_and_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, source = write_pair(tmp_path)
    served = []

    class Server:
        server_port = 8123

        def __enter__(self) -> Server:
            return self

        def __exit__(self, *_: object) -> None:
            served.append("closed")

        def serve_forever(self) -> None:
            raise KeyboardInterrupt

    def serving(html: str, port: int) -> Server:
        served.append(f"{port} {html}")
        return Server()

    monkeypatch.setattr("rs_superres.view.server.serving", serving)
    page = tmp_path / "p.html"
    result = view(out, source, "-o", page, "--serve", "--port", 8123, "--no-verify", "--json", "-q")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["page"] == str(page)
    assert served == [f"8123 {page.read_text('utf-8')}", "closed"]
    assert result.stderr.splitlines()[-1] == "rs-sr: stopped"
