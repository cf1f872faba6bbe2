"""Measure how far a cluster goes: 50 workers, 10,000 scenes, and one scene of 10,000 Mpx.

    python -m benchmarks.cluster [--only NAME] [--quick] [--sleep SECONDS]

The scheduler is ``dask scheduler``, the client is ``rs-sr batch`` or ``rs-sr upscale``: each is a
process of its own. The 50 workers are threads of ten further processes. On so few cores, they could
not compute: what a task computes is replaced.

- ``scenes``: ``rs-sr batch`` with 10,000 files. A scene sleeps; no result is written.
- ``cells``: ``rs-sr upscale`` with an empty source of 25,000 x 25,000 pixels, at x4. A cell sleeps
  and leaves an empty file. The command is ended when all cells are there: there is nothing to
  assemble.
- ``lost``: the same, and one of the ten processes is killed when half of the tasks are done.
- ``whole``: 500 scenes of 64 x 64 pixels. Only the network sleeps (and interpolates); planning,
  noise, consistency, assembly and checks are those of every run. The workers' processor time counts
  here, and limits the rate.
- ``assembly``: results of growing size from finished cells, in one process. All cells are links to
  one file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import dask
import numpy as np
import psutil  # distributed depends on it
import rasterio
from affine import Affine
from distributed import Client, Worker

from benchmarks.commands import CubicInference, peak_memory, with_inference
from benchmarks.timing import Rows, machine, table
from rs_superres import engine
from rs_superres.batch import cells, run
from rs_superres.batch.job import Job, JobProgress, SceneOutcome, upscale_scene
from rs_superres.demo.synthetic_scene import render_scene, scene_grid
from rs_superres.engine.assembly import assemble
from rs_superres.engine.store import CellStore, opened_store
from rs_superres.grid import Window
from rs_superres.raster import write_image
from rs_superres.scene.cell import CellResult
from rs_superres.scene.inference import CellInput, Drawn

NAMES = ("scenes", "cells", "lost", "whole", "assembly")

PROCESSES = 10
"""Processes of workers; one of them is a tenth."""

THREADS = 5
"""Workers in each process, with one thread each."""

SCENE_SIDE = 64
"""Width and height of the scenes of a batch, source pixels."""

SCALE = 4
"""Scale of the large scene."""

HEAD: tuple[str, ...] = (
    "tasks",
    "first starts, s",
    "first ends, s",
    "tasks/s",
    "CPU of scheduler, ms/task",
    "CPU of client, ms/task",
    "CPU of workers, ms/task",
    "memory of scheduler, MB",
    "memory of client, MB",
)
"""Head of the tables of tasks. Memory is that before the first task, and the peak."""


# The workers


class SleepingInference(CubicInference):
    """An inference that sleeps and interpolates, without a network."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __call__(self, cell: CellInput) -> Drawn:
        """Sleep, and return the cubic interpolation for each noise."""
        time.sleep(self._seconds)
        return super().__call__(cell)


class _Log:
    """A file in which all workers note when a task starts and ends."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    @contextmanager
    def noting(self, task: str) -> Iterator[None]:
        """Note the start of a task before the block, and its end after."""
        os.write(self._file, f"start {time.time()} {task}\n".encode())
        yield
        os.write(self._file, f"end {time.time()} {task}\n".encode())


def _serve(scheduler_file: str, log_file: Path, number: int, seconds: float, whole: bool) -> None:
    """Run the workers of one process, whose tasks sleep.

    Args:
        scheduler_file: the file that the scheduler wrote.
        log_file: notes of all workers.
        number: index of the process.
        seconds: how long the network, or a task, sleeps.
        whole: whether only the network sleeps.
    """
    log = _Log(log_file)
    plan = engine.plan

    def sleep_for_scene(job: Job, progress: JobProgress) -> SceneOutcome:
        with log.noting(job.name):
            time.sleep(seconds)
            progress(1, 1, 1)
        size = SCENE_SIDE, SCENE_SIDE
        return SceneOutcome(
            name=job.name, source=job.source, out=str(job.out), status="done", size=size, scale=1
        )

    def upscale(job: Job, progress: JobProgress) -> SceneOutcome:
        with log.noting(job.name):
            return upscale_scene(job, progress)

    def sleep_for_cell(_: engine.Plan, store: CellStore, cell: Window) -> None:
        with log.noting(f"{cell.row}_{cell.column}"):
            time.sleep(seconds)
            store.tile(cell).touch()

    if whole:
        vars(run)["upscale_scene"] = upscale
        vars(engine)["plan"] = lambda *args: with_inference(plan(*args), SleepingInference(seconds))
    else:
        vars(run)["upscale_scene"], vars(cells)["compute_one"] = sleep_for_scene, sleep_for_cell
    asyncio.run(_run_workers(scheduler_file, number))


async def _run_workers(scheduler_file: str, number: int) -> None:
    """Run the workers of one process until the scheduler is gone."""
    # The profiler of 50 idle workers would take more time than their tasks.
    quiet = {"distributed.worker.profile.enabled": False}
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with dask.config.set(quiet), tempfile.TemporaryDirectory() as folder:
        workers = [
            Worker(
                scheduler_file=scheduler_file,
                nthreads=1,
                name=number * THREADS + i,
                memory_limit="4GB",
                local_directory=folder,
                dashboard=False,
            )
            for i in range(THREADS)
        ]
        await asyncio.gather(*workers)
        await asyncio.gather(*(worker.finished() for worker in workers))


# The cluster


@dataclass(frozen=True, slots=True)
class _Cluster:
    """A scheduler and workers, each in processes of their own."""

    file: Path
    """The scheduler file."""
    log: Path
    """The notes of the workers."""
    scheduler: psutil.Process
    workers: list[ForkServerProcess]


@contextmanager
def _started(folder: Path, seconds: float, *, whole: bool) -> Iterator[_Cluster]:
    """Start a cluster, and end it with the block; see :func:`_serve`."""
    file, log = folder / "cluster.json", folder / "log"
    file.unlink(missing_ok=True)
    log.write_bytes(b"")
    dask = str(Path(sys.executable).with_name("dask"))
    command = [dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    command += ["--scheduler-file", str(file)]
    # All packages are imported only once. With more threads, torch would wait in the copies of that
    # process for threads that they do not have.
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([cells.__name__, run.__name__, "benchmarks.commands"])
    with ExitStack() as stack:
        scheduler = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603 (dask's)
        stack.callback(scheduler.wait)
        stack.callback(scheduler.kill)
        while not file.exists():
            time.sleep(0.1)
        workers = [
            context.Process(target=_serve, args=(str(file), log, i, seconds, whole), daemon=True)
            for i in range(PROCESSES)
        ]
        for worker in workers:
            worker.start()
            stack.callback(worker.join)
            stack.callback(worker.kill)
        with Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(PROCESSES * THREADS, timeout=300)
        yield _Cluster(file, log, psutil.Process(scheduler.pid), workers)


class _Tasks:
    """What the workers noted so far."""

    def __init__(self, log: Path) -> None:
        self._file = log.open("rb")
        self._rest = b""
        self.started: list[float] = []
        self.ended: list[float] = []
        self.names: set[bytes] = set()
        """Tasks that have ended at least once."""

    def read(self) -> None:
        """Read what is new."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in lines:
            kind, when, name = line.split(b" ", 2)
            (self.started if kind == b"start" else self.ended).append(float(when))
            if kind == b"end":
                self.names.add(name)


@dataclass(frozen=True, slots=True)
class _Measured:
    """What was measured while a command ran."""

    row: tuple[str, ...]
    """A row for :data:`HEAD`."""
    repeated: int
    """How many tasks were started a second time."""
    seconds: float
    """From the start of the command to the end of its last task."""
    output: str
    """What the command printed."""


def _measure(
    cluster: _Cluster, command: list[str], tasks: int, done: Callable[[], bool], *, lose: bool
) -> _Measured:
    """Run a command on a cluster, and measure it.

    Args:
        cluster: the cluster, on which nothing else has run.
        command: the arguments of ``rs-sr``.
        tasks: how many tasks the command has.
        done: says, when all tasks have ended, whether the command may be ended too.
        lose: whether to kill a tenth of the workers when half of the tasks are done.
    """
    noted, scheduler = _Tasks(cluster.log), cluster.scheduler
    crew = [psutil.Process(worker.pid) for worker in cluster.workers]
    scheduler_before, client_before, client_peak = scheduler.memory_info().rss, 0, 0
    busy: tuple[float, ...] = ()
    now = start = (0.0, 0.0, 0.0)
    tool = str(Path(sys.executable).with_name("rs-sr"))
    with tempfile.TemporaryFile("w+") as output:
        began = time.time()
        process = subprocess.Popen(  # noqa: S603 (our own command)
            [tool, *command, "--scheduler", str(cluster.file)], stdout=output
        )
        client = psutil.Process(process.pid)
        while process.poll() is None:
            noted.read()
            if len(noted.names) < tasks or not busy:
                now = (_cpu(scheduler), _cpu(client), sum(map(_cpu, crew)))
            if noted.started and not busy:
                client_before, start, busy = client.memory_info().rss, now, now
            client_peak = max(client_peak, peak_memory(process.pid))
            if lose and len(noted.names) > tasks / 2:
                cluster.workers[0].kill()
                lose, crew = False, crew[1:]
                start = (*start[:2], float("nan"))
            if len(noted.names) == tasks and done():
                process.kill()
            time.sleep(0.05)
        noted.read()
        output.seek(0)
        printed = output.read()
    if len(noted.names) != tasks:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {printed[-500:]}")
    cpu = (1000 * (b - a) / tasks for a, b in zip(start, now, strict=True))
    row = (
        f"{tasks}",
        f"{noted.started[0] - began:.1f}",
        f"{min(noted.ended) - began:.1f}",
        f"{tasks / (max(noted.ended) - noted.started[0]):.0f}",
        *(f"{ms:.2f}" for ms in cpu),
        f"{scheduler_before / 1e6:.0f}, {peak_memory(scheduler.pid) / 1e6:.0f}",
        f"{client_before / 1e6:.0f}, {client_peak / 1e6:.0f}",
    )
    return _Measured(row, len(noted.started) - tasks, max(noted.ended) - began, printed)


def _cpu(process: psutil.Process) -> float:
    """Return the processor time of a process in seconds; 0 if it has ended."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


# The tables


def scenes(
    count: int, seconds: float, *, whole: bool = False, lose: bool = False
) -> tuple[_Measured, str]:
    """Run a batch.

    Args:
        count: number of scenes.
        seconds: how long each sleeps.
        whole: whether only the network sleeps.
        lose: whether to kill a tenth of the workers.

    Returns:
        What was measured, and what the report says in words.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, source = Path(name), Path(name, "scenes")
        source.mkdir()
        write_image(
            folder / "scene.tif", render_scene(SCENE_SIDE, samples=1), scene_grid(SCENE_SIDE)
        )
        for i in range(count):
            (source / f"{i:05}.tif").hardlink_to(folder / "scene.tif")
        command = ["batch", str(source), "--scale", "2", "--steps", "0", "--json"]
        command += ["-o", str(folder / "out")]
        with _started(folder, seconds, whole=whole) as cluster:
            measured = _measure(cluster, command, count, lambda: False, lose=lose)
        facts = json.loads(measured.output)
        missing = sum(not Path(scene["out"]).exists() for scene in facts["scenes"]) if whole else 0
    return measured, f"{facts['done'] - missing} done, {facts['failed'] + missing} failed"


def one_scene(side: int, seconds: float, *, lose: bool = False) -> tuple[_Measured, str]:
    """Run one scene on all workers until its last cell is there.

    Args:
        side: width and height of the result in pixels.
        seconds: how long a cell sleeps.
        lose: whether to kill a tenth of the workers.

    Returns:
        What was measured, and the number of cells that are there in words.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, out = _empty_scene(folder, side // SCALE), folder / "out.tif"
        plan = engine.plan(source, out, engine.Options(scale=SCALE, steps=0))
        tasks, store = len(plan.cells), CellStore(plan.scratch)
        command = ["upscale", str(source), "-o", str(out), "--scale", str(SCALE), "--steps", "0"]

        def assembling() -> bool:
            return any(store.folder.glob("mosaic-*"))

        with _started(folder, seconds, whole=False) as cluster:
            measured = _measure(cluster, command, tasks, assembling, lose=lose)
        there = sum(map(store.has, plan.cells))
    return measured, f"{there} of {tasks} there"


def _empty_scene(folder: Path, side: int) -> Path:
    """Write a scene of zeros, which takes no room, and return its path."""
    path = folder / f"empty-{side}.tif"
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "width": side, "height": side}
    with rasterio.open(
        path,
        "w",
        **profile,
        tiled=True,
        sparse_ok=True,
        crs="EPSG:32633",
        transform=Affine(10, 0, 500_000, 0, -10, 5_500_000),
    ):
        pass
    return path


def assembly(sides: list[int]) -> Rows:
    """Time the assembly of finished cells, for results of several sides in pixels."""
    rows: Rows = [("result", "cells", "s", "s/Mpx", "peak memory, MB")]
    for side in sides:
        with tempfile.TemporaryDirectory() as name:
            source = _empty_scene(Path(name), side // SCALE)
            plan = engine.plan(source, Path(name, "out.tif"), engine.Options(scale=SCALE, steps=0))
            with opened_store(plan.scratch) as store, plan.open_source() as opened:
                first, *others = plan.cells
                zeros = np.zeros((1, first.height, first.width), np.uint8)
                store.put(first, CellResult(zeros, None))
                for cell in others:
                    store.tile(cell).hardlink_to(store.tile(first))
                start = time.perf_counter()
                assemble(plan, store, opened)
                seconds = time.perf_counter() - start
        megapixels = side**2 / 1e6
        memory = peak_memory(os.getpid()) / 1e6
        rows.append(
            (
                f"{megapixels:g} Mpx",
                str(len(plan.cells)),
                f"{seconds:.1f}",
                f"{seconds / megapixels:.4f}",
                f"{memory:.0f}",
            )
        )
    return rows


def tables(names: list[str], seconds: float, *, quick: bool) -> Iterator[tuple[str, Rows]]:
    """Run benchmarks, and yield the heading and the table of each."""
    counts = [200, 1000] if quick else [1000, 10_000]
    sides = [20_000] if quick else [20_000, 100_000]
    slept = f"each sleeps {1000 * seconds:g} ms"
    if "scenes" in names:
        rows = [scenes(count, seconds)[0].row for count in counts]
        yield f"Scenes of a batch, {slept}", [HEAD, *rows]
    if "cells" in names:
        rows = [one_scene(side, seconds)[0].row for side in sides]
        yield f"Cells of one scene, {slept}", [HEAD, *rows]
    if "lost" in names:
        rows = [("tasks", "until the last ends, s", "started twice", "in the end")]
        for kind, (measured, end) in (
            ("scenes", scenes(counts[-1], seconds, lose=True)),
            ("cells", one_scene(sides[-1], seconds, lose=True)),
        ):
            tasks = f"{measured.row[0]} {kind}"
            rows.append((tasks, f"{measured.seconds:.1f}", str(measured.repeated), end))
        yield "A tenth of the workers is lost half-way", rows
    if "whole" in names:
        rows = [scenes(100 if quick else 500, seconds, whole=True)[0].row]
        yield f"Scenes whose network alone sleeps, {1000 * seconds:g} ms", [HEAD, *rows]
    if "assembly" in names:
        yield "Assembly", assembly([5_000] if quick else [5_000, 10_000, 20_000])


def main() -> None:
    """Run the chosen benchmarks and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=NAMES, action="append", help="repeatable")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller scenes")
    parser.add_argument("--sleep", type=float, default=0.02, help="seconds a task")
    arguments = parser.parse_args()
    print(machine())
    names = arguments.only or list(NAMES)
    for heading, rows in tables(names, arguments.sleep, quick=arguments.quick):
        print(f"\n### {heading}\n\n{table(rows)}", flush=True)


if __name__ == "__main__":
    main()
