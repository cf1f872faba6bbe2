"""Scenes to train on: found in folders, kept apart by place, read window by window."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from rs_superres.errors import InputError, SuperResError
from rs_superres.grid import Place, Window, pixel_size, place_of
from rs_superres.options import PixelOptions
from rs_superres.raster import SUFFIXES, Source, open_source, rasters_below
from rs_superres.scene.bands import BandGroup, band_groups, decide
from rs_superres.types import Valid, Values

NEAR = 1000.0
"""Metres: scenes nearer to each other than this are one place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingScene:
    """A raster that crops are taken from."""

    path: Path
    dtype: str
    groups: tuple[BandGroup, ...]
    """What goes through the network together, with the value range, as ``upscale`` decides."""
    place: Place | None
    """Where it lies; None where it is nowhere on a map."""
    pixel_size: float | None
    """Metres; None where unknown."""
    area: Window
    """The part that crops are taken from."""
    alpha: int | None = None
    """The band that says where the others hold nothing."""
    kept: tuple[Values, Valid] | None = field(default=None, repr=False, compare=False)
    """All its pixels, where memory allows."""

    def read(self, window: Window, bands: Sequence[int]) -> tuple[Values, Valid]:
        """Digital numbers and validity of some bands of a window: (band, y, x) each.

        Raises:
            RasterError: the file cannot be read there.
        """
        if self.kept is None:
            with open_source(self.path) as source:
                values, valid = source.read(window)
        else:
            values, valid = self.kept[0][:, *window.slices], self.kept[1][:, *window.slices]
        if self.alpha is not None:
            valid = valid & (values[self.alpha] > 0)
        return values[list(bands)], valid[list(bands)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedFile:
    """A file that is not trained on."""

    path: Path
    reason: str


def find_scenes(
    folders: Sequence[Path], *, cache_bytes: float
) -> tuple[list[TrainingScene], list[SkippedFile]]:
    """Every raster under some folders that ``upscale`` would take, in the order of their names.

    Args:
        folders: searched to any depth.
        cache_bytes: memory for scenes that are kept whole, the first ones first.

    Raises:
        InputError: a folder is not there, or nothing usable is in them.
    """
    scenes: list[TrainingScene] = []
    skipped: list[SkippedFile] = []
    left = cache_bytes
    for path in _files(folders):
        try:
            with open_source(path) as source:
                scene = _scene(path, source)
                size = scene.area.height * scene.area.width * source.description.pixel_bytes
                if size <= left:
                    scene = replace(scene, kept=source.read(scene.area))
                    left -= size
        except SuperResError as error:
            skipped.append(SkippedFile(path=path, reason=str(error)))
        else:
            scenes.append(scene)
    if not scenes:
        said = (
            f"; {len(skipped)} could not be used, the first: {skipped[0].reason}" if skipped else ""
        )
        raise InputError(
            f"no rasters to train on in {', '.join(map(str, folders))}, expected files named "
            f"{', '.join(SUFFIXES)}{said}"
        )
    return scenes, skipped


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    """The files that are tried, sorted by path."""
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder, expected one that holds rasters")
        yield from rasters_below(folder)


def _scene(path: Path, source: Source) -> TrainingScene:
    """What is known of an open raster."""
    description = source.description
    roles = decide(description, PixelOptions())
    samples = list(source.samples()) if description.dtype != "uint8" else []
    return TrainingScene(
        path=path,
        dtype=description.dtype,
        groups=tuple(band_groups(roles, description.bands, samples, None)),
        place=place_of(description.grid),
        pixel_size=pixel_size(description.grid),
        area=description.grid.window,
        alpha=next((i for i, band in enumerate(description.bands) if band.is_alpha), None),
    )


def split(
    scenes: Sequence[TrainingScene], share: float, gap: int
) -> tuple[list[TrainingScene], list[TrainingScene]]:
    """Part scenes into training and validation by place, never by neighbouring crops.

    Scenes that overlap or lie within :data:`NEAR` of each other are one place; an image that is
    nowhere on a map is a place of its own. Where all is one place, the last rows of each scene
    are held out, and ``gap`` rows before them are not used at all.

    Args:
        scenes: all of them.
        share: of the area, at least, that goes to validation.
        gap: rows between training and validation within a scene.

    Returns:
        Training and validation scenes.

    Raises:
        InputError: one place whose scenes are too low to be parted.
    """
    places = _places(scenes)
    if len(places) == 1:
        return _split_rows(scenes, share, gap)
    wanted = share * sum(_pixels(s) for s in scenes)
    held: set[int] = set()
    # By a fixed shuffle: names that run with the land use shall not decide what is held out.
    for number in np.random.default_rng(0).permutation(len(places))[: len(places) - 1]:
        if wanted <= 0:
            break
        held.update(places[number])
        wanted -= sum(_pixels(scenes[i]) for i in places[number])
    training = [s for i, s in enumerate(scenes) if i not in held]
    return training, [s for i, s in enumerate(scenes) if i in held]


def _pixels(scene: TrainingScene) -> int:
    """The area of a scene in pixels."""
    return scene.area.height * scene.area.width


def _places(scenes: Sequence[TrainingScene]) -> list[list[int]]:
    """Indices of the scenes of each place."""
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
    """Whether two scenes are one file, or lie within :data:`NEAR` of each other."""
    if one.path == other.path:
        return True
    if one.place is None or other.place is None:
        return False
    return one.place.near(other.place, NEAR)


def _split_rows(
    scenes: Sequence[TrainingScene], share: float, gap: int
) -> tuple[list[TrainingScene], list[TrainingScene]]:
    """The upper rows of each scene, and its last ones."""
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
            f"the scenes are one place, and none has the rows to hold out {share:.0%} and leave "
            f"{gap} between; name a validation folder (--val)"
        )
    return training, validation


def pixel_sizes(
    scenes: Sequence[TrainingScene], scales: tuple[float, float]
) -> tuple[float, float] | None:
    """Least and greatest low-resolution pixel that training sees, metres; None where unknown."""
    known = [s.pixel_size for s in scenes if s.pixel_size is not None]
    if not known:
        return None
    return min(known) * scales[0], max(known) * scales[1]
