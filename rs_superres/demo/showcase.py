"""The demonstration: a drawn town, made finer and held against its truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rs_superres.demo.synthetic_scene import render_scene, scene_grid
from rs_superres.engine import Options, Progress, upscale
from rs_superres.errors import InputError
from rs_superres.grid import Window
from rs_superres.image.degradation import bicubic
from rs_superres.image.pictures import save, side_by_side
from rs_superres.image.statistics import psnr
from rs_superres.raster import open_source, write_image

SIDE = 160
"""Pixels: the side of the low-resolution scene; 0.75 m each."""

SCALE = 3.5
"""How much finer the demonstration makes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """What a demonstration found."""

    scene: Path
    """The low-resolution scene."""
    result: Path
    """The scene upscaled."""
    picture: Path
    """Scene, cubic, prior, result and truth side by side."""
    scale: float
    psnr: dict[str, float]
    """dB against the truth: of cubic, the prior alone, and the default with its steps."""


def run_demo(
    folder: Path, *, overwrite: bool = False, progress: Progress | None = None
) -> DemoReport:
    """Draw the scene, upscale it, and compare the result with the truth.

    Raises:
        SuperResError: the folder cannot be written, or a file is there already.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror}") from error
    scene, result = folder / "scene.tif", folder / "upscaled.tif"
    prior, picture = folder / "upscaled-prior.tif", folder / "before-after.png"
    for path in (scene, result, prior, picture):
        if path.exists() and not overwrite:
            raise InputError(f"{path} exists already; use --overwrite, or another folder with -o")
    pixels = render_scene(SIDE, samples=8)
    write_image(scene, pixels, scene_grid(SIDE))
    options = Options(scale=SCALE, overwrite=overwrite)
    upscale(scene, prior, replace(options, steps=0))
    upscale(scene, result, options, progress=progress)
    truth = render_scene(round(SIDE * SCALE), samples=4)
    height, width = truth.shape[1:]
    shown = {"cubic": bicubic(pixels, (height, width))}
    for name, path in (("prior", prior), ("default", result)):
        with open_source(path) as opened:
            shown[name] = opened.read(Window(0, 0, height, width))[0].astype(np.uint8)
    nearest = pixels[:, :, (np.arange(width) / SCALE).astype(int)]
    nearest = nearest[:, (np.arange(height) / SCALE).astype(int)]
    crop = np.s_[:, 40:360, 30:350]
    sheet = side_by_side(*(p[crop].transpose(1, 2, 0) for p in (nearest, *shown.values(), truth)))
    save(sheet, picture)
    return DemoReport(
        scene=scene,
        result=result,
        picture=picture,
        scale=SCALE,
        psnr={name: psnr(image, truth) for name, image in shown.items()},
    )
