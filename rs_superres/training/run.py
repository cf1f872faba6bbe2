"""A training run from start to finish: scenes, phases, scores, and the model folder."""

from __future__ import annotations

import logging
import math
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from rs_superres import zoo
from rs_superres.config import TextureConfig
from rs_superres.errors import InputError, MissingPackageError
from rs_superres.image.pictures import save
from rs_superres.nets.build import SceneNetwork, scene_network, to_channels_last
from rs_superres.raster import SkippedFile, lines_about
from rs_superres.system.devices import Precision, resolve_device
from rs_superres.system.settings import ScopedSetting
from rs_superres.training import losses, pictures, validation
from rs_superres.training.batches import Crops
from rs_superres.training.config import TUNING, TrainConfig
from rs_superres.training.distributed import World, is_main_process, local_device, process_group
from rs_superres.training.folder import RunFolder
from rs_superres.training.limit import WRITING_SECONDS, TimeLimit
from rs_superres.training.phase import Ended, fit_phase
from rs_superres.training.scenes import NEAR, TrainingScene, count_seen, find_scenes, split
from rs_superres.training.session import Listener, PhaseName, Session, SilentListener
from rs_superres.zoo.checkpoint import SOURCE_AWARE, load_weights

logger = logging.getLogger(__name__)

WINDOWS = 24
"""Windows on which the finished model is scored."""

SHOWN = 6
"""Windows on the sheet."""

STOPPED_SCORING_SECONDS = 30.0
"""Seconds for scoring after a signal: whoever sent it may not wait longer."""

PROBE_KEY = 4
"""Random key of the crops on which the speed of calibration is measured."""


def _set_benchmark(enabled: bool) -> None:
    torch.backends.cudnn.benchmark = enabled


# Batches have few shapes: on a GPU it pays to search the fastest convolution for each of them.
_cudnn_benchmark = ScopedSetting(lambda: bool(torch.backends.cudnn.benchmark), _set_benchmark)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """The options of a training run."""

    data: Sequence[Path]
    """Folders of rasters to train on."""
    out: Path
    """The run's folder, which becomes the model folder."""
    val: Sequence[Path] = ()
    """Folders of validation rasters; if empty, places of ``data`` are held out."""
    config: TrainConfig | None = None
    """Configuration. None for the default one, :data:`TUNING` with ``start``, or that of the
    resumed run."""
    start: str | None = None
    """Model to start from: the name of a shipped one, or a folder."""
    resume: bool = False
    """Continue the run in ``out``."""
    max_steps: int | None = None
    """Largest number of iterations in each phase."""
    max_seconds: float | None = None
    """Time limit of the run in seconds, including calibration and scoring, and the time before a
    resume."""
    device: str = "auto"
    precision: Precision = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """The outcome of a training run."""

    out: Path
    steps: tuple[int, int]
    """Iterations of the prior's phase and of the denoiser's."""
    seconds: float
    """Time of this call."""
    ended: Ended
    """The reason why the last phase ended."""
    scores: Sequence[validation.Score]
    windows: int
    """Number of validation windows that were scored."""
    windows_chosen: int
    """Number of validation windows that would be scored without a time limit."""
    skipped: Sequence[SkippedFile]
    """Files that were not used, or could not be read at times."""


def train(options: TrainOptions, listener: Listener) -> TrainReport:
    """Train a model, or resume a run.

    Args:
        options: data, folder and limits.
        listener: receives messages, log lines and scores.

    Returns:
        The outcome; the model is in the run's folder.

    Raises:
        InputError: the options or the data cannot be used.
        ModelError: the configuration or the model to start from cannot be used.
        TrainingError: the loss became NaN or infinite; the last good checkpoint is kept.
        WriteError: the run's folder cannot be written.
    """
    started = time.monotonic()
    if not is_main_process():
        listener = SilentListener()
    with _signals_caught() as stop_requested:
        run, skipped = _begin(options, listener, stop_requested, started)
        evaluation, chosen = validation.ValidationResult(), 0
        with process_group(run.device) as run.world:
            if run.world.is_main and not options.resume:
                run.folder.begin(run.config)
            if run.world.is_main:
                run.folder.open_board()
            with _cudnn_benchmark.held(True):
                ended = _phases(run, resume=options.resume)
            if run.world.is_main:
                evaluation, chosen = _finish(run, ended)
    unreadable = _by_file(run.unreadable)
    for file, times in unreadable:
        listener.note(f"could not be read {times} times: {file.reason}")
    return TrainReport(
        out=options.out,
        steps=(run.steps["prior"], run.steps["denoiser"]),
        seconds=time.monotonic() - started,
        ended=ended,
        scores=evaluation.scores,
        windows=evaluation.windows,
        windows_chosen=chosen,
        skipped=[*skipped, *(file for file, _ in unreadable)],
    )


def _by_file(unreadable: Counter[SkippedFile]) -> list[tuple[SkippedFile, int]]:
    """Merge the failed attempts at each file: its first reason, and the number of attempts."""
    first: dict[Path, SkippedFile] = {}
    times: Counter[Path] = Counter()
    for file, count in unreadable.items():
        first.setdefault(file.path, file)
        times[file.path] += count
    return [(file, times[path]) for path, file in first.items()]


def _begin(
    options: TrainOptions,
    listener: Listener,
    stop_requested: Callable[[], bool],
    started: float,
) -> tuple[Session, list[SkippedFile]]:
    """Read configuration, scenes and weights, without writing anything.

    Returns:
        The run, and the files that cannot be used.
    """
    device = local_device(resolve_device(options.device))
    folder = RunFolder(options.out)
    config = _resolve_config(options, folder)
    training, held_out, skipped = _find_scenes(options, config, listener)
    for line in lines_about(skipped):
        listener.note(line)
    skipped = [file for file in skipped if file.is_raster]
    listener.note(
        f"{len(training)} scenes to train on, {len(held_out)} to validate on, "
        f"{len(skipped)} skipped"
    )
    crops = Crops(training, config.data, config.degradation)
    if crops.largest < config.least_crop:
        raise InputError(
            f"crops must have at least {config.least_crop} x {config.least_crop} pixels, but here "
            f"they have {crops.largest} (the smaller side of the largest scene, or largest_crop in "
            "[data] of the configuration)"
        )
    seconds = math.inf if options.max_seconds is None else options.max_seconds
    run = Session(
        folder=folder,
        config=config,
        start=options.start,
        draws_from_start=_has_denoiser(config, options.start),
        world=World(),
        device=device,
        precision=options.precision,
        network=_network(config, None if options.resume else options.start, device),
        training=training,
        held_out=held_out,
        held_out_by_place=not options.val,
        crops=crops,
        listener=listener,
        stop_requested=stop_requested,
        max_steps=options.max_steps,
        limit=TimeLimit(seconds=seconds, started=started),
        windows=WINDOWS,
    )
    return run, skipped


def _resolve_config(options: TrainOptions, folder: RunFolder) -> TrainConfig:
    """Return the configuration of the run, after checking it against the folder.

    Raises:
        InputError: the folder holds no run to resume, or would be overwritten, or the
            configuration does not fit.
    """
    if options.resume:
        config = folder.config()
        if options.config is not None and _adapt(options.config, options.start) != config:
            raise InputError(
                f"the given configuration differs from that of the run in {folder.path}; leave out "
                "config=, or begin a new run"
            )
        return config
    folder.check_new()
    config = options.config or (TrainConfig() if options.start is None else TUNING)
    return _adapt(config, options.start)


def _adapt(config: TrainConfig, start: str | None) -> TrainConfig:
    """Adapt a configuration to the model that the run starts from, or to random weights."""
    if start is not None:
        return config.continued(zoo.config_of(start))
    if config.prior_phase.contexts == "stored":
        raise InputError(
            'contexts is "stored", but a new model has no stored contexts; use "crops", or give a '
            "model to start from with start="
        )
    if config.denoiser_phase.steps == 0:
        return replace(config, texture=None)
    if config.texture is None:
        return replace(config, texture=TextureConfig())
    return config


def _find_scenes(
    options: TrainOptions, config: TrainConfig, listener: Listener
) -> tuple[list[TrainingScene], list[TrainingScene], list[SkippedFile]]:
    """Return the training scenes, the validation scenes, and the files that cannot be used."""
    scenes, skipped = find_scenes(options.data, cache_bytes=config.data.cache_gb * 1e9)
    if not options.val:
        return *split(scenes, config.data.validation, config.data.largest_crop), skipped
    held_out, more = find_scenes(options.val, cache_bytes=0)
    seen = count_seen(held_out, scenes)
    if seen:
        listener.note(
            f"{seen} of {len(held_out)} validation scenes are training scenes or lie within "
            f"{NEAR / 1000:g} km of them: the scores will be too good"
        )
    return scenes, held_out, [*skipped, *more]


def _network(config: TrainConfig, start: str | None, device: torch.device) -> SceneNetwork:
    """Build the network with the weights of a model, or with random ones that the seed fixes."""
    torch.manual_seed(config.seed)
    network = scene_network(config.model(None))
    if start is not None:
        weights = zoo.find(start) / "weights.safetensors"
        part = "" if _has_denoiser(config, start) else "prior."
        load_weights(network, weights, part=part, may_lack=SOURCE_AWARE)
    to_channels_last(network)
    network.to(device)
    return network


def _has_denoiser(config: TrainConfig, start: str | None) -> bool:
    """Return whether the model that a run starts from has the denoiser of the run."""
    if start is None:
        return False
    model = zoo.config_of(start)
    return model.texture == config.texture


def _phases(run: Session, *, resume: bool) -> Ended:
    """Train both phases, or resume at the last checkpoint."""
    state = run.folder.load_state() if resume else None
    names: list[PhaseName] = ["prior"] if run.network.denoiser is None else ["prior", "denoiser"]
    if state is not None:
        with run.folder.restoring():
            names = names[names.index(_restore(run, state)) :]
    if run.limit.is_set:
        _measure_speed(run)
    ended: Ended = "steps"
    for name in names:
        resumed = state["fitting"] if state and state["phase"] == name else None
        ended = fit_phase(run, name, resumed)
        if ended == "signal":
            break
    return ended


def _restore(run: Session, state: dict[str, Any]) -> PhaseName:
    """Continue at a checkpoint, and return the phase that it is in.

    Raises:
        InputError: the run started from another model.
    """
    run.network.load_state_dict(state["network"])
    run.steps |= state["steps"]
    if run.start not in (None, state["start"]):
        raise InputError(
            f"the run in {run.folder.path} started from {state['start'] or 'random weights'}, "
            f"not from {run.start}; leave out start=, or begin a new run"
        )
    run.start = state["start"]
    run.draws_from_start = state.get("draws_from_start", run.start is not None)
    run.limit.add_elapsed(state.get("elapsed", state["fitting"]["seconds"]))
    phase: PhaseName = state["phase"]
    if run.world.is_main:
        run.folder.truncate_log(phase, state["fitting"]["step"])
    return phase


def _measure_speed(run: Session) -> None:
    """Measure the speed of calibration and scoring, whose time is kept aside from the limit."""
    key = run.config.seed, PROBE_KEY
    crop = losses.calibration_seconds(run.network, run.crops, key=key)
    window = 0.0
    windows = validation.validation_windows(run.held_out, 1) if run.world.is_main else []
    if windows:
        config = run.config.model(None)
        model = replace(run.loaded_model(), config=config, network=run.network)
        default = run.network.denoiser is not None
        window = validation.window_seconds(windows[0], model, len(run.scales), default=default)
        run.network.train()
    # Every process plans with the same numbers.
    run.limit.crop_seconds, run.limit.window_seconds = run.world.all_reduce_max(
        (crop, window), run.device
    )
    logger.debug(
        "calibration takes %.2f s a crop, scoring %.2f s a window",
        run.limit.crop_seconds, run.limit.window_seconds,
    )  # fmt: skip


def _finish(run: Session, ended: Ended) -> tuple[validation.ValidationResult, int]:
    """Score the model, write it, and draw the pictures.

    Returns:
        The scores, and the number of windows that would be scored without a time limit.
    """
    windows = validation.validation_windows(run.held_out, WINDOWS)
    chosen = len(windows)
    if not run.limit.has_time_to_score():
        windows = []
    seconds = run.limit.remaining() - WRITING_SECONDS
    if ended == "signal":
        seconds = min(seconds, STOPPED_SCORING_SECONDS)
    evaluation = run.evaluate(windows, default=True, seconds=seconds, keep=SHOWN)
    run.save_model(evaluation)
    try:
        pictures.loss_curve(run.folder.lines(), run.folder.path / "loss.png")
    except MissingPackageError as error:  # the model is there, and log.jsonl has the losses
        run.listener.note(f"loss.png is not written: {error}")
    if evaluation.trials:
        save(pictures.sheet(evaluation.trials), run.folder.path / "validation.png")
    return evaluation, chosen


@contextmanager
def _signals_caught() -> Iterator[Callable[[], bool]]:
    """Catch SIGTERM and SIGINT for a block, so that the run ends after the current iteration.

    A second SIGINT raises KeyboardInterrupt. In a thread other than the main one, signals are not
    caught.

    Yields:
        A function that returns whether a signal was received.
    """
    received: list[int] = []

    def receive(number: int, frame: object) -> None:
        del frame
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    try:
        before = {s: signal.signal(s, receive) for s in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not in the main thread, the only one that may set handlers
        before = {}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
