"""Test training in several processes: one model, written by one of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from rs_superres import zoo
from rs_superres.config import to_toml
from rs_superres.training.distributed import World, is_main_process, local_device, process_group
from tests.training.data import config, images, run_two_processes

PARTS = """
import hashlib, json, sys
from pathlib import Path
import torch
from torch import nn
from rs_superres.training import losses, phase, run
from rs_superres.training.config import read_train_config
from rs_superres.training.run import TrainOptions, train
from tests.training.data import Recorder

calibrate = losses.calibrate
measure = losses.measure_residual
losses.calibrate = lambda *a, **k: calibrate(*a, **(k | {"count": 2}))
losses.measure_residual = lambda *a, **k: measure(*a, **(k | {"count": 2}))
run.WINDOWS = phase.WINDOWS = run.SHOWN = 1
data, out, config, seconds = sys.argv[1:]
sums = []

def phases(session, *, resume, real=run._phases):
    layer = nn.Linear(2, 1)
    layer.weight.grad = torch.full((1, 2), 1.0 + 2 * session.world.rank)
    session.world.average_gradients(layer)
    sums.append(layer.weight.grad.flatten().tolist())
    ranks = [session.world.rank, -session.world.rank]
    sums.append(session.world.all_reduce_max(ranks, session.device))
    ended = real(session, resume=resume)
    state = session.network.state_dict()
    sums.append(hashlib.sha256(b"".join(v.numpy().tobytes() for v in state.values())).hexdigest())
    return ended

run._phases = phases
recorder = Recorder()
report = train(TrainOptions(
    data=[Path(data)], out=Path(out), config=read_train_config(Path(config)), device="cpu",
    precision="fp32", max_seconds=float(seconds) or None,
), recorder)
print(json.dumps({
    "sums": sums, "steps": report.steps, "ended": report.ended, "notes": len(recorder.notes),
    "lines": len(recorder.lines), "scores": len(report.scores),
}))
"""


def test_world_is_one_process_without_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    device = torch.device("cpu")
    with process_group(device) as world:
        assert world == World()
        assert world.is_main
        assert world.all_reduce_max((1.5, 0.0), device) == [1.5, 0.0]
        layer = nn.Linear(1, 1)
        layer.weight.grad = torch.ones(1, 1)
        world.average_gradients(layer)
        assert layer.weight.grad.item() == 1
    assert is_main_process()
    assert local_device(torch.device("cuda")) == torch.device("cuda")


def test_each_process_uses_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setenv("RANK", "6")
    assert local_device(torch.device("cuda")) == torch.device("cuda", 2)
    assert local_device(torch.device("cpu")) == torch.device("cpu")
    assert not is_main_process()


@pytest.mark.parametrize("seconds", [0, pytest.param(1.5, marks=pytest.mark.full)])
def test_two_processes_train_one_model(tmp_path: Path, seconds: float) -> None:
    """The weights are equal bit for bit, although batches and clocks differ."""
    data, out = images(tmp_path / "data"), tmp_path / "run"
    (tmp_path / "c.toml").write_text(to_toml(config()))
    (tmp_path / "parts.py").write_text(PARTS)
    parts: list[str | Path] = [
        sys.executable,
        tmp_path / "parts.py",
        data,
        out,
        tmp_path / "c.toml",
        str(seconds),
    ]
    runs = run_two_processes(parts)
    for process in runs:
        assert process.returncode == 0, process.stderr
    first, second = (json.loads(process.stdout.splitlines()[-1]) for process in runs)
    assert first["sums"] == second["sums"]
    averaged, maxima, _ = first["sums"]
    assert averaged == [2, 2]
    assert maxima == [1, 0]
    assert (first["steps"], first["ended"]) == (second["steps"], second["ended"])
    # Only the main process writes and reports.
    assert first["notes"] > 0
    assert (second["notes"], second["lines"], second["scores"]) == (0, 0, 0)
    if not seconds:
        lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        steps = [line["step"] for line in lines if "loss" in line]
        assert steps == [2, 4, 6, 2, 4, 6]
        assert first["steps"] == [6, 6]
    zoo.load(str(out))
