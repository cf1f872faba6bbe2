"""Small images, and the configuration of a run that trains both phases in about a second."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from affine import Affine

from rs_superres.config import TileConfig
from rs_superres.training.config import (
    DataConfig,
    DegradationConfig,
    DenoiserPhase,
    PriorPhase,
    RunConfig,
    TrainConfig,
)
from rs_superres.training.scenes import TrainingScene, find_scenes
from rs_superres.training.validation import Score
from tests import models, rasters
from tests.rasters import RGB, Array, textured

MODEL = models.config()


def config(**changes: Any) -> TrainConfig:
    """Configure a run of six iterations in each phase, x1.5 to x2.5, crops of up to 40 pixels."""
    defaults = TrainConfig(
        seed=3,
        encoder=replace(MODEL.encoder, blocks=1),
        operator=replace(MODEL.operator, scales=(1.5, 3.0)),
        texture=MODEL.texture,
        sampler=replace(MODEL.sampler, steps=1),
        tiles=TileConfig(size=64, margin=8),
        data=DataConfig(largest_crop=40, validation=0.2),
        degradation=DegradationConfig(bicubic=0.5, gaussian=0.5, noise=0.02, noisy=0.5),
        prior_phase=PriorPhase(
            steps=6, batch=1, cells=12, points=8, scales=(1.5, 2.5), warmup=1, ema=0.9
        ),
        denoiser_phase=DenoiserPhase(steps=6, batch=1, pixels=16, scales=(1.5, 2.5), warmup=1),
        run=RunConfig(log_every=2, validate_every=4),
    )
    return replace(defaults, **changes)


def images(folder: Path, count: int = 6, side: int = 48) -> Path:
    """Write a folder of small images without georeference."""
    folder.mkdir()
    for i in range(count):
        pixels = textured(i, 3, side, side + 2 * min(i, 6))
        rasters.write(folder / f"{i}.tif", pixels, transform=None, crs=None, colours=RGB)
    return folder


def scene(path: Path, pixels: Array, *, cached: bool = True, **profile: Any) -> TrainingScene:
    """Write a raster into a folder of its own and return it as a scene."""
    path.parent.mkdir(exist_ok=True)
    rasters.write(path, pixels, **profile)
    [written], skipped = find_scenes([path.parent], cache_bytes=1e9 if cached else 0)
    assert not skipped
    return written


def east_of(metres: float, south: float = 0.0) -> Affine:
    """Return the transform of the tests' rasters, moved by metres."""
    moved: Affine = Affine.translation(metres, -south) @ rasters.NORTH_UP
    return moved


class Recorder:
    """A listener that records everything it receives."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.lines: list[dict[str, Any]] = []
        self.validations: list[tuple[str, int, Sequence[Score]]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def log_line(self, line: dict[str, Any]) -> None:
        self.lines.append(line)

    def validation(self, phase: str, step: int, scores: Sequence[Score]) -> None:
        self.validations.append((phase, step, scores))


def run_two_processes(command: Sequence[str | Path]) -> list[subprocess.CompletedProcess[str]]:
    """Run a command in two processes of one training, as torchrun starts them on one machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {
        "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }  # fmt: skip
    processes = [
        subprocess.Popen(
            command,
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=300) for process in processes]
    return [
        subprocess.CompletedProcess(command, process.returncode, *output)
        for process, output in zip(processes, outputs, strict=True)
    ]
