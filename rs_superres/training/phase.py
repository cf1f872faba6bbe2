"""The loop of a phase: batches drawn ahead, iterations, log lines, checkpoints and validations."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from rs_superres.errors import InputError, SuperResError, TrainingError
from rs_superres.system.devices import resolve_precision
from rs_superres.system.threads import cores
from rs_superres.training import validation
from rs_superres.training.batches import Batch
from rs_superres.training.folder import CONFIG
from rs_superres.training.optimiser import Fitting, Pace
from rs_superres.training.session import PhaseName, Session
from rs_superres.training.tasks import PriorTask, Task, task

logger = logging.getLogger(__name__)

WINDOWS = 8
"""Windows of a validation during training."""

VALIDATION_CROPS = 16
"""Crops at each scale on which contexts are measured for a validation, or for a stopped run."""

VALIDATION_SHARE = 0.1
"""Share of the time left in a phase that a validation may take, if the run has a time limit."""

MAX_WORKERS = 15
"""Largest number of processes that draw batches for a GPU."""

Ended = Literal["steps", "time", "signal"]
"""The reason why a phase ended."""


def fit_phase(run: Session, name: PhaseName, resumed: dict[str, Any] | None) -> Ended:
    """Train a phase until its iterations or its time are over, or a signal stops it.

    Afterwards the network has the averaged weights, and the run's folder has a checkpoint from
    which the phase can be resumed.

    Args:
        run: the run.
        name: the phase.
        resumed: state of the phase's :class:`Fitting` in the checkpoint; None for a new phase.

    Raises:
        TrainingError: the loss became NaN or infinite.
        WriteError: the run's folder cannot be written.
    """
    current = task(run, name)
    if resumed is None:
        current.measure_before()
    fitting = Fitting(current.module, current.settings, run.world)
    if resumed is None:
        _checkpoint(run, current, fitting)  # so that the run can be resumed from its beginning
    else:
        with run.folder.restoring():
            fitting.restore(resumed)
    steps = min(current.settings.steps, run.max_steps or current.settings.steps)
    pace = Pace(steps, _phase_seconds(run, current, fitting))
    logger.debug("%s: %d iterations at most, %s s at most", name, pace.steps, pace.seconds)
    try:
        ended = _iterate(run, current, fitting, pace)
    except TrainingError as error:
        raise TrainingError(
            f"{error}; the last good checkpoint is kept: lower learning_rate in "
            f"{run.folder.path / CONFIG} and continue with resume=True, or look for unusual values "
            "in the scenes"
        ) from error
    _checkpoint(run, current, fitting)
    if fitting.step:
        fitting.load_average()
        crops = run.calibration_crops(required=True)
        current.measure_after(min(crops, VALIDATION_CROPS) if ended == "signal" else crops)
    return ended


def _phase_seconds(run: Session, current: Task, fitting: Fitting) -> float | None:
    """Return the time for a phase's iterations, with those before a resume; None for no limit.

    The time for scoring, and for calibrations after this phase, is kept aside.
    """
    limit = run.limit
    # One clock for all processes: the learning rate depends on it.
    [elapsed] = run.world.all_reduce_max([limit.elapsed()], run.device)
    if not limit.is_set:
        return None
    kept = limit.scoring_seconds(run.windows)
    share = 1.0
    if isinstance(current, PriorTask):
        crops = run.calibration_crops(required=True) * (current.settings.contexts == "crops")
        if run.trains_denoiser:
            crops += run.calibration_crops(required=not run.draws_from_start)
            share = run.config.run.prior_share
        kept += crops * limit.crop_seconds
    return share * (max(0.0, limit.seconds - elapsed - kept) + fitting.seconds)


def _iterate(run: Session, current: Task, fitting: Fitting, pace: Pace) -> Ended:
    """Run iterations, log them, save checkpoints and validate."""
    config = run.config.run
    first = fitting.step
    last_tick = last_checkpoint = last_line = time.monotonic()
    ended: Ended = "steps"
    with _prefetched(run, current, fitting.step, pace.steps) as batches:
        for batch in batches:
            run.unreadable.update(batch.unreadable)
            with _autocast(run):
                loss = current.loss(batch, fitting.step)
            fitting.advance(loss, pace.progress(fitting.step, fitting.seconds))
            now = time.monotonic()
            # One clock for all processes: the learning rate depends on it.
            fitting.seconds, stopped = run.world.all_reduce_max(
                (fitting.seconds + now - last_tick, float(run.stop_requested())), run.device
            )
            last_tick = now
            run.steps[current.name] = fitting.step
            saves = now - last_checkpoint > config.checkpoint_seconds
            logs = fitting.step % config.log_every == 0
            logs_by_time = not logs and now - last_line > config.log_seconds
            validates = fitting.step % config.validate_every == 0
            if stopped or saves or logs or logs_by_time or validates:
                fitting.check_losses()  # before anything that depends on them is written
            if logs or logs_by_time:
                _log(run, current, fitting, pace)
                last_line = now
            if logs:
                fitting.recent.clear()
            # Before the stop: a resumed run begins after this iteration and would skip it.
            if validates and fitting.step < pace.steps:
                _validate(run, current, fitting, pace)
            if stopped:
                return "signal"
            half_iteration = 0.5 * fitting.seconds / fitting.step
            # Another iteration would probably end further after the limit than this one before it.
            if pace.seconds is not None and fitting.seconds + half_iteration >= pace.seconds:
                ended = "time"
                break
            if saves:
                _checkpoint(run, current, fitting)
                last_checkpoint = now
    fitting.check_losses()
    if fitting.recent and fitting.step > first:
        _log(run, current, fitting, pace)
    return ended


@contextmanager
def _prefetched(run: Session, current: Task, start: int, stop: int) -> Iterator[Iterator[Batch]]:
    """Draw the batches of iterations ``start`` to ``stop`` ahead, and yield them in order.

    A thread draws them while a CPU computes. A GPU needs several processes to keep up.
    """
    steps = range(start, stop)
    workers = _workers(run)
    if workers:
        loader: DataLoader[Batch | SuperResError] = DataLoader(
            _BatchDataset(current),
            batch_size=None,
            sampler=steps,
            num_workers=workers,
            worker_init_fn=_ignore_signals,
            multiprocessing_context="fork",  # so that cached scenes are shared, not copied
            pin_memory=run.device.type == "cuda",
            prefetch_factor=4,
        )
        drawn = iter(loader)
        try:
            yield (_raise_error(batch) for batch in drawn)
        finally:
            # An exception's traceback would keep the iterator and its processes alive.
            drawn._shutdown_workers()  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
        return
    pool = ThreadPoolExecutor(1)

    def batches() -> Iterator[Batch]:
        pending: list[Future[Batch]] = []
        for step in steps:
            pending.append(pool.submit(current.draw_batch, step))
            if len(pending) > 2:
                yield pending.pop(0).result()
        for future in pending:
            yield future.result()

    try:
        yield batches()
    finally:
        pool.shutdown(cancel_futures=True)


class _BatchDataset(Dataset[Batch | SuperResError]):
    """The batches of a phase by iteration; an error takes the place of a batch that has failed."""

    def __init__(self, current: Task) -> None:
        self._task = current

    def __getitem__(self, step: int) -> Batch | SuperResError:
        try:
            return self._task.draw_batch(step)
        except SuperResError as error:  # DataLoader would turn it into the text of a traceback
            return error


def _raise_error(batch: Batch | SuperResError) -> Batch:
    """Return a batch from a worker process, or raise the error that it sent instead."""
    if isinstance(batch, SuperResError):
        raise batch
    return batch


def _ignore_signals(worker: int) -> None:
    """Ignore signals in a worker process: the main one handles them and still needs batches."""
    del worker
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _workers(run: Session) -> int:
    """Return the number of processes that draw batches; 0 to draw them in a thread."""
    if run.device.type != "cuda" or not hasattr(os, "fork"):
        return 0
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(MAX_WORKERS, cores() // processes - 1))


def _autocast(run: Session) -> AbstractContextManager[Any]:
    """Return the context of mixed precision, if it is requested or the device's default."""
    precision = resolve_precision(run.precision, run.device)
    if precision == "fp32":
        return nullcontext()
    if precision == "bf16":
        return torch.autocast(run.device.type, torch.bfloat16)
    raise InputError(
        f"precision={precision} is not supported in training, expected auto, fp32 or bf16"
    )


def _log(run: Session, current: Task, fitting: Fitting, pace: Pace) -> None:
    """Log the mean loss since the last regular line."""
    if not run.world.is_main:
        return
    progress = pace.progress(fitting.step, fitting.seconds)
    line = {
        "phase": current.name,
        "step": fitting.step,
        "loss": float(np.mean(fitting.recent)),
        "rate": fitting.learning_rate(progress),
        "seconds": round(fitting.seconds, 1),
        "seconds_left": round(fitting.seconds * (1 - progress) / max(progress, 1e-9), 1),
        "progress": round(progress, 4),
    }
    logger.debug(
        "%s: %d iterations, %.3f s each", current.name, fitting.step,
        fitting.seconds / fitting.step,
    )  # fmt: skip
    run.folder.log(line)
    run.listener.log_line(line)


def _checkpoint(run: Session, current: Task, fitting: Fitting) -> None:
    """Save what an exact resume needs."""
    if run.world.is_main:
        run.folder.save_state(
            {
                "phase": current.name,
                "network": {k: v.cpu() for k, v in run.network.state_dict().items()},
                "fitting": fitting.state(),
                "steps": dict(run.steps),
                "start": run.start,
                "draws_from_start": run.draws_from_start,
                "elapsed": run.limit.elapsed(),
            }
        )


def _validate(run: Session, current: Task, fitting: Fitting, pace: Pace) -> None:
    """Score the averaged weights, and write them as the model in the run's folder.

    With a time limit, a validation that would take more than a small share of the time left is
    left out.
    """
    if not run.world.is_main:
        return
    limit = run.limit
    allowed = float("inf")
    if pace.seconds is not None:
        allowed = VALIDATION_SHARE * (pace.seconds - fitting.seconds)
        if current.name == "prior":
            allowed -= VALIDATION_CROPS * limit.crop_seconds
        if allowed < limit.window_seconds:
            logger.debug("no validation at iteration %d: the time left is short", fitting.step)
            return
    with fitting.averaged():
        current.measure_after(VALIDATION_CROPS)
        windows = validation.validation_windows(run.held_out, WINDOWS)
        evaluation = run.evaluate(windows, default=current.name == "denoiser", seconds=allowed)
        run.save_model(evaluation)
        run.network.train()
    for score in evaluation.scores:
        run.folder.log({"phase": current.name, "step": fitting.step, **score.as_dict()})
    run.listener.validation(current.name, fitting.step, evaluation.scores)
