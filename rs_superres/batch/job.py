"""Upscale one scene of a batch on a worker, and describe what became of it."""

from __future__ import annotations

import errno
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from rs_superres import engine, zoo
from rs_superres.engine.compute import compute_here
from rs_superres.engine.outputs import check_raster_replaced
from rs_superres.engine.planning import SETTINGS_TAG
from rs_superres.engine.preview import save_preview, views_of
from rs_superres.engine.stac import write_item
from rs_superres.errors import InputError, RasterError, SuperResError
from rs_superres.image.pictures import encode_png
from rs_superres.raster import FAILURES, check_whole, delete_sidecars, one_line, read_tags
from rs_superres.system.threads import THREADS

logger = logging.getLogger(__name__)

Status = Literal["done", "skipped", "failed"]
"""What became of a scene; ``skipped`` if its result existed and was up to date."""

JobProgress = Callable[[int, int, int], None]
"""Called with the number of finished cells, of all cells, and of pixels of the entire result."""

THUMBNAIL = 160
"""Largest side of the pictures in a batch's report, in pixels of the result."""

NETWORK_ERRORS = frozenset(
    getattr(errno, name)
    for name in (
        *("EAGAIN", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH"),
        *("EIO", "ENETDOWN", "ENETRESET", "ENETUNREACH", "ENOTCONN", "EREMOTEIO", "ESTALE"),
        "ETIMEDOUT",
    )
    if hasattr(errno, name)
)
"""Numbers of errors of the system that come from a network or a network file system."""

NETWORK_FAILURE = re.compile(
    r"CURL error|(?:response code: |error code ?: |response_code=)(?:408|429|5\d\d)"
)
"""What GDAL says if a server does not answer, or not now."""

_models: dict[tuple[str, tuple[int, ...]], zoo.Model] = {}
_loading = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One scene that a worker upscales."""

    number: int
    """Index of the scene in the batch."""
    name: str
    """Name of the result within the folder of results."""
    source: str
    """An absolute path, or anything else that GDAL opens."""
    out: Path
    """Absolute path of the result."""
    options: engine.Options
    """Options of the run, with absolute paths."""
    skip_existing: bool = False
    """Whether to keep a result that exists and is up to date."""
    pictures: bool = False
    """Whether the outcome has pictures of source and result."""
    attempt: int = 1
    """How many times the scene has been tried, this one included."""
    processors: int = THREADS
    """Processor cores that the worker may use: its share of the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneOutcome:
    """What became of a scene of a batch."""

    name: str
    """Name of the result within the folder of results."""
    source: str
    """The scene's path, or anything else that GDAL opens."""
    out: str
    """Absolute path of the result."""
    status: Status
    """Whether the scene was upscaled, skipped, or failed."""
    error: str | None = None
    """Why the scene failed, in one line; None if it did not."""
    transient: bool = False
    """Whether another attempt may succeed."""
    warnings: tuple[str, ...] = ()
    """What a user should know before using the result."""
    size: tuple[int, int] | None = None
    """Width and height of the result in pixels; None if the scene failed."""
    seconds: float = 0.0
    """Duration of the last attempt."""
    attempts: int = 1
    """How many times the scene was tried."""
    scale: float | None = None
    """The factor between source and result pixels; None if the scene failed."""
    before: str | None = field(default=None, repr=False)
    """A small picture of the middle of the source: a PNG in base64."""
    after: str | None = field(default=None, repr=False)
    """The same part of the result: a PNG in base64."""

    @property
    def pixels(self) -> int:
        """Pixels of the result; 0 if the scene failed."""
        return self.size[0] * self.size[1] if self.size else 0


def load_once(model: str | zoo.Model) -> zoo.Model:
    """Load a model, or return the one in memory if its files have not been replaced.

    Args:
        model: a model's name or folder; a loaded model is returned as it is.

    Raises:
        SuperResError: the model cannot be loaded.
    """
    if isinstance(model, zoo.Model):
        return model
    with _loading:
        key = (model, zoo.version(model))
        if key not in _models:
            _models.clear()
            _models[key] = zoo.load(model)
        return _models[key]


def with_absolute_paths(options: engine.Options) -> engine.Options:
    """Make all paths of options absolute, for workers that run in another folder.

    Args:
        options: the options of a run.
    """

    def absolute(path: Path | None) -> Path | None:
        return None if path is None else path.absolute()

    model = options.model
    if isinstance(model, str):
        model = zoo.found_anywhere(model)
    return replace(
        options,
        like=absolute(options.like),
        aoi=absolute(options.aoi),
        scratch=absolute(options.scratch),
        uncertainty=absolute(options.uncertainty),
        preview=absolute(options.preview),
        model=model,
    )


def upscale_scene(job: Job, progress: JobProgress) -> SceneOutcome:
    """Upscale a scene; errors become part of the outcome.

    Args:
        job: the scene.
        progress: called after each cell.
    """
    started = time.monotonic()
    failed = SceneOutcome(
        name=job.name, source=job.source, out=str(job.out), status="failed", attempts=job.attempt
    )
    try:
        outcome = _upscale(job, failed, progress)
    except (SuperResError, OSError, MemoryError) as error:
        outcome = replace(failed, error=one_line(error), transient=may_pass(error))
    except Exception as error:  # noqa: BLE001 (one bad scene must not stop the others)
        outcome = replace(failed, error=f"{type(error).__name__}: {one_line(error)}")
    return replace(outcome, seconds=time.monotonic() - started)


def may_pass(error: BaseException) -> bool:
    """Say whether another attempt may succeed: only the network failed, or took too long.

    A damaged file, an option that is refused and a full disk are the same the next time.

    Args:
        error: why a scene failed.
    """
    if isinstance(error, InputError):
        return False
    return any(
        isinstance(cause, TimeoutError | ConnectionError)
        or (isinstance(cause, OSError) and cause.errno in NETWORK_ERRORS)
        or NETWORK_FAILURE.search(str(cause)) is not None
        for cause in _causes(error)
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__


def _upscale(job: Job, outcome: SceneOutcome, progress: JobProgress) -> SceneOutcome:
    """Upscale a scene, or skip it if its result is up to date, and complete its outcome."""
    options = job.options
    for path in (job.out, options.uncertainty, options.preview):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    exists = job.skip_existing and job.out.exists()
    plan = engine.plan(
        job.source,
        job.out,
        replace(options, overwrite=options.overwrite or exists, model=load_once(options.model)),
    )
    reason = reason_to_replace(plan) if exists else None
    if reason is not None and not options.overwrite:
        raise InputError(f"{job.out} exists already, but {reason}; overwrite=True replaces it")
    status: Status = "skipped" if exists and reason is None else "done"
    logger.debug("%s: %s", job.source, reason or ("up to date" if exists else "no result yet"))
    if status == "done":
        pixels = plan.window.height * plan.window.width
        engine.run(
            plan,
            progress=lambda done, total: progress(done, total, pixels),
            compute=partial(compute_here, processors=job.processors),
        )
    if options.preview is not None and not options.preview.exists():
        # Of a skipped result: the plan did not ask for permission to replace the preview's files.
        check_raster_replaced(options.preview, (), overwrite=options.overwrite)
        delete_sidecars(options.preview)
        save_preview(plan, job.out, options.preview)
    if plan.item is not None and not plan.item.exists():
        write_item(plan, plan.item, plan.item)
    before, after = _pictures(plan) if job.pictures else (None, None)
    return replace(
        outcome,
        status=status,
        warnings=tuple(plan.warnings()),
        size=(plan.window.width, plan.window.height),
        scale=plan.pixels.zoom.scale,
        before=before,
        after=after,
    )


def reason_to_replace(plan: engine.Plan) -> str | None:
    """Say why an existing result is not what a plan would give; None if it is up to date.

    Args:
        plan: the plan of the scene; its result exists.

    Raises:
        OSError: the source no longer exists.
    """
    try:
        tags, expected = read_tags(plan.out), plan.tags()
        if tags.get(SETTINGS_TAG) != expected[SETTINGS_TAG]:
            changed = [
                name
                for name, value in expected.items()
                if name != SETTINGS_TAG and tags.get(name) != value
            ]
            return f"it was made with other settings ({', '.join(changed) or 'grid or format'})"
        written = plan.out.stat().st_mtime_ns
        files = [Path(f) for f in plan.pixels.description.files]
        if any(f.is_file() and f.stat().st_mtime_ns > written for f in files):
            return "its source has changed since"
        check_whole(plan.out)
        uncertainty = plan.options.uncertainty
        if uncertainty is not None and not uncertainty.exists():
            return f"the standard deviation of its samples, {uncertainty}, is missing"
    except (RasterError, *FAILURES) as error:
        return f"it is damaged ({one_line(error)})"
    return None


def _pictures(plan: engine.Plan) -> list[str]:
    """Draw the middle of source and result, each a PNG in base64."""
    views = views_of(plan, plan.out, THUMBNAIL)
    return [encode_png(picture) for picture in (views.source, views.result)]
