"""One phase of a run: batches drawn ahead, iterations, checkpoints and validations."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from rs_superres.errors import InputError, SuperResError, TrainingError
from rs_superres.system.devices import resolve_precision
from rs_superres.system.threads import cores
from rs_superres.training import losses, validation
from rs_superres.training.batches import Batch, drawn_scale
from rs_superres.training.folder import CONFIG
from rs_superres.training.optimiser import Fitting, Pace
from rs_superres.training.session import PhaseName, Session

WINDOWS = 8
"""Windows of a validation on the way."""

WORKERS = 15
"""Processes that draw batches for a GPU, at most."""

CONTEXT, DEVIATION = 2, 3
"""Names of the batches that the stored contexts, and the deviations, are measured on."""

Ended = Literal["steps", "time", "signal"]


def fit_phase(run: Session, name: PhaseName, resumed: dict[str, Any] | None) -> Ended:
    """Train one phase until its iterations or its time are over, or somebody asks to stop.

    Leaves the averaged weights in the network, and a checkpoint from which it goes on.

    Args:
        run: the run.
        name: which phase.
        resumed: the state of its :class:`Fitting` to go on from.

    Raises:
        TrainingError: the loss is no number any more.
    """
    prior, denoiser = run.network.prior, run.network.denoiser
    module = prior if name == "prior" else denoiser
    if module is None:
        return "steps"
    phase = run.config.prior_phase if name == "prior" else run.config.denoiser_phase
    prior.requires_grad_(name == "prior")
    if name == "denoiser" and resumed is None:
        losses.measure_residual(run.network, run.crops, key=(run.config.seed, DEVIATION))
    fitting = Fitting(module, phase, run.world)
    if resumed is None:
        _checkpoint(run, name, fitting)  # so that there is one from the beginning
    else:
        fitting.restore(resumed)
    limit = min(phase.steps, run.max_steps or phase.steps)
    try:
        ended = _iterate(run, name, fitting, Pace(limit, _seconds(run, name)))
        fitting.heed()
    except TrainingError as error:
        raise TrainingError(
            f"{error}; the run stops and keeps its last good checkpoint: lower learning_rate in "
            f"{run.folder.path / CONFIG} and go on with --resume, or look for odd values in the "
            "scenes"
        ) from error
    _checkpoint(run, name, fitting)
    if fitting.step:
        fitting.settle()
        if name == "prior":
            _calibrate(run)
    return ended


def _iterate(run: Session, name: PhaseName, fitting: Fitting, pace: Pace) -> Ended:
    """Iterations, with all that happens between them."""
    often = run.config.run
    tick = saved = time.monotonic()
    with _prefetched(run, name, fitting.step, pace.steps) as batches:
        for batch in batches:
            run.lost.update(batch.lost)
            with _autocast(run):
                loss = _loss(run, name, batch, fitting.step)
            fitting.advance(loss, pace.progress(fitting.step, fitting.seconds))
            now = time.monotonic()
            # One clock for all processes: the learning rate depends on it.
            fitting.seconds, stopped = run.world.greatest(
                (fitting.seconds + now - tick, float(run.stopped())), run.device
            )
            tick = now
            run.steps[name] = fitting.step
            due = now - saved > often.checkpoint_seconds
            logs = fitting.step % often.log_every == 0
            validates = fitting.step % often.validate_every == 0
            if stopped or due or logs or validates:
                fitting.heed()  # before anything of it is kept
            if logs:
                _log(run, name, fitting, pace)
            # Before the stop: a resumed run begins after this iteration, and would leave it out.
            if validates and fitting.step < pace.steps:
                _validate(run, name, fitting)
            if stopped:
                return "signal"
            if pace.seconds is not None and fitting.seconds >= pace.seconds:
                return "time"
            if due:
                _checkpoint(run, name, fitting)
                saved = now
    return "steps"


def _seconds(run: Session, name: PhaseName) -> float | None:
    """A phase's share of the time; all of it where there is no other phase."""
    if run.max_seconds is None:
        return None
    config = run.config
    both = config.prior_phase.steps and config.denoiser_phase.steps and config.denoiser is not None
    share = config.run.prior_share if name == "prior" else 1 - config.run.prior_share
    return run.max_seconds * (share if both else 1)


def _key(run: Session, name: PhaseName, step: int) -> tuple[int, int, int]:
    """Names the chance of one iteration, but for the process."""
    return run.config.seed, 0 if name == "prior" else 1, step


def _batch(run: Session, name: PhaseName, step: int) -> Batch:
    """The batch of one iteration of a phase: a function of seed, step and process."""
    key = _key(run, name, step)
    # All processes at one scale: none waits for another's larger crops.
    if name == "prior":
        first = run.config.prior_phase
        scale = drawn_scale(key, first.scales)
        batch = run.crops.batch([*key, run.world.rank], first.batch, first.cells, scale)
        return losses.sampled(batch, _chance(run, name, step), first.points)
    second = run.config.denoiser_phase
    scale = drawn_scale(key, second.scales)
    # Cells for the pixels, and 8 on either side that the prior sees.
    cells = math.ceil(second.pixels / scale) + 16
    batch = run.crops.batch([*key, run.world.rank], second.batch, cells, scale)
    left = (batch.pixels - second.pixels) // 2
    middle = torch.arange(left, left + second.pixels)
    return batch.at(middle, middle)


def _chance(run: Session, name: PhaseName, step: int) -> np.random.Generator:
    """Chance of an iteration beside that of its crops."""
    return np.random.default_rng([*_key(run, name, step), run.world.rank, 2])


def _loss(run: Session, name: PhaseName, batch: Batch, step: int) -> Tensor:
    """The loss of a batch."""
    batch = batch.to(run.device)
    if name == "prior":
        learnt = run.config.prior_phase
        stored = learnt.contexts == "stored"
        return losses.prior_loss(
            run.network.prior,
            batch,
            kind=learnt.loss,
            contexts=run.network.prior.contexts_at(batch.scale) if stored else None,
        )
    denoiser = run.network.denoiser
    if denoiser is None:
        raise InputError("this model has no denoiser to train")
    chance = _chance(run, name, step)
    missed, prior = losses.residual(run.network, batch)
    noise = torch.Generator(run.device).manual_seed(int(chance.integers(2**62)))
    torch.manual_seed(int(chance.integers(2**62)))  # dropout
    clean = missed / denoiser.deviation(batch.scale)
    return losses.denoiser_loss(denoiser, clean, prior, batch.scale, noise)


def _calibrate(run: Session, count: int = 64) -> None:
    """Measure the stored contexts, unless the phase was trained with them."""
    if run.config.prior_phase.contexts == "crops":
        losses.calibrate(run.network.prior, run.crops, key=(run.config.seed, CONTEXT), count=count)


@contextmanager
def _prefetched(run: Session, name: PhaseName, start: int, stop: int) -> Iterator[Iterator[Batch]]:
    """The batches of iterations start to stop, drawn ahead, in their order.

    A thread does it beside a CPU that computes; processes for a GPU, which one Python cannot feed.
    """
    steps = range(start, stop)
    workers = _workers(run)
    if workers:
        loader: DataLoader[Batch | SuperResError] = DataLoader(
            _Drawn(run, name),
            batch_size=None,
            sampler=steps,
            num_workers=workers,
            worker_init_fn=_leave_signals,
            multiprocessing_context="fork",  # scenes in memory are shared, and not copied
            pin_memory=run.device.type == "cuda",
            prefetch_factor=4,
        )
        waiting = iter(loader)
        try:
            yield (_drawn(batch) for batch in waiting)
        finally:
            # An error's traceback would keep it, and with it processes that heed no signal.
            waiting._shutdown_workers()  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
        return
    pool = ThreadPoolExecutor(1)

    def batches() -> Iterator[Batch]:
        waiting: list[Future[Batch]] = []
        for step in steps:
            waiting.append(pool.submit(_batch, run, name, step))
            if len(waiting) > 2:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()

    try:
        yield batches()
    finally:
        pool.shutdown(cancel_futures=True)


class _Drawn(Dataset[Batch | SuperResError]):
    """The batches of a phase by their iteration, or why there is none."""

    def __init__(self, run: Session, name: PhaseName) -> None:
        self._run, self._name = run, name

    def __getitem__(self, step: int) -> Batch | SuperResError:
        try:
            return _batch(self._run, self._name, step)
        except SuperResError as error:  # raised here, it would come out as a traceback's text
            return error


def _drawn(batch: Batch | SuperResError) -> Batch:
    """What came from another process."""
    if isinstance(batch, SuperResError):
        raise batch
    return batch


def _leave_signals(worker: int) -> None:
    """The run's own process heeds them: it still needs batches then."""
    del worker
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _workers(run: Session) -> int:
    """Processes that draw batches; none where a thread keeps up."""
    if run.device.type != "cuda":
        return 0
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(WORKERS, cores() // here - 1))


def _autocast(run: Session) -> AbstractContextManager[Any]:
    """Mixed precision, where it is asked for or the device computes in it."""
    precision = resolve_precision(run.precision, run.device)
    if precision == "fp32":
        return nullcontext()
    if precision == "bf16":
        return torch.autocast(run.device.type, torch.bfloat16)
    raise InputError(f"precision {precision} is not trained in, expected auto, fp32 or bf16")


def _log(run: Session, name: PhaseName, fitting: Fitting, pace: Pace) -> None:
    """A line of the log."""
    loss = float(np.mean(fitting.recent))
    fitting.recent.clear()
    if not run.world.leads:
        return
    progress = pace.progress(fitting.step, fitting.seconds)
    line = {
        "phase": name,
        "step": fitting.step,
        "loss": loss,
        "rate": fitting.rate(progress),
        "seconds": round(fitting.seconds, 1),
        "progress": round(progress, 4),
    }
    run.folder.log(line)
    run.listener.interval(line)


def _checkpoint(run: Session, name: PhaseName, fitting: Fitting) -> None:
    """Keep all that going on exactly needs."""
    if run.world.leads:
        run.folder.save_state(
            {
                "phase": name,
                "network": {k: v.cpu() for k, v in run.network.state_dict().items()},
                "fitting": fitting.state(),
                "steps": dict(run.steps),
                "start": run.start,
            }
        )


def _validate(run: Session, name: PhaseName, fitting: Fitting) -> None:
    """Score the averaged weights, and leave them as a model in the run's folder."""
    if not run.world.leads:
        return
    with fitting.averaged():
        if name == "prior":
            _calibrate(run, count=16)
        windows = validation.truths(run.held_out, WINDOWS)
        scores = run.scores(windows, default=name == "denoiser")
        run.save_model(scores, len(windows))
        run.network.train()
    for score in scores:
        run.folder.log({"phase": name, "step": fitting.step, **score.as_dict()})
    run.listener.validated(name, fitting.step, scores)
