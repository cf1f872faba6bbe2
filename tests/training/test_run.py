"""Test complete runs: two phases in about a second, stopped anywhere and resumed exactly."""

from __future__ import annotations

import errno
import functools
import json
import math
import multiprocessing
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from rs_superres import engine, zoo
from rs_superres.config import TextureConfig, TileConfig, TrainedConfig, to_toml
from rs_superres.errors import InputError, ModelError, TrainingError, UnknownModelError, WriteError
from rs_superres.nets.texture import TextureDenoiser
from rs_superres.system import files
from rs_superres.training import batches, losses, phase, run, tasks, validation
from rs_superres.training import limit as limits
from rs_superres.training.config import TUNING, RunConfig, TrainConfig, read_train_config
from rs_superres.training.folder import RunFolder
from rs_superres.training.optimiser import Fitting
from rs_superres.training.run import TrainOptions, TrainReport, train
from rs_superres.zoo.checkpoint import save_weights
from tests import models, rasters
from tests.rasters import RGB, textured
from tests.training.data import Recorder, config, east_of, images

CALIBRATE, MEASURE_RESIDUAL = losses.calibrate, losses.measure_residual


def measure_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibrate and score on little data, because the tests are about the run."""
    monkeypatch.setattr(run, "WINDOWS", 2)
    monkeypatch.setattr(run, "SHOWN", 1)
    monkeypatch.setattr(phase, "WINDOWS", 1)
    calibrate, measure = losses.calibrate, losses.measure_residual
    monkeypatch.setattr(losses, "calibrate", lambda *a, **k: calibrate(*a, **k | {"count": 2}))
    monkeypatch.setattr(losses, "measure_residual", lambda *a, **k: measure(*a, **k | {"count": 2}))


@pytest.fixture(autouse=True)
def few_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    measure_less(monkeypatch)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return images(tmp_path_factory.mktemp("run") / "data")


def go(data: Path, out: Path, *, recorder: Recorder | None = None, **more: Any) -> TrainReport:
    if not more.get("resume") and "config" not in more:
        more["config"] = config()
    settings = {"device": "cpu", "precision": "fp32"} | more
    return train(TrainOptions(data=[data], out=out, **settings), recorder or Recorder())


def log(out: Path) -> list[dict[str, Any]]:
    """Read the log without the values that depend on the clock."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    clock = {"seconds", "seconds_left"}
    return [{k: v for k, v in line.items() if k not in clock} for line in lines]


def weights(out: Path) -> bytes:
    return (out / "weights.safetensors").read_bytes()


@pytest.fixture(scope="module")
def unbroken(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a run without an interruption."""
    out = tmp_path_factory.mktemp("unbroken") / "run"
    with pytest.MonkeyPatch.context() as patched:
        measure_less(patched)
        go(data, out)
    return out


# Files of a run


def test_without_matplotlib_only_the_picture_of_the_losses_is_missing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)
    recorder = Recorder()
    go(data, tmp_path / "run", recorder=recorder, max_steps=2)
    assert not (tmp_path / "run" / "loss.png").exists()
    assert (tmp_path / "run" / "validation.png").exists()
    [note] = [text for text in recorder.notes if text.startswith("loss.png is not written: ")]
    assert note.endswith(
        "needs matplotlib, which is not installed: pip install 'rs-superres[eval]'"
    )


def test_run_folder_contents(unbroken: Path, data: Path) -> None:
    assert {p.name for p in unbroken.iterdir()} >= {
        "config.toml", "weights.safetensors", "card.md", "train.toml",
        "log.jsonl", "state.pt", "loss.png", "validation.png",
    }  # fmt: skip
    assert not [
        p.name for p in unbroken.iterdir() if "partial" in p.name or p.name.endswith(".part")
    ]
    assert read_train_config(unbroken / "train.toml") == config()
    lines = log(unbroken)
    for name in ("prior", "denoiser"):
        steps = [line["step"] for line in lines if line["phase"] == name and "loss" in line]
        assert steps == [2, 4, 6]
        scores = [line for line in lines if line["phase"] == name and "bicubic" in line]
        assert [(score["step"], score["scale"]) for score in scores] == [(4, 2), (4, 3)]
    for line in lines:
        assert all(math.isfinite(v) for v in line.values() if isinstance(v, float))
    for picture in ("loss.png", "validation.png"):
        with Image.open(unbroken / picture) as opened:
            opened.load()
    card = (unbroken / "card.md").read_text()
    assert "6 iterations" in card
    assert "random weights" in card
    assert "4 rasters" in card or "5 rasters" in card
    assert "data (" in card
    assert re.search(r"^\| 2 \| [\d.]+ \| [\d.]+ \| [+-][\d.]+ \| - \|$", card, re.MULTILINE)
    assert str(data) not in card  # a card is shared: it must not hold local paths


def test_model_folder_works_with_upscale(unbroken: Path, tmp_path: Path) -> None:
    model = zoo.load(str(unbroken))
    assert model.config.trained == TrainedConfig(
        scales=(1.5, 2.5), pixel_size=None, degradation=config().degradation.words()
    )
    assert model.config.texture == config().texture
    source = rasters.write(tmp_path / "a.tif", textured(1, 3, 20, 20), colours=RGB)
    engine.upscale(source, tmp_path / "out.tif", engine.Options(scale="2", model=str(unbroken)))
    assert rasters.read(tmp_path / "out.tif").shape == (3, 40, 40)


def test_pixel_size_of_training_is_derived(tmp_path: Path) -> None:
    for i in range(3):
        rasters.write(
            tmp_path / f"{i}.tif",
            textured(i, 3, 64, 64),
            transform=east_of(9000 * i) @ rasters.NORTH_UP.scale(1 + i),
            colours=RGB,
        )
    out = tmp_path / "run"
    report = go(tmp_path, out, max_steps=1)
    assert report.steps == (1, 1)
    sizes = zoo.load(str(out)).config.trained.pixel_size
    assert sizes is not None
    low, high = sizes
    assert low == pytest.approx(15, rel=0.02) or low == pytest.approx(30, rel=0.02)
    assert high == pytest.approx(50, rel=0.02) or high == pytest.approx(75, rel=0.02)
    assert "2 of 2 scenes are georeferenced" in (out / "card.md").read_text()


def test_listener_receives_lines_and_scores(data: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    report = go(data, tmp_path / "run", recorder=recorder)
    assert [(line["phase"], line["step"]) for line in recorder.lines] == [
        (name, step) for name in ("prior", "denoiser") for step in (2, 4, 6)
    ]
    assert recorder.lines[-1].keys() == {
        "phase", "step", "loss", "rate", "seconds", "seconds_left", "progress",
    }  # fmt: skip
    assert recorder.lines[-1]["progress"] == 1
    assert [(name, step) for name, step, _ in recorder.validations] == [
        ("prior", 4),
        ("denoiser", 4),
    ]
    assert (report.ended, report.steps, report.skipped) == ("steps", (6, 6), [])
    assert [s.scale for s in report.scores] == [2, 3]
    assert (report.windows, report.windows_chosen) == (2, 2)


@pytest.mark.full
def test_weights_depend_only_on_the_seed(unbroken: Path, data: Path, tmp_path: Path) -> None:
    go(data, tmp_path / "same", max_steps=100)
    assert weights(tmp_path / "same") == weights(unbroken)
    assert log(tmp_path / "same") == log(unbroken)
    go(data, tmp_path / "other", config=config(seed=4))
    assert weights(tmp_path / "other") != weights(unbroken)


# Stopping and resuming


class Stop:
    """A function that returns True from its n-th call on, as after a signal."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> bool:
        self.left -= 1
        return self.left <= 0


@contextmanager
def stopped_after(count: int) -> Iterator[None]:
    """Stop a run after a number of iterations, as SIGTERM does."""

    @contextmanager
    def signals_caught() -> Iterator[Callable[[], bool]]:
        yield Stop(count)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run, "_signals_caught", signals_caught)
        yield


long = functools.partial(pytest.param, marks=pytest.mark.full)


# 4: at a validation; 6 and 12: at the last iteration of a phase.
@pytest.mark.parametrize("after", [long(1), 4, long(5), long(6), long(7), 9, long(12)])
def test_stopped_run_resumes_exactly(
    unbroken: Path, data: Path, tmp_path: Path, after: int
) -> None:
    out = tmp_path / "run"
    with stopped_after(after):
        report = go(data, out)
    assert report.ended == "signal"
    assert report.steps == (min(after, 6), max(0, after - 6))
    model = zoo.load(str(out))  # usable already
    assert (model.config.texture is not None) is (after > 6)  # no untrained texture
    assert (out / "loss.png").exists() is (after > 1)
    report = go(data, out, resume=True)
    assert (report.ended, report.steps) == ("steps", (6, 6))
    assert log(out) == log(unbroken)
    assert weights(out) == weights(unbroken)
    assert (out / "card.md").read_text() == (unbroken / "card.md").read_text()
    assert (out / "config.toml").read_text() == (unbroken / "config.toml").read_text()


class KilledError(BaseException):
    """An exception that no code catches, in place of a kill."""


def test_worker_processes_draw_the_same_batches_as_a_thread(
    unbroken: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches for a GPU are drawn by processes."""
    monkeypatch.setattr(phase, "_workers", lambda _: 2)
    go(data, tmp_path / "run")
    assert weights(tmp_path / "run") == weights(unbroken)
    assert log(tmp_path / "run") == log(unbroken)


def test_worker_processes_ignore_signals(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scheduler sends SIGTERM to all processes of a run; the run still ends in order."""
    monkeypatch.setattr(phase, "_workers", lambda _: 2)
    real = Fitting.advance

    def advance(fitting: Fitting, *args: Any) -> None:
        real(fitting, *args)
        if fitting.step == 3:
            for process in (*multiprocessing.active_children(), None):
                os.kill(process.pid or 0 if process else os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Fitting, "advance", advance)
    report = go(data, tmp_path / "run")
    assert (report.ended, report.steps) == ("signal", (3, 0))
    assert (tmp_path / "run" / "weights.safetensors").exists()


def test_error_of_a_worker_process_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phase, "_workers", lambda _: 1)
    folder = images(tmp_path / "data")
    monkeypatch.setattr(batches, "TRIES", 0)
    with pytest.raises(InputError, match=r"^no window of .* without nodata in 0 tries") as caught:
        go(folder, tmp_path / "run")
    assert "\n" not in str(caught.value)


# 0: after the first checkpoint; 6: between the phases.
@pytest.mark.parametrize("at", [long(0), 3, 6, long(7), 11])
def test_killed_run_resumes_exactly_from_its_checkpoint(
    unbroken: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Checkpoints are saved at every second iteration and at the beginning of each phase."""
    out = tmp_path / "run"
    often = config(run=replace(config().run, checkpoint_seconds=-1.0))
    done = 0
    real = Fitting.advance

    def advance(*args: Any) -> None:
        nonlocal done
        if done == at:
            raise KilledError
        done += 1
        real(*args)

    save = phase._checkpoint
    monkeypatch.setattr(
        phase, "_checkpoint", lambda r, n, f: save(r, n, f) if f.step % 2 == 0 else None
    )
    monkeypatch.setattr(Fitting, "advance", advance)
    with pytest.raises(KilledError):
        go(data, out, config=often)
    with (out / "log.jsonl").open("a") as file:
        file.write('{"phase": "denoiser", "step": 99}\n{"phase": "den')  # an incomplete line
    state = torch.load(out / "state.pt", weights_only=True)
    assert state["steps"] == {"prior": min(at, 6) // 2 * 2, "denoiser": max(0, at - 6) // 2 * 2}
    monkeypatch.setattr(Fitting, "advance", real)
    go(data, out, resume=True, config=often)
    assert log(out) == log(unbroken)
    assert weights(out) == weights(unbroken)


@pytest.mark.full
def test_resuming_a_finished_run_changes_nothing(
    unbroken: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(unbroken, out)
    report = go(data, out, resume=True)  # nothing is left to do
    assert report.steps == (6, 6)
    assert weights(out) == weights(unbroken)
    assert log(out) == log(unbroken)


def test_time_limit_ends_each_phase(data: Path, tmp_path: Path) -> None:
    """Both phases do an iteration at least, and the denoiser is trained too."""
    endless = replace(config().prior_phase, steps=10**6)
    endless_both = config(
        prior_phase=endless, denoiser_phase=replace(config().denoiser_phase, steps=10**6)
    )
    recorder = Recorder()
    report = go(data, tmp_path / "run", recorder=recorder, config=endless_both, max_seconds=2)
    assert report.ended == "time"
    assert min(report.steps) >= 1
    assert max(report.steps) < 1000
    assert zoo.load(str(tmp_path / "run")).config.texture is not None
    rates = [line["rate"] for line in recorder.lines if line["phase"] == "prior"]
    assert rates == sorted(rates, reverse=True)  # it falls as time passes
    assert report.seconds < 60
    assert report.windows >= 1
    assert {line["phase"] for line in log(tmp_path / "run")} == {"prior", "denoiser"}
    assert (tmp_path / "run" / "loss.png").exists()


class Clock:
    """A clock that moves only when a part of the run advances it."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def slow(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, cost: Any) -> None:
        """Let a function take ``cost(*args, **kwargs)`` seconds."""
        real = getattr(owner, name)

        def slowed(*args: Any, **kwargs: Any) -> Any:
            self.now += cost(*args, **kwargs)
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, slowed)


@pytest.mark.parametrize("limit", [120.0, 900.0, 7200.0])
def test_time_limit_includes_calibration_and_scoring(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: float
) -> None:
    """Without a limit, each calibration takes 128 s here, and scoring about 10 s a window."""
    clock = Clock()
    for module in (run, phase, losses, validation, limits):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(run, "WINDOWS", 24)
    monkeypatch.setattr(losses, "calibrate", CALIBRATE)
    monkeypatch.setattr(losses, "measure_residual", MEASURE_RESIDUAL)
    monkeypatch.setattr(losses, "_calibration_batch", _first(losses._calibration_batch))
    clock.slow(monkeypatch, losses, "_calibration_batch", lambda *args: 1.0 * args[3])
    clock.slow(monkeypatch, validation, "restore", lambda truth, *_, **__: _cost(truth))
    clock.slow(monkeypatch, Fitting, "advance", lambda *_: limit / 100)
    recorder = Recorder()
    endless = config(
        prior_phase=replace(config().prior_phase, steps=10**6),
        denoiser_phase=replace(config().denoiser_phase, steps=10**6),
        run=RunConfig(log_every=10**6, validate_every=10),
    )
    report = go(data, tmp_path / "run", recorder=recorder, config=endless, max_seconds=limit)
    assert report.ended == "time"
    assert 0.75 * limit < report.seconds < limit + max(30, 0.1 * limit)
    assert min(report.steps) > 5
    assert 1 <= report.windows <= report.windows_chosen == 24
    assert (report.windows > 16) is (limit == 7200)
    phases = [line["phase"] for line in recorder.lines]
    assert {"prior", "denoiser"} == set(phases)  # by seconds, and at the end of each phase
    assert recorder.lines[-1]["step"] == report.steps[1]


def _first(real: Callable[..., Any]) -> Callable[..., Any]:
    """Draw a single crop, whatever the number that is requested."""
    return lambda crops, key, scale, count: real(crops, key, scale, min(count, 1))


def _cost(truth: validation.Truth) -> float:
    """Return the seconds that restoring a window takes: 5 for an image of 48 x 50 pixels."""
    return 5 * truth.values.size / (3 * 48 * 50)


def test_log_lines_by_time_do_not_change_the_regular_ones(
    unbroken: Path, data: Path, tmp_path: Path
) -> None:
    often = config(run=replace(config().run, log_seconds=-1.0))
    go(data, tmp_path / "run", config=often)
    lines = [line for line in log(tmp_path / "run") if line["step"] % 2 == 0]
    assert lines == log(unbroken)
    steps = [line["step"] for line in log(tmp_path / "run") if "loss" in line]
    assert steps == [1, 2, 3, 4, 5, 6] * 2
    assert weights(tmp_path / "run") == weights(unbroken)


def test_time_before_a_resume_counts(data: Path, tmp_path: Path) -> None:
    """An hour is over when the run is resumed, so it ends after an iteration of each phase."""
    endless = config(
        prior_phase=replace(config().prior_phase, steps=10**6),
        denoiser_phase=replace(config().denoiser_phase, steps=10**6),
    )
    with stopped_after(3):
        go(data, tmp_path / "run", config=endless, max_seconds=3600)
    path = tmp_path / "run" / "state.pt"
    state = torch.load(path, weights_only=True)
    assert 0 < state["elapsed"] < 600
    torch.save(state | {"elapsed": 3600.0}, path)
    report = go(data, tmp_path / "run", resume=True, max_seconds=3600)
    assert (report.ended, report.steps) == ("time", (4, 1))


def test_a_limit_that_leaves_no_time_for_a_window_is_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window takes longer than the limit: the run ends in time, with a model and its log."""
    monkeypatch.setattr(validation, "window_seconds", lambda *_, **__: 100.0)
    report = go(data, tmp_path / "run", max_seconds=2)
    assert (list(report.scores), report.windows) == ([], 0)
    assert report.windows_chosen > 0
    assert report.seconds < 32
    assert {line["phase"] for line in log(tmp_path / "run")} == {"prior", "denoiser"}
    assert (tmp_path / "run" / "loss.png").exists()


def test_scoring_is_short_after_a_signal(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "STOPPED_SCORING_SECONDS", -1.0)
    with stopped_after(3):
        report = go(data, tmp_path / "run")
    assert (report.windows, report.windows_chosen) == (1, 2)


@pytest.mark.full
def test_run_without_denoiser_iterations(data: Path, tmp_path: Path) -> None:
    """The model has no denoiser, also after a resume."""
    out = tmp_path / "run"
    alone = config(denoiser_phase=replace(config().denoiser_phase, steps=0))
    with stopped_after(3):
        assert go(data, out, config=alone).ended == "signal"
    assert zoo.load(str(out)).config.is_prior_alone
    report = go(data, out, resume=True, config=alone)
    assert (report.ended, report.steps) == ("steps", (6, 0))
    go(data, tmp_path / "straight", config=alone)
    assert weights(out) == weights(tmp_path / "straight")
    assert "the model adds no detail by diffusion" in (out / "card.md").read_text()


# From a model


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> str:
    model = models.config(tiles=TileConfig(size=64, margin=8))
    model = replace(model, operator=replace(model.operator, scales=(1.5, 3.0)))
    return str(models.write(tmp_path_factory.mktemp("start") / "old", model))


def test_tuning_starts_from_the_weights_of_the_model(
    data: Path, tmp_path: Path, shipped: str
) -> None:
    out = tmp_path / "run"
    still = config(
        prior_phase=replace(config().prior_phase, learning_rate=0.0, steps=1),
        denoiser_phase=replace(config().denoiser_phase, learning_rate=0.0, steps=1),
    )
    go(data, out, config=still, start=shipped)
    before, after = (load_file(Path(p) / "weights.safetensors") for p in (shipped, out))
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        if name not in ("prior.contexts", "denoiser.deviations"):  # measured again on the data
            np.testing.assert_allclose(after[name], tensor, atol=1e-6, err_msg=name)
    assert not np.array_equal(before["denoiser.deviations"], after["denoiser.deviations"])
    old, new = (zoo.load(str(p)).config for p in (shipped, out))
    assert (new.encoder, new.operator, new.texture) == (old.encoder, old.operator, old.texture)
    assert new.trained.scales == (1.5, 2.5)
    assert f"**Started from**: {shipped}" in (out / "card.md").read_text()


def test_a_run_may_replace_the_texture_of_the_model(
    data: Path, tmp_path: Path, shipped: str
) -> None:
    """Until it has learnt, the model is the prior alone; a resumed run ends at the same weights."""
    sizes = replace(models.TEXTURE, blocks=2)
    texture = config(
        texture=sizes,
        prior_phase=replace(config().prior_phase, steps=2, learning_rate=0.0),
    )
    straight, out = tmp_path / "straight", tmp_path / "run"
    go(data, straight, config=texture, start=shipped)
    model = zoo.load(str(straight)).config
    assert model.texture == sizes
    assert "**Texture**: squares of 4 pixels" in (straight / "card.md").read_text()
    before, after = (load_file(Path(p) / "weights.safetensors") for p in (shipped, straight))
    for name in (name for name in before if name.startswith("prior.encoder")):
        np.testing.assert_allclose(after[name], before[name], atol=1e-6, err_msg=name)
    assert after["denoiser.deviations"].shape == (2, 48)
    assert after["denoiser.deviations"].min() > 0
    assert after["denoiser.body.tail.weight"].any()
    with stopped_after(1):
        go(data, out, config=texture, start=shipped)
    assert zoo.load(str(out)).config.is_prior_alone
    go(data, out, resume=True)
    assert weights(out) == weights(straight)
    source = rasters.write(tmp_path / "a.tif", textured(1, 3, 20, 20), colours=RGB)
    for steps in (0, 2):
        options = engine.Options(scale="2.3", model=str(out), steps=steps)
        engine.upscale(source, tmp_path / f"{steps}.tif", options)
    plain, drawn = (rasters.read(tmp_path / f"{steps}.tif") for steps in (0, 2))
    assert np.abs(plain.astype(int) - drawn).mean() > 0.1


def test_a_new_model_has_texture(data: Path, tmp_path: Path) -> None:
    go(data, tmp_path / "run", config=config(texture=None), max_steps=1)
    assert zoo.load(str(tmp_path / "run")).config.texture == TextureConfig()


def test_tuning_with_stored_contexts_keeps_them(data: Path, tmp_path: Path, shipped: str) -> None:
    out = tmp_path / "run"
    stored = replace(config().prior_phase, contexts="stored")
    go(data, out, config=config(prior_phase=stored), start=shipped)
    before, after = (load_file(Path(p) / "weights.safetensors") for p in (shipped, out))
    np.testing.assert_array_equal(after["prior.contexts"], before["prior.contexts"])
    lifting = "prior.operator.lift.weight"
    assert not np.array_equal(after[lifting], before[lifting])
    with pytest.raises(InputError, match="a new model has no stored contexts"):
        go(data, tmp_path / "other", config=config(prior_phase=stored))


def test_tuning_resumes_exactly(data: Path, tmp_path: Path, shipped: str) -> None:
    small = config(operator=replace(config().operator, scales=(9.0,)))
    go(data, tmp_path / "straight", config=small, start=shipped)
    out = tmp_path / "run"
    with stopped_after(2):
        go(data, out, config=small, start=shipped)
    assert zoo.load(str(out)).config.texture is not None  # that of the model, still valid
    go(data, out, config=small, start=shipped, resume=True)
    assert weights(out) == weights(tmp_path / "straight")
    with pytest.raises(InputError, match=r"started from .*old, not from aerial; leave out start="):
        go(data, out, start="aerial", resume=True)


@pytest.mark.full
def test_tuning_has_its_own_defaults(
    data: Path, tmp_path: Path, shipped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        run, "TUNING", replace(TUNING, data=config().data, denoiser_phase=config().denoiser_phase)
    )
    go(data, tmp_path / "run", config=None, start=shipped, max_steps=1)
    written = read_train_config(tmp_path / "run" / "train.toml")
    assert written.prior_phase == TUNING.prior_phase
    assert written.encoder == models.config().encoder
    before, after = (
        load_file(Path(p) / "weights.safetensors") for p in (shipped, tmp_path / "run")
    )
    np.testing.assert_array_equal(after["prior.contexts"], before["prior.contexts"])


@pytest.mark.parametrize(
    ("start", "error", "message"),
    [
        ("nothing", UnknownModelError, "no model 'nothing': expected one of"),
        ("paper", ModelError, "an imported paper model cannot be trained further"),
    ],
)
def test_unusable_models_to_start_from_are_refused(
    data: Path, tmp_path: Path, start: str, error: type[Exception], message: str
) -> None:
    models.write(tmp_path / "paper", models.config("paper"))
    model = str(tmp_path / start) if start == "paper" else start
    with pytest.raises(error, match=message):
        go(data, tmp_path / "run", start=model)
    assert not (tmp_path / "run").exists()


# Wrong input


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(InputError, match="no rasters to train on in"):
        go(tmp_path / "data", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_unusable_files_are_counted_and_listed(tmp_path: Path) -> None:
    """One file cannot be opened, and one is truncated."""
    folder = images(tmp_path / "data")
    (folder / "none.tif").write_bytes(b"no raster")
    broken = rasters.write(folder / "broken.tif", textured(9, 3, 400, 400), colours=RGB)
    content = broken.read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    rasters.write(tmp_path / "val.tif", textured(1, 3, 64, 64), transform=east_of(9000))
    recorder = Recorder()
    windows = config(data=replace(config().data, cache_gb=0.0))
    (tmp_path / "val").mkdir()
    (tmp_path / "val.tif").rename(tmp_path / "val" / "val.tif")
    report = go(folder, tmp_path / "run", recorder=recorder, config=windows, val=[tmp_path / "val"])
    assert report.ended == "steps"
    assert [s.path.name for s in report.skipped] == ["none.tif", "broken.tif"]
    assert f"skipped: cannot open {folder / 'none.tif'}" in recorder.notes[0]
    assert "7 scenes to train on, 1 to validate on, 1 skipped" in recorder.notes[1]
    assert re.fullmatch(
        rf"could not be read \d+ times: cannot read {broken} .*", recorder.notes[-1]
    )


@pytest.mark.full
def test_scenes_may_have_different_band_counts_and_dtypes(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for i, count in enumerate((1, 3, 4, 2, 7, 3)):
        dtype = ("uint8", "uint16", "float32")[i % 3]
        pixels = textured(i, count, 64, 64, dtype=dtype, high=200)
        rasters.write(folder / f"{i}.tif", pixels, transform=None, crs=None)
    report = go(folder, tmp_path / "run")
    assert (report.ended, report.skipped) == ("steps", [])
    card = (tmp_path / "run" / "card.md").read_text()
    assert "by percentiles of each scene" in card


def test_scenes_smaller_than_the_crops(tmp_path: Path) -> None:
    """Crops are as small as the scenes, down to the least crop."""
    folder = images(tmp_path / "data", side=30)
    assert go(folder, tmp_path / "run", max_steps=1).steps == (1, 1)
    tiny = images(tmp_path / "tiny", side=20)
    with pytest.raises(InputError, match=r"at least 26 x 26 pixels, but here they have 20"):
        go(tiny, tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("name", ["prior", "denoiser"])
def test_nan_loss_ends_the_run_and_keeps_the_checkpoint(
    unbroken: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    out, calls = tmp_path / "run", 0
    owner, attribute = {
        "prior": (losses, "prior_loss"),
        "denoiser": (TextureDenoiser, "losses"),
    }[name]
    real = getattr(owner, attribute)

    def loss(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        return real(*args, **kwargs) * (math.nan if calls == 4 else 1)

    monkeypatch.setattr(owner, attribute, loss)
    with pytest.raises(TrainingError, match=r"iteration 4 is nan.* resume=True") as caught:
        go(data, out)
    assert "\n" not in str(caught.value)
    assert str(out / "train.toml") in str(caught.value)
    state = torch.load(out / "state.pt", weights_only=True)
    assert state["phase"] == name
    assert all(v.isfinite().all() for v in state["network"].values())
    go(data, out, resume=True)
    assert weights(out) == weights(unbroken)
    assert log(out) == log(unbroken)


@pytest.mark.parametrize("failing", ["checkpoint", long("weights"), long("log")])
def test_full_disk_is_one_line_and_keeps_the_checkpoint(
    unbroken: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    out = tmp_path / "run"
    often = replace(config().run, checkpoint_seconds=-1.0)
    full, calls = OSError(errno.ENOSPC, "No space left on device"), 0
    with monkeypatch.context() as patched:

        def broken(real: Callable[..., Any]) -> Callable[..., Any]:
            def called(*args: Any, **kwargs: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls > 3:
                    raise full
                return real(*args, **kwargs)

            return called

        if failing == "checkpoint":
            sync = broken(lambda _: None)
            patched.setattr(files, "_sync", lambda path: "state.pt" in path.name and sync(path))
        elif failing == "weights":
            calls = 2
            patched.setattr("rs_superres.training.folder.save_weights", broken(save_weights))
        else:
            lines = SimpleNamespace(dumps=broken(json.dumps), loads=json.loads)
            patched.setattr("rs_superres.training.folder.json", lines)
        with pytest.raises(WriteError, match=r"cannot write .*: No space left on device; the last"):
            go(data, out, config=config(run=often))
    assert not list(out.glob(".*.part"))
    go(data, out, resume=True)
    assert weights(out) == weights(unbroken)
    assert log(out) == log(unbroken)


def test_other_runtime_errors_are_not_write_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a fault of TensorBoard")

    folder = RunFolder(tmp_path / "run")
    folder.begin(config())
    monkeypatch.setattr(json, "dumps", fail)
    with pytest.raises(RuntimeError, match="TensorBoard"):
        folder.log({"phase": "prior", "step": 1})


def test_existing_folders_are_not_overwritten(unbroken: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="already holds a run; resume=True continues it"):
        go(data, unbroken)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("notes", "file"):
        with pytest.raises(InputError, match="exists and is not an empty folder"):
            go(data, tmp_path / name)
    assert (tmp_path / "notes" / "a.txt").read_text() == (tmp_path / "file").read_text() == "mine"
    assert [p.name for p in (tmp_path / "notes").iterdir()] == ["a.txt"]


def test_folders_without_a_run_cannot_be_resumed(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run to resume; leave out resume=True"):
        go(data, tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()
    RunFolder(tmp_path / "begun").begin(config())
    with pytest.raises(InputError, match="holds no run to resume"):
        go(data, tmp_path / "begun", resume=True)


def test_damaged_checkpoint_is_refused(unbroken: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(unbroken, out)
    for content in (b"", b"no checkpoint", (out / "state.pt").read_bytes()[:999]):
        (out / "state.pt").write_bytes(content)
        with pytest.raises(InputError, match=r"state\.pt is damaged"):
            go(data, out, resume=True)


def test_code_in_a_checkpoint_is_not_executed(unbroken: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(unbroken, out)
    state = torch.load(out / "state.pt", weights_only=True)
    for evil in (
        models.Intruder(tmp_path / "executed"),
        {**state, "network": models.Intruder(tmp_path / "executed")},
    ):
        torch.save(evil, out / "state.pt")
        with pytest.raises(InputError, match=r"state\.pt is damaged"):
            go(data, out, resume=True)
    assert not (tmp_path / "executed").exists()


def test_a_checkpoint_of_another_shape_is_refused(
    unbroken: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(unbroken, out)
    state = torch.load(out / "state.pt", weights_only=True)
    strange: list[Any] = [
        [],
        {},
        {**state, "phase": "third"},
        {**state, "network": {"a": torch.zeros(2)}},
        {**state, "steps": 3},
        {**state, "fitting": {**state["fitting"], "optimizer": {}}},
        {**state, "fitting": {**state["fitting"], "average": []}},
    ]
    for content in strange:
        torch.save(content, out / "state.pt")
        with pytest.raises(InputError, match=r"state\.pt is damaged or not of this run") as caught:
            go(data, out, resume=True)
        assert "\n" not in str(caught.value)
    torch.save(state, out / "state.pt")
    (out / "log.jsonl").write_text("not JSON\n")
    with pytest.raises(InputError, match="is damaged or not of this run"):
        go(data, out, resume=True)


@pytest.mark.full
def test_other_configuration_is_refused_on_resume(
    unbroken: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(unbroken, out)
    with pytest.raises(InputError, match=r"differs from that of the run in .*; leave out config="):
        go(data, out, resume=True, config=config(seed=9))
    go(data, out, resume=True, config=config())
    assert weights(out) == weights(unbroken)


# Validation


def test_held_out_rows_are_never_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last rows of the only scene are white, and no crop has a white pixel."""
    pixels = textured(1, 3, 250, 64, high=200)
    pixels[:, 200:] = 255
    (tmp_path / "data").mkdir()
    rasters.write(tmp_path / "data" / "a.tif", pixels, colours=RGB)
    brightest = []
    for task in (tasks.PriorTask, tasks.DenoiserTask):

        def loss(self: Any, batch: Any, step: int, real: Any = task.loss) -> Any:
            brightest.append(float(batch.high.max()))
            return real(self, batch, step)

        monkeypatch.setattr(task, "loss", loss)
    go(tmp_path / "data", tmp_path / "run")
    assert len(brightest) == 12
    assert max(brightest) <= 200 / 127.5 - 1 + 1e-6
    assert "Held out by place." in (tmp_path / "run" / "card.md").read_text()


def test_validation_scenes_near_training_scenes_are_reported(tmp_path: Path) -> None:
    for name, metres in (("data", (0, 9000, 50_000)), ("val", (0, 9400, 90_000))):
        (tmp_path / name).mkdir()
        for i, east in enumerate(metres):
            rasters.write(
                tmp_path / name / f"{i}.tif",
                textured(i, 3, 64, 64),
                transform=east_of(east),
                colours=RGB,
            )
    recorder = Recorder()
    go(tmp_path / "data", tmp_path / "run", recorder=recorder, val=[tmp_path / "val"], max_steps=1)
    [note] = [n for n in recorder.notes if "too good" in n]
    assert note.startswith("2 of 3 validation scenes are training scenes or lie within 1 km")
    assert "Chosen by the person who trained it." in (tmp_path / "run" / "card.md").read_text()
    # A validation folder inside the data is recognised without georeference.
    recorder = Recorder()
    inner = images(tmp_path / "data" / "inner", 2)
    go(tmp_path / "data", tmp_path / "again", recorder=recorder, val=[inner], max_steps=1)
    assert any(n.startswith("2 of 2 validation") for n in recorder.notes)
    recorder = Recorder()
    outer = images(tmp_path / "outer", 2)
    go(tmp_path / "data", tmp_path / "third", recorder=recorder, val=[outer], max_steps=1)
    assert not any("too good" in n for n in recorder.notes)


@pytest.mark.full
def test_too_small_validation_images_are_not_scored(data: Path, tmp_path: Path) -> None:
    small = images(tmp_path / "val", 2, 20)
    report = go(data, tmp_path / "run", val=[small], max_steps=1)
    assert list(report.scores) == []
    assert "Not measured" in (tmp_path / "run" / "card.md").read_text()
    assert not (tmp_path / "run" / "validation.png").exists()


def test_run_folder_returns_the_written_configuration(tmp_path: Path) -> None:
    written = TrainConfig(run=RunConfig(log_every=7))
    folder = RunFolder(tmp_path / "run")
    folder.begin(written)
    folder.save_state({"a": 1})
    assert folder.config() == written
    (tmp_path / "run" / "train.toml").write_text(to_toml(replace(written, seed=5)))
    assert folder.config() == replace(written, seed=5)
