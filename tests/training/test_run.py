"""Runs from end to end: two phases in a second, stopped anywhere, gone on with exactly."""

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from rs_superres import engine, zoo
from rs_superres.config import TileConfig, TrainedConfig, to_toml
from rs_superres.errors import InputError, ModelError, RasterError, TrainingError, UnknownModelError
from rs_superres.training import batches, losses, phase, run
from rs_superres.training.config import TUNING, RunConfig, TrainConfig, read_train_config
from rs_superres.training.folder import RunFolder
from rs_superres.training.optimiser import Fitting
from rs_superres.training.run import TrainOptions, TrainReport, train
from tests import models, rasters
from tests.rasters import RGB, textured
from tests.training.data import Told, config, east_of, images


def measure_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run measures on, made less: the tests are about the run."""
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


def go(data: Path, out: Path, *, told: Told | None = None, **more: Any) -> TrainReport:
    if not more.get("resume") and "config" not in more:
        more["config"] = config()
    settings = {"device": "cpu", "precision": "fp32"} | more
    return train(TrainOptions(data=[data], out=out, **settings), told or Told())


def log(out: Path) -> list[dict[str, Any]]:
    """The log's lines, but for what a clock says."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def weights(out: Path) -> bytes:
    return (out / "weights.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patched:
        measure_less(patched)
        go(data, out)
    return out


# What a run leaves


def test_a_run_s_folder(whole: Path, data: Path) -> None:
    assert {p.name for p in whole.iterdir()} >= {
        "config.toml", "weights.safetensors", "card.md", "train.toml",
        "log.jsonl", "state.pt", "loss.png", "validation.png",
    }  # fmt: skip
    assert not [p.name for p in whole.iterdir() if "partial" in p.name or p.name.endswith(".part")]
    assert read_train_config(whole / "train.toml") == config()
    lines = log(whole)
    for name in ("prior", "denoiser"):
        steps = [line["step"] for line in lines if line["phase"] == name and "loss" in line]
        assert steps == [2, 4, 6]
        scores = [line for line in lines if line["phase"] == name and "bicubic" in line]
        assert [(score["step"], score["scale"]) for score in scores] == [(4, 2), (4, 3)]
    for line in lines:
        assert all(math.isfinite(v) for v in line.values() if isinstance(v, float))
    for picture in ("loss.png", "validation.png"):
        with Image.open(whole / picture) as opened:
            opened.load()
    card = (whole / "card.md").read_text()
    assert "6 iterations" in card
    assert "random weights" in card
    assert "4 rasters" in card or "5 rasters" in card
    assert "data (" in card
    assert re.search(r"^\| 2 \| [\d.]+ \| [\d.]+ \| [+-][\d.]+ \| - \|$", card, re.MULTILINE)
    assert str(data) not in card  # no machine's paths in what is passed on


def test_the_model_is_taken_as_it_is(whole: Path, tmp_path: Path) -> None:
    model = zoo.load(str(whole))
    assert model.config.trained == TrainedConfig(
        scales=(1.5, 2.5), pixel_size=None, degradation=config().degradation.words()
    )
    assert model.config.denoiser == config().denoiser
    source = rasters.write(tmp_path / "a.tif", textured(1, 3, 20, 20), colours=RGB)
    engine.upscale(source, tmp_path / "out.tif", engine.Options(scale="2", model=str(whole)))
    assert rasters.read(tmp_path / "out.tif").shape == (3, 40, 40)


def test_the_trained_pixel_size_is_derived(tmp_path: Path) -> None:
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
    found = zoo.load(str(out)).config.trained.pixel_size
    assert found is not None
    low, high = found
    assert low == pytest.approx(15, rel=0.02) or low == pytest.approx(30, rel=0.02)
    assert high == pytest.approx(50, rel=0.02) or high == pytest.approx(75, rel=0.02)
    assert "2 of 2 scenes say" in (out / "card.md").read_text()


def test_a_listener_is_told(data: Path, tmp_path: Path) -> None:
    told = Told()
    report = go(data, tmp_path / "run", told=told)
    assert [(line["phase"], line["step"]) for line in told.lines] == [
        (name, step) for name in ("prior", "denoiser") for step in (2, 4, 6)
    ]
    assert told.lines[-1].keys() == {"phase", "step", "loss", "rate", "seconds", "progress"}
    assert told.lines[-1]["progress"] == 1
    assert [(name, step) for name, step, _ in told.validations] == [("prior", 4), ("denoiser", 4)]
    assert (report.ended, report.steps, report.skipped) == ("steps", (6, 6), [])
    assert [s.scale for s in report.scores] == [2, 3]


@pytest.mark.full
def test_a_run_is_a_function_of_its_seed(whole: Path, data: Path, tmp_path: Path) -> None:
    go(data, tmp_path / "same", max_steps=100)
    assert weights(tmp_path / "same") == weights(whole)
    assert log(tmp_path / "same") == log(whole)
    go(data, tmp_path / "other", config=config(seed=4))
    assert weights(tmp_path / "other") != weights(whole)


# Stopping and going on


class Stop:
    """Says stop from its n-th question on, as a signal does."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> bool:
        self.left -= 1
        return self.left <= 0


@contextmanager
def asked_after(count: int) -> Iterator[None]:
    """SIGTERM after so many iterations of the whole run."""

    @contextmanager
    def stopping() -> Iterator[Callable[[], bool]]:
        yield Stop(count)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run, "_stopping", stopping)
        yield


long = functools.partial(pytest.param, marks=pytest.mark.full)


# 4: on a validation; 6 and 12: on a phase's last iteration.
@pytest.mark.parametrize("after", [long(1), 4, long(5), long(6), long(7), 9, long(12)])
def test_a_stopped_run_goes_on_exactly(whole: Path, data: Path, tmp_path: Path, after: int) -> None:
    out = tmp_path / "run"
    with asked_after(after):
        report = go(data, out)
    assert report.ended == "signal"
    assert report.steps == (min(after, 6), max(0, after - 6))
    model = zoo.load(str(out))  # usable as it is
    assert (model.config.denoiser is not None) is (after > 6)  # no denoiser that learnt nothing
    assert (out / "loss.png").exists() is (after > 1)
    report = go(data, out, resume=True)
    assert (report.ended, report.steps) == ("steps", (6, 6))
    assert log(out) == log(whole)
    assert weights(out) == weights(whole)
    assert (out / "card.md").read_text() == (whole / "card.md").read_text()
    assert (out / "config.toml").read_text() == (whole / "config.toml").read_text()


class KilledError(BaseException):
    """Stands for whatever ends a process without a word."""


def test_processes_draw_the_same_batches_as_a_thread(
    whole: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they do for a GPU."""
    monkeypatch.setattr(phase, "_workers", lambda _: 2)
    go(data, tmp_path / "run")
    assert weights(tmp_path / "run") == weights(whole)
    assert log(tmp_path / "run") == log(whole)


def test_processes_that_draw_leave_signals_to_the_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM to the whole group, as a scheduler sends it: the run ends by itself, and whole."""
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


def test_what_a_drawing_process_refuses_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phase, "_workers", lambda _: 1)
    folder = images(tmp_path / "data")
    monkeypatch.setattr(batches, "TRIES", 0)
    with pytest.raises(InputError, match=r"^no window of .* without nodata in 0 tries") as caught:
        go(folder, tmp_path / "run")
    assert "\n" not in str(caught.value)


# 0: right after the first checkpoint; 6: the prior is done, the denoiser has not begun.
@pytest.mark.parametrize("at", [long(0), 3, 6, long(7), 11])
def test_a_killed_run_goes_on_exactly_from_its_checkpoint(
    whole: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Checkpoints at every second iteration, and one at the beginning of each phase."""
    out = tmp_path / "run"
    often = config(run=replace(config().run, checkpoint_seconds=-1.0))
    made = 0
    real = Fitting.advance

    def advance(*args: Any) -> None:
        nonlocal made
        if made == at:
            raise KilledError
        made += 1
        real(*args)

    save = phase._checkpoint
    monkeypatch.setattr(
        phase, "_checkpoint", lambda r, n, f: save(r, n, f) if f.step % 2 == 0 else None
    )
    monkeypatch.setattr(Fitting, "advance", advance)
    with pytest.raises(KilledError):
        go(data, out, config=often)
    with (out / "log.jsonl").open("a") as file:
        file.write('{"phase": "denoiser", "step": 99}\n{"phase": "den')  # cut off in its midst
    state = torch.load(out / "state.pt", weights_only=True)
    assert state["steps"] == {"prior": min(at, 6) // 2 * 2, "denoiser": max(0, at - 6) // 2 * 2}
    monkeypatch.setattr(Fitting, "advance", real)
    go(data, out, resume=True, config=often)
    assert log(out) == log(whole)
    assert weights(out) == weights(whole)


@pytest.mark.full
def test_more_iterations_of_the_last_phase(whole: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    report = go(data, out, resume=True)  # all done: nothing is added
    assert report.steps == (6, 6)
    assert weights(out) == weights(whole)
    assert log(out) == log(whole)


def test_max_time_ends_each_phase(data: Path, tmp_path: Path) -> None:
    """A second goes by at each look at the clock."""
    endless = replace(config().prior_phase, steps=10**6)
    endless_both = config(
        prior_phase=endless, denoiser_phase=replace(config().denoiser_phase, steps=10**6)
    )
    told = Told()
    report = go(data, tmp_path / "run", told=told, config=endless_both, max_seconds=0.4)
    assert report.ended == "time"
    assert min(report.steps) >= 1
    assert max(report.steps) < 1000
    assert zoo.load(str(tmp_path / "run")).config.denoiser is not None
    rates = [line["rate"] for line in told.lines if line["phase"] == "prior"]
    assert rates == sorted(rates, reverse=True)  # it falls with the time
    assert report.seconds < 60


@pytest.mark.full
def test_a_prior_alone(data: Path, tmp_path: Path) -> None:
    """No iterations of the denoiser, no denoiser: also when the run is gone on with."""
    out = tmp_path / "run"
    alone = config(denoiser_phase=replace(config().denoiser_phase, steps=0))
    with asked_after(3):
        assert go(data, out, config=alone).ended == "signal"
    assert zoo.load(str(out)).config.denoiser is None
    report = go(data, out, resume=True, config=alone)
    assert (report.ended, report.steps) == ("steps", (6, 0))
    go(data, tmp_path / "straight", config=alone)
    assert weights(out) == weights(tmp_path / "straight")
    assert "no detail can be drawn" in (out / "card.md").read_text()


# From a model


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = models.config(tiles=TileConfig(size=64, margin=8))
    made = replace(made, operator=replace(made.operator, scales=(1.5, 3.0)))
    return str(models.write(tmp_path_factory.mktemp("start") / "old", made))


def test_tuning_starts_from_the_model(data: Path, tmp_path: Path, shipped: str) -> None:
    out = tmp_path / "run"
    still = config(
        prior_phase=replace(config().prior_phase, learning_rate=0.0, steps=1),
        denoiser_phase=replace(config().denoiser_phase, learning_rate=0.0, steps=1),
    )
    go(data, out, config=still, start=shipped)
    before, after = (load_file(Path(p) / "weights.safetensors") for p in (shipped, out))
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        if name not in ("prior.contexts", "denoiser.deviations"):  # measured anew on the data
            np.testing.assert_allclose(after[name], tensor, atol=1e-6, err_msg=name)
    assert not np.array_equal(before["denoiser.deviations"], after["denoiser.deviations"])
    old, new = (zoo.load(str(p)).config for p in (shipped, out))
    assert (new.encoder, new.operator, new.denoiser) == (old.encoder, old.operator, old.denoiser)
    assert new.trained.scales == (1.5, 2.5)
    assert f"**Started from**: {shipped}" in (out / "card.md").read_text()


def test_tuning_with_the_contexts_of_the_model(data: Path, tmp_path: Path, shipped: str) -> None:
    out = tmp_path / "run"
    stored = replace(config().prior_phase, contexts="stored")
    go(data, out, config=config(prior_phase=stored), start=shipped)
    before, after = (load_file(Path(p) / "weights.safetensors") for p in (shipped, out))
    np.testing.assert_array_equal(after["prior.contexts"], before["prior.contexts"])
    lifting = "prior.operator.lift.weight"
    assert not np.array_equal(after[lifting], before[lifting])
    with pytest.raises(InputError, match="a model that begins anew has stored none"):
        go(data, tmp_path / "other", config=config(prior_phase=stored))


def test_tuning_is_gone_on_with_exactly(data: Path, tmp_path: Path, shipped: str) -> None:
    small = config(operator=replace(config().operator, scales=(9.0,)))
    go(data, tmp_path / "straight", config=small, start=shipped)
    out = tmp_path / "run"
    with asked_after(2):
        go(data, out, config=small, start=shipped)
    assert zoo.load(str(out)).config.denoiser is not None  # the model's own, still good
    go(data, out, config=small, start=shipped, resume=True)
    assert weights(out) == weights(tmp_path / "straight")
    with pytest.raises(InputError, match=r"started from .*old, not from aerial; leave out -m"):
        go(data, out, start="aerial", resume=True)


@pytest.mark.full
def test_tuning_is_gentle_unless_told_otherwise(
    data: Path, tmp_path: Path, shipped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        run, "TUNING", replace(TUNING, data=config().data, denoiser_phase=config().denoiser_phase)
    )
    go(data, tmp_path / "run", config=None, start=shipped, max_steps=1)
    found = read_train_config(tmp_path / "run" / "train.toml")
    assert found.prior_phase == TUNING.prior_phase
    assert found.encoder == models.config().encoder
    before, after = (
        load_file(Path(p) / "weights.safetensors") for p in (shipped, tmp_path / "run")
    )
    np.testing.assert_array_equal(after["prior.contexts"], before["prior.contexts"])


@pytest.mark.parametrize(
    ("start", "error", "message"),
    [
        ("nothing", UnknownModelError, "no model 'nothing': expected one of"),
        ("paper", ModelError, "an imported paper model cannot be trained on"),
    ],
)
def test_models_that_cannot_be_started_from(
    data: Path, tmp_path: Path, start: str, error: type[Exception], message: str
) -> None:
    models.write(tmp_path / "paper", models.config("paper"))
    named = str(tmp_path / start) if start == "paper" else start
    with pytest.raises(error, match=message):
        go(data, tmp_path / "run", start=named)
    assert not (tmp_path / "run").exists()


# Bad input


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(InputError, match="no rasters to train on in"):
        go(tmp_path / "data", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_bad_files_among_good_ones(tmp_path: Path) -> None:
    """One that does not open, and one that breaks off in its middle: both counted and named."""
    folder = images(tmp_path / "data")
    (folder / "none.tif").write_bytes(b"no raster")
    broken = rasters.write(folder / "broken.tif", textured(9, 3, 400, 400), colours=RGB)
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    rasters.write(tmp_path / "val.tif", textured(1, 3, 64, 64), transform=east_of(9000))
    told = Told()
    windows = config(data=replace(config().data, cache_gb=0.0))
    (tmp_path / "val").mkdir()
    (tmp_path / "val.tif").rename(tmp_path / "val" / "val.tif")
    report = go(folder, tmp_path / "run", told=told, config=windows, val=[tmp_path / "val"])
    assert report.ended == "steps"
    assert [s.path.name for s in report.skipped] == ["none.tif", "broken.tif"]
    assert f"skipped: cannot open {folder / 'none.tif'}" in told.notes[0]
    assert "7 scenes to train on, 1 to validate on, 1 skipped" in told.notes[1]
    assert re.fullmatch(rf"could not be read \d+ times: cannot read {broken} .*", told.notes[-1])


@pytest.mark.full
def test_mixed_band_counts_work(tmp_path: Path) -> None:
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
    """Crops become smaller with the scenes, down to where nothing is left to learn from."""
    folder = images(tmp_path / "data", side=30)
    assert go(folder, tmp_path / "run", max_steps=1).steps == (1, 1)
    tiny = images(tmp_path / "tiny", side=20)
    with pytest.raises(InputError, match=r"crops of 26 x 26 pixels at least .* here they have 20"):
        go(tiny, tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("name", ["prior", "denoiser"])
def test_a_loss_that_is_no_number(
    whole: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    out, calls = tmp_path / "run", 0
    real = getattr(losses, f"{name}_loss")

    def loss(*args: Any, **asked: Any) -> Any:
        nonlocal calls
        calls += 1
        return real(*args, **asked) * (math.nan if calls == 4 else 1)

    monkeypatch.setattr(losses, f"{name}_loss", loss)
    with pytest.raises(TrainingError, match=r"iteration 4 is nan.* go on with --resume") as caught:
        go(data, out)
    assert "\n" not in str(caught.value)
    assert str(out / "train.toml") in str(caught.value)
    state = torch.load(out / "state.pt", weights_only=True)
    assert state["phase"] == name
    assert all(v.isfinite().all() for v in state["network"].values())
    go(data, out, resume=True)
    assert weights(out) == weights(whole)
    assert log(out) == log(whole)


@pytest.mark.parametrize("failing", ["checkpoint", long("weights"), long("log")])
def test_a_full_disk(
    whole: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """It is told in a line, and what stood before stands."""
    out = tmp_path / "run"
    often = replace(config().run, checkpoint_seconds=-1.0)
    full, made = OSError(errno.ENOSPC, "No space left on device"), 0
    with monkeypatch.context() as patched:

        def broken(real: Callable[..., Any]) -> Callable[..., Any]:
            def called(*args: Any, **kwargs: Any) -> Any:
                nonlocal made
                made += 1
                if made > 3:
                    if failing == "checkpoint":
                        Path(args[1]).write_bytes(b"half")
                    raise full
                return real(*args, **kwargs)

            return called

        if failing == "checkpoint":
            patched.setattr(torch, "save", broken(torch.save))
        elif failing == "weights":
            made = 2
            patched.setattr("rs_superres.training.folder.save_weights", broken(_save))
        else:
            patched.setattr(json, "dumps", broken(json.dumps))
        with pytest.raises(RasterError, match=r"cannot write in .*: No space left on device; the"):
            go(data, out, config=config(run=often))
    assert not list(out.glob(".*partial"))
    go(data, out, resume=True)
    assert weights(out) == weights(whole)
    assert log(out) == log(whole)


def _save(*args: Any) -> None:
    from rs_superres.zoo.checkpoint import save_weights  # noqa: PLC0415 (the one not patched)

    save_weights(*args)


def test_out_exists(whole: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds a run already: --resume goes on with it"):
        go(data, whole)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("notes", "file"):
        with pytest.raises(InputError, match="exists and is not an empty folder"):
            go(data, tmp_path / name)
    assert (tmp_path / "notes" / "a.txt").read_text() == (tmp_path / "file").read_text() == "mine"
    assert [p.name for p in (tmp_path / "notes").iterdir()] == ["a.txt"]


def test_nothing_to_resume(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run to resume; leave out --resume"):
        go(data, tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()
    RunFolder(tmp_path / "begun").begin(config())
    with pytest.raises(InputError, match="holds no run to resume"):
        go(data, tmp_path / "begun", resume=True)


def test_a_damaged_checkpoint(whole: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    for content in (b"", b"no checkpoint", (out / "state.pt").read_bytes()[:999]):
        (out / "state.pt").write_bytes(content)
        with pytest.raises(InputError, match=r"state\.pt is damaged"):
            go(data, out, resume=True)


@pytest.mark.full
def test_another_configuration_on_resume(whole: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    with pytest.raises(InputError, match=r"is not that of the run in .*; leave out -c"):
        go(data, out, resume=True, config=config(seed=9))
    go(data, out, resume=True, config=config())
    assert weights(out) == weights(whole)


# Validation


def test_training_never_sees_what_is_held_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single scene: its last rows are white, and no crop has a white pixel."""
    pixels = textured(1, 3, 250, 64, high=200)
    pixels[:, 200:] = 255
    (tmp_path / "data").mkdir()
    rasters.write(tmp_path / "data" / "a.tif", pixels, colours=RGB)
    brightest = []
    real = phase._loss

    def loss(run: Any, name: Any, batch: Any, step: int) -> Any:
        brightest.append(float(batch.high.max()))
        return real(run, name, batch, step)

    monkeypatch.setattr(phase, "_loss", loss)
    go(tmp_path / "data", tmp_path / "run")
    assert len(brightest) == 12
    assert max(brightest) <= 200 / 127.5 - 1 + 1e-6
    assert "Held out by place." in (tmp_path / "run" / "card.md").read_text()


def test_a_validation_folder_beside_the_data_is_told(tmp_path: Path) -> None:
    for name, metres in (("data", (0, 9000, 50_000)), ("val", (0, 9400, 90_000))):
        (tmp_path / name).mkdir()
        for i, east in enumerate(metres):
            rasters.write(
                tmp_path / name / f"{i}.tif",
                textured(i, 3, 64, 64),
                transform=east_of(east),
                colours=RGB,
            )
    told = Told()
    go(tmp_path / "data", tmp_path / "run", told=told, val=[tmp_path / "val"], max_steps=1)
    [note] = [n for n in told.notes if "too good" in n]
    assert note.startswith("2 of 3 validation scenes are among the training scenes or within 1 km")
    assert "Named by whoever trained." in (tmp_path / "run" / "card.md").read_text()
    # A folder within the data is its own neighbour, map or none.
    told = Told()
    inner = images(tmp_path / "data" / "inner", 2)
    go(tmp_path / "data", tmp_path / "again", told=told, val=[inner], max_steps=1)
    assert any(n.startswith("2 of 2 validation") for n in told.notes)
    told = Told()
    outer = images(tmp_path / "outer", 2)
    go(tmp_path / "data", tmp_path / "third", told=told, val=[outer], max_steps=1)
    assert not any("too good" in n for n in told.notes)


@pytest.mark.full
def test_validation_images_too_small_to_score(data: Path, tmp_path: Path) -> None:
    small = images(tmp_path / "val", 2, 20)
    report = go(data, tmp_path / "run", val=[small], max_steps=1)
    assert list(report.scores) == []
    assert "Not measured" in (tmp_path / "run" / "card.md").read_text()
    assert not (tmp_path / "run" / "validation.png").exists()


def test_everything_is_read_back(tmp_path: Path) -> None:
    """An odd configuration too, its words on the card and in the TOML."""
    made = TrainConfig(run=RunConfig(log_every=7))
    folder = RunFolder(tmp_path / "run")
    folder.begin(made)
    folder.save_state({"a": 1})
    assert folder.config() == made
    (tmp_path / "run" / "train.toml").write_text(to_toml(replace(made, denoiser=None)))
    assert folder.config() == replace(made, denoiser=None)
