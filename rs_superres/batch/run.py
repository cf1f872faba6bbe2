"""Run a batch: its scenes on the workers of a cluster, with retries, and an outcome for each."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from distributed import Client, Future, get_worker

from rs_superres.batch.cluster import (
    as_completed,
    device_of_worker,
    is_abandoned,
    memory_of_worker,
    precision_of_workers,
    processors_of_workers,
)
from rs_superres.batch.folder import SceneFile
from rs_superres.batch.job import Job, SceneOutcome, upscale_scene, with_absolute_paths
from rs_superres.engine import Options
from rs_superres.raster import one_line

logger = logging.getLogger(__name__)

ATTEMPTS = 3
"""How many times a scene is tried if its failure may be transient."""

PAUSE = 2.0
"""Seconds before the second attempt; twice as many before the third."""

INTERVAL = 0.5
"""Seconds between two reports of a worker about one scene."""


@dataclass(slots=True)
class State:
    """The progress of a batch."""

    scenes: int
    """Number of scenes."""
    outcomes: list[SceneOutcome] = field(default_factory=list)
    """Outcomes of the finished scenes, in the order in which they finished."""
    running: dict[int, tuple[float, int]] = field(default_factory=dict)
    """Share that is finished, and pixels of the result, by the number of a running scene."""

    @property
    def pixels(self) -> float:
        """Output pixels that are finished."""
        running = sum(share * pixels for share, pixels in self.running.values())
        return running + sum(o.pixels for o in self.outcomes if o.status == "done")

    @property
    def share(self) -> float:
        """Share of the batch that is finished, from 0 to 1; all scenes count the same."""
        running = sum(share for share, _ in self.running.values())
        return (len(self.outcomes) + running) / max(self.scenes, 1)


BatchProgress = Callable[[State], None]
"""Called with the state of a batch, several times a second."""


class _Abandoned(BaseException):
    """Ends a task whose client has gone away or has cancelled it."""


@dataclass(frozen=True, slots=True)
class _SceneTask:
    """Runs a job on a worker, and reports its progress to the client."""

    topic: str
    """Topic of the cluster's events under which progress is reported."""

    def __call__(self, job: Job) -> SceneOutcome:
        """Upscale a scene."""
        if job.attempt > 1:
            time.sleep(PAUSE * (job.attempt - 1))
        worker, last = get_worker(), 0.0

        def report(done: int, total: int, pixels: int) -> None:
            nonlocal last
            if is_abandoned():
                raise _Abandoned
            now = time.monotonic()
            if now - last >= INTERVAL or done == total:
                last = now
                worker.log_event(self.topic, (job.number, done / max(total, 1), pixels))

        options = replace(
            job.options,
            device=device_of_worker(job.options.device),
            memory=memory_of_worker(job.options.memory),
        )
        return upscale_scene(replace(job, options=options), report)


def jobs(
    files: list[SceneFile],
    out: Path,
    options: Options,
    *,
    skip_existing: bool = False,
    pictures: bool = False,
) -> list[Job]:
    """Create the jobs of a batch, with absolute paths.

    Args:
        files: the scenes.
        out: the folder of results.
        options: the options of every scene. Its ``uncertainty`` and ``preview`` are folders here,
            in which files are named like the results.
        skip_existing: whether to keep results that exist and are up to date.
        pictures: whether outcomes have pictures of source and result.
    """
    options = with_absolute_paths(options)
    return [
        Job(
            number=number,
            name=str(scene.name),
            source=scene.source,
            out=out.absolute() / scene.name,
            options=replace(
                options,
                uncertainty=options.uncertainty and options.uncertainty / scene.name,
                preview=options.preview and options.preview / scene.name.with_suffix(".png"),
            ),
            skip_existing=skip_existing,
            pictures=pictures,
        )
        for number, scene in enumerate(files)
    ]


def run_batch(client: Client, batch: list[Job], progress: BatchProgress) -> list[SceneOutcome]:
    """Run the jobs of a batch on a cluster.

    Args:
        client: a client of the cluster.
        batch: the jobs, as :func:`jobs` creates them: all have the same device and precision.
        progress: called several times a second.

    Returns:
        The outcome of each job, in the order of the jobs.

    Raises:
        ClusterError: the scheduler is lost.
    """
    if not batch:
        return []
    state, topic = State(len(batch)), f"rs-sr-{uuid4().hex}"
    outcomes: dict[int, SceneOutcome] = {}
    options, processors = batch[0].options, processors_of_workers(client)
    precision = precision_of_workers(client, options.precision, options.device)
    logger.debug("%d scenes in %s, %d cores a worker", len(batch), precision, processors)
    pending = deque(
        replace(job, processors=processors, options=replace(job.options, precision=precision))
        for job in batch
    )

    def receive(event: Any) -> None:
        number, share, pixels = event[1]
        if number not in outcomes:
            state.running[number] = (share, pixels)

    client.subscribe_topic(topic, receive)
    for job, future in as_completed(client, _SceneTask(topic), pending, lambda: progress(state)):
        outcome = _outcome(job, future)
        if outcome.transient and outcome.attempts < ATTEMPTS:
            logger.debug("%s: attempt %d failed: %s", job.source, job.attempt, outcome.error)
            pending.append(replace(job, attempt=outcome.attempts + 1))
            continue
        logger.debug("%s: %s after %d attempts", job.source, outcome.status, outcome.attempts)
        outcomes[job.number] = outcome
        state.outcomes.append(outcome)
        state.running.pop(job.number, None)
        progress(state)
    return [outcomes[job.number] for job in batch]


def _outcome(job: Job, future: Future[Any]) -> SceneOutcome:
    """Get the outcome of a job from its future, even if its workers died."""
    error = future.exception()
    if error is None:
        outcome: SceneOutcome = future.result()
        return outcome
    killed = type(error).__name__ == "KilledWorker"
    return SceneOutcome(
        name=job.name,
        source=job.source,
        out=str(job.out),
        status="failed",
        error=(
            "the workers that tried it died, perhaps for lack of memory"
            if killed
            else f"{type(error).__name__}: {one_line(error)}"
        ),
        transient=killed,
        attempts=job.attempt,
    )
