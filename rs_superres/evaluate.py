"""How good a model is: images shrunk, enlarged again, and compared with what they were.

Run as ``python -m rs_superres.evaluate --help``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rs_superres import zoo
from rs_superres.consistency import surroundings
from rs_superres.degrade import bicubic, compared
from rs_superres.errors import InputError
from rs_superres.grid import Grid, Shape, Window, Zoom
from rs_superres.groups import Group
from rs_superres.inference import Manner, prepare
from rs_superres.metrics import psnr
from rs_superres.radiometry import ValueRange
from rs_superres.raster import Band, open_source
from rs_superres.scene import ArrayReader, Recipe, compute_window
from rs_superres.tiles import Lattice

Pixels = npt.NDArray[np.uint8]

SUFFIXES = (".tif", ".tiff", ".webp", ".png", ".jpg", ".jpeg", ".jp2")
"""Files that are read from a folder."""


def read_images(folders: Iterable[Path]) -> list[Pixels]:
    """The first three bands of every 8-bit image in some folders: (3, y, x) each.

    Raises:
        InputError: nothing there, or an image that is not of 8 bits and three bands.
        RasterError: an image that cannot be read.
    """
    images = []
    for folder in folders:
        for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES):
            with open_source(path) as source:
                shape = source.description.grid.shape
                values, _ = source.read(Window(0, 0, shape.height, shape.width))
            if len(values) < 3 or values.dtype != np.uint8:
                raise InputError(
                    f"{path} has {len(values)} bands of {values.dtype}, expected 3 of uint8"
                )
            images.append(values[:3].astype(np.uint8))
    if not images:
        raise InputError(f"no images in {', '.join(map(str, folders))}, expected {SUFFIXES}")
    return images


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One scale's result over a set of images."""

    scale: float
    bicubic: float
    """Mean PSNR of Pillow's bicubic, dB."""
    model: float
    """Mean PSNR of the model, dB."""

    @property
    def gain(self) -> float:
        """dB over bicubic."""
        return self.model - self.bicubic


EIGHT_BITS = ValueRange(0.0, 255.0)


def enlarge(
    image: npt.NDArray[np.generic],
    shape: tuple[int, int],
    model: zoo.Model,
    *,
    steps: int,
    seed: int = 0,
    value_range: ValueRange = EIGHT_BITS,
) -> npt.NDArray[np.generic]:
    """Super-resolve an image in memory onto a shape over the same extent.

    Args:
        image: (3, y, x) of an RGB triplet, or (1, y, x); all valid.
        shape: (Y, X) of the result.
        model: as loaded.
        steps: evaluations of the denoiser.
        seed: names the noise field.
        value_range: the digital numbers that map to the network's -1 and 1.

    Returns:
        (3 or 1, Y, X) in the dtype of ``image``.
    """
    zoom = Zoom.onto(Grid(Shape(*image.shape[1:]), None), Shape(*shape))
    manner = Manner(
        steps=steps,
        device=next(model.network.parameters()).device,
        precision="fp32",
        beside=surroundings(zoom),
    )
    bands = (Band(dtype=image.dtype.name),) * len(image)
    recipe = Recipe(
        zoom=zoom,
        lattice=Lattice.over(zoom.output.shape, model.config.tiles.size),
        bands=bands,
        groups=(Group(tuple(range(len(image))), value_range),),
        inference=prepare(model.config, model.network, zoom, manner),
        seed=seed,
        masked=False,
        consistency=model.config.consistency,
    )
    out = np.empty((len(image), *shape), dtype=image.dtype)
    compute_window(recipe, ArrayReader(image), zoom.output.window, out)
    return out


def pairs(images: Iterable[Pixels], scale: float) -> Iterable[tuple[Pixels, Pixels]]:
    """(low resolution, truth) of each image at a scale, by antialiased bicubic."""
    for image in images:
        truth, shape = compared(image, scale)
        yield bicubic(truth, shape), truth


def evaluate(
    model: zoo.Model, images: Sequence[Pixels], scales: Iterable[float], *, steps: int
) -> list[Score]:
    """Mean PSNR over images at each scale, of the model and of bicubic on the same pipeline."""
    scores = []
    for scale in scales:
        ours, theirs = [], []
        for low, truth in pairs(images, scale):
            shape = truth.shape[1], truth.shape[2]
            ours.append(psnr(enlarge(low, shape, model, steps=steps), truth))
            theirs.append(psnr(bicubic(low, shape), truth))
        scores.append(
            Score(scale=scale, bicubic=float(np.mean(theirs)), model=float(np.mean(ours)))
        )
    return scores


def main(arguments: list[str]) -> None:
    """Score a model from the command line, a line a scale."""
    parser = argparse.ArgumentParser(prog="python -m rs_superres.evaluate", description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of images")
    parser.add_argument("--model", default=zoo.DEFAULT)
    parser.add_argument("--scales", default="2,3,4,8")
    parser.add_argument("--steps", type=int, default=0)
    given = parser.parse_args(arguments)
    images, model = read_images(given.data), zoo.load(given.model)
    sys.stdout.write("scale  bicubic   model   gain (dB)\n")
    for scale in given.scales.split(","):
        (score,) = evaluate(model, images, [float(scale)], steps=given.steps)
        row = f"{score.scale:5g}  {score.bicubic:7.3f} {score.model:7.3f} {score.gain:+6.3f}\n"
        sys.stdout.write(row)
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
