"""Run a batch: its scenes on the workers of a cluster, with retries, and an outcome for each."""

from __future__ import annotations

import logging
import queue
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import uuid4

from rs_superres.batch.cluster import (
    Finished,
    as_completed,
    device_of_worker,
    is_abandoned,
    log_event,
    memory_of_worker,
    precision_of_workers,
    processors_of_workers,
)
from rs_superres.batch.job import Job, SceneOutcome, upscale_scene
from rs_superres.batch.sequence import PAUSE, BatchProgress, State, is_tried_again
from rs_superres.raster import one_line

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)

INTERVAL = 0.5
"""Seconds between two reports of a worker about one scene."""


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
        last = 0.0

        def report(done: int, total: int, pixels: int) -> None:
            nonlocal last
            if is_abandoned():
                raise _Abandoned
            now = time.monotonic()
            if now - last >= INTERVAL or done == total:
                last = now
                log_event(self.topic, (job.number, done / max(total, 1), pixels))

        options = replace(
            job.options,
            device=device_of_worker(job.options.device),
            memory=memory_of_worker(job.options.memory),
        )
        return upscale_scene(replace(job, options=options), report)


def run_batch(client: Client, batch: list[Job], progress: BatchProgress) -> list[SceneOutcome]:
    """Run the jobs of a batch on a cluster.

    Args:
        client: a client of the cluster.
        batch: the jobs, as :func:`rs_superres.batch.sequence.jobs` creates them: all have the same
            device and precision.
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

    # The client receives events in its own thread, while this one looks at the state.
    events: queue.SimpleQueue[tuple[float, tuple[int, float, int]]] = queue.SimpleQueue()

    def report() -> None:
        while not events.empty():
            number, share, pixels = events.get()[1]
            if number not in outcomes:
                state.running[number] = (share, pixels)
        progress(state)

    client.subscribe_topic(topic, events.put)
    for done in as_completed(client, _SceneTask(topic), pending, report):
        job, outcome = done.item, _outcome(done)
        if is_tried_again(job, outcome):
            pending.append(replace(job, attempt=outcome.attempts + 1))
            continue
        outcomes[job.number] = outcome
        state.finish(job, outcome)
        progress(state)
    return [outcomes[job.number] for job in batch]


def _outcome(done: Finished[Job]) -> SceneOutcome:
    """Return the outcome of a job, even if its workers died."""
    job, error = done.item, done.error
    if error is None:
        outcome: SceneOutcome = done.value
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
