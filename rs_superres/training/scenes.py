"""Training scenes: find them in folders, split them by place, read their windows."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from rs_superres.errors import InputError, SuperResError
from rs_superres.grid import Window
from rs_superres.raster import (
    FoundRasters,
    Place,
    SkippedFile,
    Source,
    open_source,
    pixel_size,
    place_of,
    rasters_below,
)
from rs_superres.scene.bands import BandGroup, default_groups
from rs_superres.types import Valid, Values

logger = logging.getLogger(__name__)

NEAR = 1000.0
"""Scenes closer to each other than this many metres belong to one place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingScene:
    """A raster that crops or validation windows are taken from."""

    path: Path
    dtype: str
    groups: tuple[BandGroup, ...]
    """Band groups with their value ranges, chosen as ``upscale`` chooses them."""
    place: Place | None
    """The ground that the raster covers; None if it is not georeferenced."""
    pixel_size: float | None
    """Side of a pixel in metres; None if unknown."""
    area: Window
    """The part of the raster that crops are taken from."""
    alpha: int | None = None
    """Index of the alpha band; pixels where it is 0 are invalid. None without one."""
    cached: tuple[Values, Valid] | None = field(default=None, repr=False, compare=False)
    """Values and validity of all pixels, (band, y, x) each; None if the scene is not cached."""

    def read(self, window: Window, bands: Sequence[int]) -> tuple[Values, Valid]:
        """Read some bands of a window.

        Args:
            window: in pixels of the raster.
            bands: indices of the bands, from 0.

        Returns:
            Digital numbers and validity: (band, y, x) each.

        Raises:
            RasterError: the window cannot be read.
        """
        if self.cached is None:
            with open_source(self.path) as source:
                values, valid = source.read(window)
        else:
            values, valid = self.cached[0][:, *window.slices], self.cached[1][:, *window.slices]
        if self.alpha is not None:
            valid = valid & (values[self.alpha] > 0)
        return values[list(bands)], valid[list(bands)]


def find_scenes(
    folders: Sequence[Path], *, cache_bytes: float
) -> tuple[list[TrainingScene], list[SkippedFile]]:
    """Find the rasters in folders that ``upscale`` would accept, sorted by path in each folder.

    A file that several paths lead to, by links or overlapping folders, is taken once.

    Args:
        folders: folders, searched to any depth, or single rasters.
        cache_bytes: bytes of memory for complete scenes; scenes are cached in order until it is
            full.

    Returns:
        The scenes, and the files that cannot be used.

    Raises:
        InputError: a folder does not exist, or the folders hold no usable raster.
    """
    scenes: list[TrainingScene] = []
    skipped: list[SkippedFile] = []
    cache_left = cache_bytes
    for path in _files(folders, skipped):
        try:
            with open_source(path) as source:
                scene = _describe(path, source)
                size = scene.area.height * scene.area.width * source.description.pixel_bytes
                if size <= cache_left:
                    scene = replace(scene, cached=source.read(scene.area))
                    cache_left -= size
        except SuperResError as error:
            logger.debug("skipped %s: %s", path, error)
            skipped.append(SkippedFile(path=path, reason=str(error)))
        else:
            logger.debug(
                "found %s: %d x %d pixels, %s, %s", path, scene.area.width, scene.area.height,
                scene.dtype, "not cached" if scene.cached is None else "cached",
            )  # fmt: skip
            scenes.append(scene)
    if not scenes:
        reason = (
            f"; {len(skipped)} could not be used, the first: {skipped[0].reason}" if skipped else ""
        )
        raise InputError(
            f"no rasters to train on in {', '.join(map(str, folders))}, expected files that GDAL "
            f"opens{reason}"
        )
    logger.debug("found %d scenes, skipped %d files", len(scenes), len(skipped))
    return scenes, skipped


def _files(folders: Sequence[Path], skipped: list[SkippedFile]) -> Iterator[Path]:
    """Yield the rasters in the folders, each file once, sorted by path in each folder.

    What is passed over is added to ``skipped``.
    """
    seen: set[Path] = set()
    for folder in folders:
        if not folder.exists():
            raise InputError(f"{folder} is neither a folder nor a file, expected one of rasters")
        found = rasters_below(folder) if folder.is_dir() else FoundRasters([folder], [], [])
        skipped += found.passed_over
        for path in found.rasters:
            real = path.resolve()
            if real not in seen:
                seen.add(real)
                yield path


def _describe(path: Path, source: Source) -> TrainingScene:
    """Describe an open raster as a scene."""
    description = source.description
    return TrainingScene(
        path=path,
        dtype=description.dtype,
        groups=tuple(default_groups(source)),
        place=place_of(description.grid),
        pixel_size=pixel_size(description.grid),
        area=description.grid.window,
        alpha=next((i for i, band in enumerate(description.bands) if band.is_alpha), None),
    )


def split(
    scenes: Sequence[TrainingScene], share: float, gap: int
) -> tuple[list[TrainingScene], list[TrainingScene]]:
    """Split scenes by place into training and validation scenes.

    Scenes that overlap, or lie within :data:`NEAR` metres of each other, belong to one place; an
    image without georeference is a separate place. If all scenes are in one place, the last rows
    of each scene are held out, and the ``gap`` rows before them are not used.

    Args:
        scenes: the scenes to split.
        share: smallest share of the area that goes to validation, 0 to 1.
        gap: rows between training and validation within a scene.

    Returns:
        Training and validation scenes.

    Raises:
        InputError: all scenes are in one place and none has enough rows to be split.
    """
    places = _places(scenes)
    if len(places) == 1:
        return _split_rows(scenes, share, gap)
    missing = share * sum(_pixels(s) for s in scenes)
    held: set[int] = set()
    # In a fixed random order: file names may follow the land use.
    for number in np.random.default_rng(0).permutation(len(places))[: len(places) - 1]:
        if missing <= 0:
            break
        held.update(places[number])
        missing -= sum(_pixels(scenes[i]) for i in places[number])
    training = [s for i, s in enumerate(scenes) if i not in held]
    return training, [s for i, s in enumerate(scenes) if i in held]


def _pixels(scene: TrainingScene) -> int:
    """Return the number of pixels of a scene's area."""
    return scene.area.height * scene.area.width


def _places(scenes: Sequence[TrainingScene]) -> list[list[int]]:
    """Group the scenes by place and return the indices of the scenes of each place."""
    places: list[list[int]] = []
    alone = [[i] for i, scene in enumerate(scenes) if scene.place is None]
    for i, scene in enumerate(scenes):
        if scene.place is None:
            continue
        touching = [p for p in places if any(near(scene, scenes[j]) for j in p)]
        merged = [j for p in touching for j in p] + [i]
        places = [p for p in places if p not in touching] + [merged]
    return places + alone


def near(one: TrainingScene, other: TrainingScene) -> bool:
    """Return whether two scenes lie within :data:`NEAR` metres of each other.

    False if one of them is not georeferenced.
    """
    if one.place is None or other.place is None:
        return False
    return one.place.near(other.place, NEAR)


def count_seen(validation: Sequence[TrainingScene], training: Sequence[TrainingScene]) -> int:
    """Count the validation scenes that are training scenes, or near one."""
    files = {scene.path.resolve() for scene in training}
    return sum(
        one.path.resolve() in files or any(near(one, other) for other in training)
        for one in validation
    )


def _split_rows(
    scenes: Sequence[TrainingScene], share: float, gap: int
) -> tuple[list[TrainingScene], list[TrainingScene]]:
    """Split each scene into its first rows and its last ones; see :func:`split`."""
    training, validation = [], []
    for scene in scenes:
        area = scene.area
        held = math.ceil(area.height * share)
        used = area.height - held - gap
        if used < gap // 2:
            continue
        upper = Window(area.row, area.column, used, area.width)
        lower = Window(area.row + area.height - held, area.column, held, area.width)
        training.append(replace(scene, area=upper))
        validation.append(replace(scene, area=lower))
    if not training:
        raise InputError(
            f"the scenes are in one place, and none has enough rows to hold out {share:.0%} and "
            f"leave {gap} rows between; give a validation folder with val="
        )
    return training, validation


def pixel_sizes(
    scenes: Sequence[TrainingScene], scales: tuple[float, float]
) -> tuple[float, float] | None:
    """Return the smallest and largest low-resolution pixel in training, metres.

    Args:
        scenes: the training scenes.
        scales: the smallest and largest scale of training.

    Returns:
        None if no scene is georeferenced.
    """
    known = [s.pixel_size for s in scenes if s.pixel_size is not None]
    if not known:
        return None
    return min(known) * scales[0], max(known) * scales[1]
