"""Test ``rs-sr train`` by its entry point, in this process and in others."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from rs_superres import zoo
from rs_superres.config import to_toml
from rs_superres.training import losses, phase, run
from tests import models
from tests.training.data import config, images, run_two_processes

[entry] = entry_points(group="console_scripts", name="rs-sr")
main: click.Group = entry.load()
START = """
from importlib.metadata import entry_points
[entry] = entry_points(group="console_scripts", name="rs-sr")
entry.load()()
"""
LAUNCH = [sys.executable, "-c", START]


@pytest.fixture(autouse=True)
def calibrate_and_score_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "WINDOWS", 1)
    monkeypatch.setattr(run, "SHOWN", 1)
    monkeypatch.setattr(phase, "WINDOWS", 1)
    calibrate, measure = losses.calibrate, losses.measure_residual
    monkeypatch.setattr(losses, "calibrate", lambda *a, **k: calibrate(*a, **k | {"count": 2}))
    monkeypatch.setattr(losses, "measure_residual", lambda *a, **k: measure(*a, **k | {"count": 2}))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    (folder / "c.toml").write_text(to_toml(config()))
    endless = config(
        prior_phase=replace(config().prior_phase, steps=10**6),
        run=replace(config().run, log_every=1, validate_every=10**6),
    )
    (folder / "endless.toml").write_text(to_toml(endless))
    return images(folder / "data")


def call(*args: object) -> Result:
    return CliRunner().invoke(main, ["train", *map(str, args)])


def test_train_prints_log_lines_and_a_summary(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = call("--data", data, "-c", data.parent / "c.toml", "-o", out, "--device", "cpu")
    assert (result.exit_code, result.exception) == (0, None)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6, 2, 4, 6]
    assert "scale  bicubic    prior     gain  default" in result.stderr
    assert "6 iterations of the prior, 6 of the denoiser" in result.stderr
    last = result.stderr.splitlines()[-1]
    assert re.fullmatch(
        r"prior minus bicubic on 1 windows: x2 [+-]\d+\.\d\d dB, x3 [+-]\d+\.\d\d dB", last
    )
    assert zoo.load(str(out)).config.texture is not None
    again = call("--data", data, "-o", out)
    assert again.exit_code == 1
    assert "already holds a run; " in again.stderr
    assert again.stderr.endswith(" continues it, or choose another folder\n")
    resumed = call("--data", data, "-o", out, "--resume", "-q")
    assert (resumed.exit_code, resumed.output) == (0, "")


def test_max_time_ends_the_run(data: Path, tmp_path: Path) -> None:
    config_path = data.parent / "endless.toml"
    result = call("--data", data, "-c", config_path, "-o", tmp_path / "run", "--max-time", "2s")
    assert result.exit_code == 0
    assert {json.loads(line)["phase"] for line in result.stdout.splitlines()} == {
        "prior", "denoiser",
    }  # fmt: skip
    zoo.load(str(tmp_path / "run"))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--max-time", "soon"], "'soon', expected a time as in 90s, 15m or 2h"),
        (["--max-time", "0m"], "expected a time"),
        (["--max-steps", "0"], "0 is not in the range x>=1"),
        (["--device", "tpu"], "'tpu', expected auto, cpu, cuda, cuda:1 or mps"),
        (["--precision", "fp16"], "'fp16' is not one of 'auto', 'fp32', 'bf16'"),
    ],
)
def test_wrong_options_exit_with_2(data: Path, args: list[str], message: str) -> None:
    result = call("--data", data, "-o", "x", *args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert call("--data", data).exit_code == 2
    assert call("-o", "x").exit_code == 2


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), ("1.5h", 5400)]
)
def test_durations_are_in_seconds_minutes_or_hours(text: str, seconds: float) -> None:
    kind = next(p.type for p in main.get_command(click.Context(main), "train").params  # type: ignore[union-attr]  # it exists
                if p.name == "max_time")  # fmt: skip
    assert kind.convert(text, None, None) == seconds


def test_errors_are_one_line(data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    models.write(tmp_path / "paper", models.config("paper"))
    (tmp_path / "bad.toml").write_text("sed = 1")
    out = ["-o", tmp_path / "run"]
    for args in (
        ["--data", tmp_path / "empty", *out],
        ["--data", tmp_path / "none", *out],
        ["--data", data, *out, "-m", "nothing"],
        ["--data", data, *out, "-m", tmp_path / "paper"],
        ["--data", data, *out, "--resume"],
        ["--data", data, *out, "-c", tmp_path / "bad.toml"],
        ["--data", data, *out, "-c", tmp_path / "none.toml"],
        ["--data", data, "-o", data],
    ):
        result = call(*args)
        assert result.exit_code == 1
        assert result.stderr.startswith("rs-sr: error: ")
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_sigterm_leaves_a_model_and_a_run_to_resume(data: Path, tmp_path: Path) -> None:
    """The process prints one line and exits with 1."""
    out = tmp_path / "run"
    common = ["--data", data, "-o", out, "--device", "cpu", "--precision", "fp32"]
    process = subprocess.Popen(
        [*LAUNCH, "train", *map(str, common), "-q", "-c", str(data.parent / "endless.toml")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = out / "log.jsonl"
    for _ in range(1200):
        if log.exists() and log.read_text().count("\n") >= 3:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=120)
    assert (process.returncode, stdout) == (1, "")
    assert stderr == (
        f"rs-sr: stopped by a signal; the model so far is in {out}, --resume continues the run\n"
    )
    assert zoo.load(str(out)).config.texture is None
    done = log.read_text().count("\n")
    result = call(*common, "--resume", "--max-steps", done + 3)
    assert result.exit_code == 0
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert steps[: done + 3] == list(range(1, done + 4))


def test_only_the_main_process_reports(data: Path, tmp_path: Path) -> None:
    """Two processes as torchrun starts them: the second has no scores and says nothing."""
    out = tmp_path / "run"
    limited: list[str | Path] = [
        "-c",
        data.parent / "c.toml",
        "--device",
        "cpu",
        "--max-time",
        "1s",
    ]
    runs = run_two_processes([*LAUNCH, "train", "--data", data, "-o", out, *limited])
    assert [process.returncode for process in runs] == [0, 0], runs
    assert "iterations of the prior" in runs[0].stderr
    assert (runs[1].stdout, runs[1].stderr) == ("", "")
    assert (out / "log.jsonl").exists()
    assert (out / "loss.png").exists()


def test_full_disk_is_one_line(data: Path, tmp_path: Path) -> None:
    """The operating system refuses files as large as the checkpoint, as on a full disk."""
    out = tmp_path / "run"

    def limit_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    ran = subprocess.run(
        [*LAUNCH, "train", "--data", data, "-o", out, "-q", "-c", data.parent / "c.toml"],
        preexec_fn=limit_files,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"rs-sr: error: cannot write {out / 'state.pt'}: ")
    assert ran.stderr.count("\n") == 1
    assert not list(out.glob(".*"))
