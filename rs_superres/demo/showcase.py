"""Upscale the synthetic scene and compare the result with its truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rs_superres.demo.synthetic_scene import SCENES, render_scene, scene_grid
from rs_superres.engine import Options, Progress, upscale
from rs_superres.engine.outputs import check_raster_replaced
from rs_superres.errors import InputError, WriteError
from rs_superres.grid import Window
from rs_superres.image.degradation import bicubic
from rs_superres.image.pictures import save, side_by_side
from rs_superres.image.statistics import psnr
from rs_superres.raster import delete_sidecars, open_source, write_image

SCALE = 3.5
"""Scale of the demonstration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """The files of a demonstration, and how close its results are to the truth."""

    scene: Path
    """The low-resolution scene, a GeoTIFF."""
    result: Path
    """The upscaled scene, a GeoTIFF."""
    picture: Path
    """Scene, cubic interpolation, prior, result and truth side by side, a PNG."""
    scale: float
    """Scale between scene and result."""
    psnr: dict[str, float]
    """PSNR against the truth in dB: ``cubic``, ``prior`` (steps=0) and ``default``."""


def run_demo(
    folder: Path,
    *,
    scene: str = "town",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> DemoReport:
    """Draw a synthetic scene, upscale it, and compare the result with the truth.

    Args:
        folder: the folder of all files, which is created if it does not exist.
        scene: ``town``, an aerial image with pixels of 0.75 m, or ``country``, a satellite's with
            10 m.
        overwrite: whether to replace files that exist.
        progress: called with the finished cells and all cells of the default result.

    Raises:
        WriteError: the folder or the picture cannot be written.
        InputError: a file exists and must not be replaced, or there is no such scene.
        SuperResError: upscaling fails; see :func:`rs_superres.engine.upscale`.
    """
    drawn = SCENES.get(scene)
    if drawn is None:
        raise InputError(f"scene={scene}, expected one of {', '.join(SCENES)}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"cannot create the folder {folder}: {error.strerror}") from error
    low, result = folder / "scene.tif", folder / "upscaled.tif"
    prior, picture = folder / "upscaled-prior.tif", folder / "before-after.png"
    for path in (low, result, prior, picture):
        check_raster_replaced(path, (), overwrite=overwrite)
    for path in (low, picture):
        delete_sidecars(path)
    pixels = render_scene(drawn.side, samples=8, scene=drawn)
    write_image(low, pixels, scene_grid(drawn.side, drawn))
    options = Options(scale=SCALE, overwrite=overwrite)
    upscale(low, prior, replace(options, steps=0))
    upscale(low, result, options, progress=progress)
    truth = render_scene(round(drawn.side * SCALE), samples=4, scene=drawn)
    height, width = truth.shape[1:]
    images = {"cubic": bicubic(pixels, (height, width))}
    for name, path in (("prior", prior), ("default", result)):
        with open_source(path) as source:
            images[name] = source.read(Window(0, 0, height, width))[0].astype(np.uint8)
    nearest = pixels[:, :, (np.arange(width) / SCALE).astype(int)]
    nearest = nearest[:, (np.arange(height) / SCALE).astype(int)]
    crop = np.s_[:, 40:360, 30:350]
    sheet = side_by_side(*(p[crop].transpose(1, 2, 0) for p in (nearest, *images.values(), truth)))
    save(sheet, picture)
    return DemoReport(
        scene=low,
        result=result,
        picture=picture,
        scale=SCALE,
        psnr={name: psnr(image, truth) for name, image in images.items()},
    )
