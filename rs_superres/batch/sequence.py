"""The jobs of a batch, its progress, and its run in this process, one scene after another."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from rs_superres.batch.folder import SceneFile
from rs_superres.batch.job import Job, SceneOutcome, upscale_scene, with_absolute_paths
from rs_superres.engine import Options
from rs_superres.system.threads import THREADS, cores

logger = logging.getLogger(__name__)

ATTEMPTS = 3
"""How many times a scene is tried if its failure may be transient."""

PAUSE = 2.0
"""Seconds before the second attempt; twice as many before the third."""


@dataclass(slots=True)
class State:
    """The progress of a batch."""

    scenes: int
    """Number of scenes."""
    outcomes: list[SceneOutcome] = field(default_factory=list)
    """Outcomes of the finished scenes, in the order in which they finished; see :meth:`finish`."""
    running: dict[int, tuple[float, int]] = field(default_factory=dict)
    """Share that is finished, and pixels of the result, by the number of a running scene."""

    _pixels: int = field(default=0, init=False)
    """Pixels of the results that are done."""

    @property
    def pixels(self) -> float:
        """Output pixels that are finished."""
        return self._pixels + sum(share * pixels for share, pixels in self.running.values())

    @property
    def share(self) -> float:
        """Share of the batch that is finished, from 0 to 1; all scenes count the same."""
        running = sum(share for share, _ in self.running.values())
        return (len(self.outcomes) + running) / max(self.scenes, 1)

    def finish(self, job: Job, outcome: SceneOutcome) -> None:
        """Record the outcome of a scene.

        Args:
            job: the scene.
            outcome: the outcome of its last attempt.
        """
        self.outcomes.append(outcome)
        if outcome.status == "done":
            self._pixels += outcome.pixels
        self.running.pop(job.number, None)


BatchProgress = Callable[[State], None]
"""Called with the state of a batch, several times a second."""


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


def run_here(batch: list[Job], progress: BatchProgress) -> list[SceneOutcome]:
    """Run the jobs of a batch in this process, one after another.

    The results are those of :func:`rs_superres.batch.run.run_batch`, byte for byte.

    Args:
        batch: the jobs, as :func:`jobs` creates them.
        progress: called after each cell.

    Returns:
        The outcome of each job, in the order of the jobs.
    """
    state, pending = State(len(batch)), deque(batch)
    outcomes: dict[int, SceneOutcome] = {}
    while pending:
        job = pending.popleft()
        if job.attempt > 1:
            time.sleep(PAUSE * (job.attempt - 1))

        def report(done: int, total: int, pixels: int, number: int = job.number) -> None:
            state.running[number] = (done / max(total, 1), pixels)
            progress(state)

        outcome = upscale_scene(replace(job, processors=max(THREADS, cores())), report)
        if is_tried_again(job, outcome):
            pending.append(replace(job, attempt=job.attempt + 1))
            continue
        outcomes[job.number] = outcome
        state.finish(job, outcome)
        progress(state)
    return [outcomes[job.number] for job in batch]


def is_tried_again(job: Job, outcome: SceneOutcome) -> bool:
    """Return whether another attempt at a scene is worth it, and log what became of this one.

    Args:
        job: the scene.
        outcome: the outcome of its last attempt.
    """
    if outcome.transient and outcome.attempts < ATTEMPTS:
        logger.debug("%s: attempt %d failed: %s", job.source, job.attempt, outcome.error)
        return True
    logger.debug("%s: %s after %d attempts", job.source, outcome.status, outcome.attempts)
    return False
