"""A training run from end to end: scenes, phases, scores, and the model folder."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from rs_superres import zoo
from rs_superres.errors import InputError
from rs_superres.image.pictures import save
from rs_superres.nets.build import SceneNetwork, scene_network, to_channels_last
from rs_superres.system.devices import Precision, resolve_device
from rs_superres.system.settings import ScopedSetting
from rs_superres.training import pictures, validation
from rs_superres.training.batches import Crops
from rs_superres.training.config import TUNING, TrainConfig
from rs_superres.training.distributed import World, joined, local_device, speaks
from rs_superres.training.folder import RunFolder
from rs_superres.training.phase import Ended, fit_phase
from rs_superres.training.scenes import NEAR, SkippedFile, TrainingScene, find_scenes, near, split
from rs_superres.training.session import Listener, PhaseName, Session, Silence
from rs_superres.zoo.checkpoint import load_weights

WINDOWS = 24
"""Windows that the finished model is scored on."""

SHOWN = 6
"""Windows on the sheet."""


def _seek(fastest: bool) -> None:
    torch.backends.cudnn.benchmark = fastest


# Shapes of batches come again and again: on a GPU the fastest convolution for each is looked for.
_fastest = ScopedSetting(lambda: bool(torch.backends.cudnn.benchmark), _seek)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """What a caller asks for."""

    data: Sequence[Path]
    """Folders of rasters."""
    out: Path
    """The run's folder."""
    val: Sequence[Path] = ()
    """Folders of validation rasters; held out of ``data`` by place where empty."""
    config: TrainConfig | None = None
    """None: the usual one, :data:`TUNING` from a model, or the resumed run's."""
    start: str | None = None
    """A model to start from: shipped, or a folder."""
    resume: bool = False
    """Go on with the run that stands in ``out``."""
    max_steps: int | None = None
    """Iterations of each phase, at most."""
    max_seconds: float | None = None
    """Time of the whole run."""
    device: str = "auto"
    precision: Precision = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What a run did."""

    out: Path
    steps: tuple[int, int]
    """Iterations of the prior's phase, and of the denoiser's."""
    seconds: float
    ended: Ended
    scores: Sequence[validation.Score]
    skipped: Sequence[SkippedFile]
    """Files that were not trained on."""


def train(options: TrainOptions, listener: Listener) -> TrainReport:
    """Train a model, or go on with a run.

    Returns:
        What was done; the model stands in the run's folder.

    Raises:
        InputError: options or data that cannot be used.
        ModelError: a configuration or a model that cannot be used.
        TrainingError: the loss is no number any more; the last good checkpoint is kept.
        RasterError: the run's folder cannot be written.
    """
    began = time.monotonic()
    if not speaks():
        listener = Silence()
    with _stopping() as stopped:
        run, skipped = _begin(options, listener, stopped)
        with joined(run.device) as run.world:
            if run.world.leads and not options.resume:
                run.folder.begin(run.config)
            if run.world.leads:
                run.folder.open_board()
            with _fastest.held(True):
                ended = _phases(run, resume=options.resume)
            scores = _finish(run) if run.world.leads else []
    lost = _by_file(run.lost)
    for each, times in lost:
        listener.note(f"could not be read {times} times: {each.reason}")
    return TrainReport(
        out=options.out,
        steps=(run.steps["prior"], run.steps["denoiser"]),
        seconds=time.monotonic() - began,
        ended=ended,
        scores=scores,
        skipped=[*skipped, *(each for each, _ in lost)],
    )


def _by_file(lost: Counter[SkippedFile]) -> list[tuple[SkippedFile, int]]:
    """Each file that could not be read at times, with its first reason, and how often."""
    first: dict[Path, SkippedFile] = {}
    times: Counter[Path] = Counter()
    for each, count in lost.items():
        first.setdefault(each.path, each)
        times[each.path] += count
    return [(each, times[path]) for path, each in first.items()]


def _begin(
    options: TrainOptions, listener: Listener, stopped: Callable[[], bool]
) -> tuple[Session, list[SkippedFile]]:
    """Read configuration, scenes and weights; nothing is written yet."""
    device = local_device(resolve_device(options.device))
    folder = RunFolder(options.out)
    config = _resolved(options, folder)
    training, held, skipped = _scenes(options, config, listener)
    for lost in skipped:
        listener.note(f"skipped: {lost.reason}")
    listener.note(
        f"{len(training)} scenes to train on, {len(held)} to validate on, {len(skipped)} skipped"
    )
    crops = Crops(training, config.data, config.degradation)
    if crops.largest < config.least_crop:
        raise InputError(
            f"crops of {config.least_crop} x {config.least_crop} pixels at least are needed, and "
            f"here they have {crops.largest} (the largest scene's smaller side, or largest_crop in "
            "[data] of the configuration)"
        )
    run = Session(
        folder=folder,
        config=config,
        start=options.start,
        world=World(),
        device=device,
        precision=options.precision,
        network=_network(config, None if options.resume else options.start, device),
        training=training,
        held_out=held,
        by_place=not options.val,
        crops=crops,
        listener=listener,
        stopped=stopped,
        max_steps=options.max_steps,
        max_seconds=options.max_seconds,
    )
    return run, skipped


def _resolved(options: TrainOptions, folder: RunFolder) -> TrainConfig:
    """The run's configuration."""
    if options.resume:
        config = folder.config()
        if options.config is not None and _sized(options.config, options.start) != config:
            raise InputError(
                f"the configuration given is not that of the run in {folder.path}; leave out -c, "
                "or begin another run"
            )
        return config
    folder.check_new()
    config = options.config or (TrainConfig() if options.start is None else TUNING)
    return _sized(config, options.start)


def _sized(config: TrainConfig, start: str | None) -> TrainConfig:
    """A configuration with the sizes of the model that is started from."""
    if start is not None:
        return config.continued(zoo.config_of(start))
    if config.prior_phase.contexts == "stored":
        raise InputError(
            'contexts is "stored", but a model that begins anew has stored none: take "crops", or '
            "name with -m a model to go on from"
        )
    return replace(config, denoiser=None) if config.denoiser_phase.steps == 0 else config


def _scenes(
    options: TrainOptions, config: TrainConfig, listener: Listener
) -> tuple[list[TrainingScene], list[TrainingScene], list[SkippedFile]]:
    """Scenes to train on, scenes to validate on, and files that are neither."""
    scenes, skipped = find_scenes(options.data, cache_bytes=config.data.cache_gb * 1e9)
    if options.val:
        held, more = find_scenes(options.val, cache_bytes=0)
        seen = sum(any(near(one, other) for other in scenes) for one in held)
        if seen:
            listener.note(
                f"{seen} of {len(held)} validation scenes are among the training scenes or within "
                f"{NEAR / 1000:g} km of them: scores will be too good"
            )
        return scenes, held, [*skipped, *more]
    return *split(scenes, config.data.validation, config.data.largest_crop), skipped


def _network(config: TrainConfig, start: str | None, device: torch.device) -> SceneNetwork:
    """The network to train, its first weights a function of the seed."""
    torch.manual_seed(config.seed)
    network = scene_network(config.model(None))
    if start is not None:
        load_weights(network, zoo.find(start) / "weights.safetensors")
    to_channels_last(network)
    network.to(device)
    return network


def _phases(run: Session, *, resume: bool) -> Ended:
    """Both phases, from where the last checkpoint stands."""
    state = run.folder.load_state() if resume else None
    names: list[PhaseName] = ["prior"] if run.network.denoiser is None else ["prior", "denoiser"]
    if state is not None:
        run.network.load_state_dict(state["network"])
        run.steps |= state["steps"]
        if run.start not in (None, state["start"]):
            raise InputError(
                f"the run in {run.folder.path} started from {state['start'] or 'random weights'}, "
                f"not from {run.start}; leave out -m, or begin another run"
            )
        run.start = state["start"]
        if run.world.leads:
            run.folder.forget_after(state["phase"], state["fitting"]["step"])
        names = names[names.index(state["phase"]) :]
    ended: Ended = "steps"
    for name in names:
        resumed = state["fitting"] if state and state["phase"] == name else None
        ended = fit_phase(run, name, resumed)
        if ended == "signal":
            break
    return ended


def _finish(run: Session) -> list[validation.Score]:
    """Score the model, write it, and draw the pictures."""
    windows = validation.truths(run.held_out, WINDOWS)
    scores = run.scores(windows, default=True)
    run.save_model(scores, len(windows))
    pictures.loss_curve(run.folder.lines(), run.folder.path / "loss.png")
    if windows:
        model = run.model()
        trials = [validation.restored(w, model, 4.0, default=run.draws) for w in windows[:SHOWN]]
        save(pictures.sheet(trials), run.folder.path / "validation.png")
    return scores


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM or SIGINT came: the run then ends after the iteration at hand."""
    asked: list[int] = []

    def ask(number: int, frame: object) -> None:
        del frame
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)

    try:
        before = {s: signal.signal(s, ask) for s in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not the main thread, which alone is sent signals
        before = {}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
