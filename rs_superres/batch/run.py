"""A batch: its scenes on the workers of a cluster, each with an outcome of its own."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from distributed import Client, Future, get_worker

from rs_superres.batch.cluster import (
    completed,
    device_of_worker,
    given_up,
    memory_of_worker,
    precision_of_workers,
    processors_of_workers,
)
from rs_superres.batch.folder import SceneFile
from rs_superres.batch.job import Job, SceneOutcome, anywhere, upscaled
from rs_superres.engine import Options
from rs_superres.raster import one_line
from rs_superres.system.devices import Precision

ATTEMPTS = 3
"""How often a scene is tried whose failure may pass."""

PAUSE = 2.0
"""Seconds before a further attempt, times its number."""

INTERVAL = 0.5
"""Seconds between two words of a worker on one scene."""


@dataclass(slots=True)
class State:
    """How far a batch is."""

    scenes: int
    outcomes: list[SceneOutcome] = field(default_factory=list)
    running: dict[int, tuple[float, int]] = field(default_factory=dict)
    """By a scene's number: the share that is done, and the pixels of its result."""

    @property
    def pixels(self) -> float:
        """Output pixels that are done."""
        going = sum(share * pixels for share, pixels in self.running.values())
        return going + sum(o.pixels for o in self.outcomes if o.status == "done")

    @property
    def share(self) -> float:
        """Of the whole, every scene counted alike."""
        going = sum(share for share, _ in self.running.values())
        return (len(self.outcomes) + going) / max(self.scenes, 1)


class Tell(Protocol):
    """Told how a batch goes on, several times a second."""

    def __call__(self, state: State) -> None:
        """Take notice."""
        ...


class _Stopped(BaseException):
    """The client went away or gave the task up: nobody waits for its result."""


@dataclass(frozen=True, slots=True)
class _Work:
    """A function of a job that travels to the workers."""

    topic: str

    def __call__(self, job: Job) -> SceneOutcome:
        if job.attempt > 1:
            time.sleep(PAUSE * (job.attempt - 1))
        worker, last = get_worker(), 0.0

        def told(done: int, total: int, pixels: int) -> None:
            nonlocal last
            if given_up():
                raise _Stopped
            now = time.monotonic()
            if now - last >= INTERVAL or done == total:
                last = now
                worker.log_event(self.topic, (job.number, done / max(total, 1), pixels))

        options = replace(
            job.options,
            device=device_of_worker(job.options.device),
            memory=memory_of_worker(job.options.memory),
        )
        return upscaled(replace(job, options=options), told)


def jobs(
    found: list[SceneFile],
    out: Path,
    options: Options,
    *,
    skip_existing: bool = False,
    thumbnails: bool = False,
) -> list[Job]:
    """What is asked of the workers: every path one that holds in any folder.

    Side outputs take a folder of their own, and there the names of their results: ``uncertainty``
    and ``preview`` name such folders here.
    """
    whole = anywhere(options)
    return [
        Job(
            number=number,
            name=str(scene.name),
            source=scene.source,
            out=out.absolute() / scene.name,
            options=replace(
                whole,
                uncertainty=whole.uncertainty and whole.uncertainty / scene.name,
                preview=whole.preview and whole.preview / scene.name.with_suffix(".png"),
            ),
            skip_existing=skip_existing,
            thumbnail=thumbnails,
        )
        for number, scene in enumerate(found)
    ]


def run_batch(client: Client, asked: list[Job], tell: Tell) -> list[SceneOutcome]:
    """Run jobs on a cluster; outcomes in their order.

    Raises:
        ClusterError: the scheduler is lost.
    """
    state, topic = State(len(asked)), f"rs-sr-{uuid4().hex}"
    outcomes: dict[int, SceneOutcome] = {}
    processors = processors_of_workers(client)

    @cache
    def precision(wanted: Precision, device: str) -> Precision:
        return precision_of_workers(client, wanted, device)

    pending = deque(
        replace(
            job,
            processors=processors,
            options=replace(
                job.options, precision=precision(job.options.precision, job.options.device)
            ),
        )
        for job in asked
    )

    def heard(event: Any) -> None:
        number, share, pixels = event[1]
        if number not in outcomes:
            state.running[number] = (share, pixels)

    client.subscribe_topic(topic, heard)
    for job, outcome in _outcomes(client, _Work(topic), pending, lambda: tell(state)):
        if outcome.may_pass and outcome.attempts < ATTEMPTS:
            pending.append(replace(job, attempt=outcome.attempts + 1))
            continue
        outcomes[job.number] = outcome
        state.outcomes.append(outcome)
        state.running.pop(job.number, None)
        tell(state)
    return [outcomes[job.number] for job in asked]


def _outcomes(
    client: Client, work: _Work, pending: deque[Job], tick: Any
) -> Iterator[tuple[Job, SceneOutcome]]:
    """Jobs and what became of them, lost workers too."""
    for job, future in completed(client, work, pending, tick):
        yield job, _outcome_of(job, future)


def _outcome_of(job: Job, future: Future[Any]) -> SceneOutcome:
    """A future's outcome; one that holds none failed on the way."""
    error = future.exception()
    if error is None:
        outcome: SceneOutcome = future.result()
        return outcome
    lost = type(error).__name__ == "KilledWorker"
    return SceneOutcome(
        name=job.name,
        source=job.source,
        out=str(job.out),
        status="failed",
        error=(
            "the workers that tried it died, short of memory perhaps"
            if lost
            else f"{type(error).__name__}: {one_line(error)}"
        ),
        may_pass=lost,
        attempts=job.attempt,
    )
