"""One scene of a batch, from end to end, on whichever worker it falls to."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from rs_superres import engine, zoo
from rs_superres.engine.compute import compute_here
from rs_superres.engine.planning import SETTINGS_TAG
from rs_superres.engine.preview import save_preview
from rs_superres.errors import InputError, RasterError, SuperResError
from rs_superres.image.pictures import limits_of, stretched
from rs_superres.raster import FAILURES, check_whole, one_line, read_small, read_tags
from rs_superres.system.threads import THREADS

Status = Literal["done", "skipped", "failed"]

Told = Callable[[int, int, int], None]
"""Told finished cells, of how many, and the pixels of the whole result."""

THUMBNAIL = 160
"""Pixels: the longer side of a picture in the report."""

_models: dict[tuple[str, str], zoo.Model] = {}
_loading = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is asked of a worker."""

    number: int
    name: str
    source: str
    out: Path
    options: engine.Options
    skip_existing: bool = False
    thumbnail: bool = False
    attempt: int = 1
    processors: int = THREADS
    """That the worker may use: it has but its share of the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneOutcome:
    """What became of a scene."""

    name: str
    source: str
    out: str
    status: Status
    error: str | None = None
    may_pass: bool = False
    """Whether another attempt may succeed."""
    warnings: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    """Of the result: width, height."""
    seconds: float = 0.0
    attempts: int = 1
    thumbnail: str | None = field(default=None, repr=False)
    """The result, small: a PNG in base 64."""

    @property
    def pixels(self) -> int:
        """Of the result."""
        return self.size[0] * self.size[1] if self.size else 0


def model_of(name: str | zoo.Model) -> zoo.Model:
    """A model, loaded once in a process as long as its weights stay the same."""
    if isinstance(name, zoo.Model):
        return name
    with _loading:
        key = (name, zoo.checksum(name))
        if key not in _models:
            _models.clear()
            _models[key] = zoo.load(name)
        return _models[key]


def anywhere(options: engine.Options) -> engine.Options:
    """Options whose paths hold in any folder."""

    def whole(path: Path | None) -> Path | None:
        return None if path is None else path.absolute()

    model = options.model
    if isinstance(model, str) and Path(model).is_dir():
        model = str(Path(model).absolute())
    return replace(
        options,
        like=whole(options.like),
        aoi=whole(options.aoi),
        scratch=whole(options.scratch),
        uncertainty=whole(options.uncertainty),
        preview=whole(options.preview),
        model=model,
    )


def upscaled(job: Job, told: Told) -> SceneOutcome:
    """Upscale a scene; what goes wrong is part of the outcome."""
    started = time.monotonic()
    blank = SceneOutcome(
        name=job.name, source=job.source, out=str(job.out), status="failed", attempts=job.attempt
    )
    try:
        outcome = _upscaled(job, blank, told)
    except (SuperResError, OSError, MemoryError) as error:
        may_pass = isinstance(error, OSError | MemoryError)
        outcome = replace(blank, error=one_line(error), may_pass=may_pass)
    except Exception as error:  # noqa: BLE001 (one bad scene never stops the rest)
        outcome = replace(blank, error=f"{type(error).__name__}: {one_line(error)}")
    return replace(outcome, seconds=time.monotonic() - started)


def _upscaled(job: Job, blank: SceneOutcome, told: Told) -> SceneOutcome:
    options = job.options
    for path in (job.out, options.uncertainty, options.preview):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    there = job.skip_existing and job.out.exists()
    decided = engine.plan(
        job.source,
        job.out,
        replace(options, overwrite=options.overwrite or there, model=model_of(options.model)),
    )
    why = unlike(decided) if there else None
    if why is not None and not options.overwrite:
        raise InputError(f"{job.out} exists already, but {why}; use --overwrite to make it anew")
    status: Status = "skipped" if there and why is None else "done"
    if status == "done":
        pixels = decided.window.height * decided.window.width
        engine.run(
            decided,
            progress=lambda done, total: told(done, total, pixels),
            compute=partial(compute_here, processors=job.processors),
        )
    if options.preview is not None and not options.preview.exists():
        save_preview(decided, job.out, options.preview)  # of a result that was there
    return replace(
        blank,
        status=status,
        warnings=tuple(decided.warnings()),
        size=(decided.window.width, decided.window.height),
        thumbnail=_thumbnail(job.out) if job.thumbnail else None,
    )


def unlike(decided: engine.Plan) -> str | None:
    """Why the file under a result's name is not what a plan would make; None where it is.

    Raises:
        OSError: the source is gone.
    """
    try:
        found = read_tags(decided.out)
        expected = decided.tags()
        if found.get(SETTINGS_TAG) != expected[SETTINGS_TAG]:
            own = {k: v for k, v in expected.items() if k != SETTINGS_TAG}
            changed = [k for k, v in own.items() if found.get(k) != v]
            return f"it was made with other settings ({', '.join(changed) or 'grid or format'})"
        written = decided.out.stat().st_mtime_ns
        files = [Path(f) for f in decided.pixels.description.files]
        if any(f.is_file() and f.stat().st_mtime_ns > written for f in files):
            return "its source was changed since"
        check_whole(decided.out)
        beside = decided.options.uncertainty
        if beside is not None and not beside.exists():
            return f"the deviation of its samples, {beside}, is missing"
    except (RasterError, *FAILURES) as error:
        return f"it is damaged ({one_line(error)})"
    return None


def _thumbnail(path: Path) -> str:
    """A small picture of a raster: a PNG in base 64."""
    pixels = read_small(path, THUMBNAIL)
    valid = np.isfinite(pixels) if pixels.dtype.kind == "f" else np.ones(pixels.shape, np.bool_)
    file = io.BytesIO()
    Image.fromarray(stretched(pixels, limits_of(pixels, valid))).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
