"""Compare ways to send bands other than red, green and blue through the network.

Scenes are downsampled by antialiased bicubic and enlarged again: by cubic interpolation, with each
band alone, and with three neighbouring bands at a time. For each way, the script prints the mean
PSNR over the bands (peak: width of a band's value range) and the mean spectral angle to the truth.
With --red-nir it also prints the mean error of the NDVI.

    python benchmarks/multispectral.py --red-nir 4,8 scene.tif...
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from rs_superres import zoo
from rs_superres.evaluation.measures import spectral_angle
from rs_superres.grid import Window
from rs_superres.image.degradation import compared, resampled
from rs_superres.image.radiometry import ValueRange, quantise
from rs_superres.image.statistics import psnr
from rs_superres.raster import open_source
from rs_superres.scene.image import upscale_image

SIDE = 256
"""Side of the part of a scene that is compared, pixels."""

Values = npt.NDArray[np.generic]


def ndvi(image: Values, red: int, infrared: int) -> npt.NDArray[np.float64]:
    """Return the vegetation index of a (band, y, x) image, (y, x); 0 where both bands are 0."""
    r, n = image[red].astype(np.float64), image[infrared].astype(np.float64)
    total = r + n
    index: npt.NDArray[np.float64] = np.zeros_like(total)
    np.divide(n - r, total, out=index, where=total != 0)
    return index


def read_middle(path: str) -> Values:
    """Read all bands of the middle of a scene, (band, y, x)."""
    with open_source(path) as source:
        shape = source.description.grid.shape
        height, width = min(SIDE, shape.height), min(SIDE, shape.width)
        row, column = (shape.height - height) // 2, (shape.width - width) // 2
        values, valid = source.read(Window(row, column, height, width))
    if not valid.all():
        print(f"{path}: the middle contains invalid pixels; they are enlarged like valid ones")
    return values


def enlargements(
    truth: Values, low: Values, model: zoo.Model, steps: int
) -> dict[str, Callable[[], Values]]:
    """Return the ways to enlarge that are compared, by name.

    Args:
        truth: (band, y, x) digital numbers.
        low: (band, y, x) the downsampled truth.
        model: the model.
        steps: diffusion steps.
    """
    shape = truth.shape[1], truth.shape[2]

    ranges = [ValueRange.of_samples(band) for band in low]
    # Each band has its own value range, so that the brightest does not dominate a triplet.
    scaled = np.stack([r.to_network(b) for r, b in zip(ranges, low, strict=True)])

    def network(size: int) -> Values:
        out = np.empty(truth.shape, dtype=np.float64)
        for first in range(0, len(low), size):
            # Repeat the last band if the last group is incomplete.
            members = [min(first + i, len(low) - 1) for i in range(size)]
            enlarged = upscale_image(
                scaled[members], shape, model, steps=steps, value_range=ValueRange(-1.0, 1.0)
            )
            for band, values in zip(members, enlarged, strict=True):
                out[band] = ranges[band].from_network(values)
        return quantise(out, truth.dtype.name, None)

    return {
        "cubic": lambda: resampled(low, shape),
        "alone": lambda: network(1),
        "triplets": lambda: network(3),
    }


def main() -> None:
    """Compare the ways on the given scenes and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", nargs="+")
    parser.add_argument("--scales", default="2,3")
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--model", default=zoo.DEFAULT)
    parser.add_argument("--red-nir", help="numbers of the red and near-infrared bands, from 1")
    arguments = parser.parse_args()
    model = zoo.load(arguments.model)
    for path in arguments.scenes:
        scene = read_middle(path)
        for scale in map(float, arguments.scales.split(",")):
            truth, small = compared(scene, scale)
            low = resampled(truth, small)
            for name, enlarge_scene in enlargements(truth, low, model, arguments.steps).items():
                image = enlarge_scene()
                ranges = [ValueRange.of_samples(b) for b in truth]
                mean = np.mean(
                    [
                        psnr(i, t, r.high - r.low)
                        for i, t, r in zip(image, truth, ranges, strict=True)
                    ]
                )
                flat = (v.reshape(len(v), -1) for v in (image, truth))
                line = f"{path.rsplit('/', 1)[-1]:45} x{scale:g} {name:9} {mean:6.2f} dB "
                line += f"{spectral_angle(*flat):7.3f} deg"
                if arguments.red_nir:
                    red, infrared = (int(n) - 1 for n in arguments.red_nir.split(","))
                    error = np.abs(ndvi(image, red, infrared) - ndvi(truth, red, infrared)).mean()
                    line += f"  NDVI {error:.5f}"
                print(line, flush=True)


if __name__ == "__main__":
    main()
