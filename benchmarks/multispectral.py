"""How bands that are no RGB triplet should go through the network: alone, or three at a time.

Scenes are shrunk by antialiased bicubic and enlarged again, by cubic interpolation, with each band
alone, and with neighbouring bands as joint triplets. Told: mean PSNR over the bands (peak: the
width of a band's value range), the mean spectral angle to the truth, and, where the bands of red
and near infrared are named, the mean error of the NDVI.

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
Values = npt.NDArray[np.generic]


def ndvi(image: Values, red: int, infrared: int) -> npt.NDArray[np.float64]:
    """The vegetation index of an image; 0 where both bands are 0."""
    r, n = image[red].astype(np.float64), image[infrared].astype(np.float64)
    total = r + n
    index: npt.NDArray[np.float64] = np.zeros_like(total)
    np.divide(n - r, total, out=index, where=total != 0)
    return index


def window_of(path: str) -> Values:
    """The middle of a scene, all bands, whatever their colours: (band, y, x)."""
    with open_source(path) as source:
        shape = source.description.grid.shape
        height, width = min(SIDE, shape.height), min(SIDE, shape.width)
        row, column = (shape.height - height) // 2, (shape.width - width) // 2
        values, valid = source.read(Window(row, column, height, width))
    if not valid.all():
        print(f"{path}: the middle holds invalid pixels, enlarged like any others here")
    return values


def ways(
    truth: Values, low: Values, model: zoo.Model, steps: int
) -> dict[str, Callable[[], Values]]:
    """The enlargements that are compared."""
    shape = truth.shape[1], truth.shape[2]

    ranges = [ValueRange.of_samples(band) for band in low]
    # Each band on its own range, so that a triplet is not ruled by its brightest band.
    normal = np.stack([r.to_network(b) for r, b in zip(ranges, low, strict=True)])

    def network(size: int) -> Values:
        out = np.empty(truth.shape, dtype=np.float64)
        for first in range(0, len(low), size):
            # The last group is filled up with the last band: a triplet must be three.
            members = [min(first + i, len(low) - 1) for i in range(size)]
            made = upscale_image(
                normal[members], shape, model, steps=steps, value_range=ValueRange(-1.0, 1.0)
            )
            for band, values in zip(members, made, strict=True):
                out[band] = ranges[band].from_network(values)
        return quantise(out, truth.dtype.name, None)

    return {
        "cubic": lambda: resampled(low, shape),
        "alone": lambda: network(1),
        "triplets": lambda: network(3),
    }


def main() -> None:
    """Compare on the scenes that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", nargs="+")
    parser.add_argument("--scales", default="2,3")
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--model", default=zoo.DEFAULT)
    parser.add_argument("--red-nir", help="numbers of the red and the near-infrared band, from 1")
    given = parser.parse_args()
    model = zoo.load(given.model)
    for path in given.scenes:
        whole = window_of(path)
        for scale in map(float, given.scales.split(",")):
            truth, small = compared(whole, scale)
            low = resampled(truth, small)
            for name, made in ways(truth, low, model, given.steps).items():
                image = made()
                peaks = [ValueRange.of_samples(b) for b in truth]
                mean = np.mean(
                    [
                        psnr(i, t, p.high - p.low)
                        for i, t, p in zip(image, truth, peaks, strict=True)
                    ]
                )
                flat = (v.reshape(len(v), -1) for v in (image, truth))
                line = f"{path.rsplit('/', 1)[-1]:45} x{scale:g} {name:9} {mean:6.2f} dB "
                line += f"{spectral_angle(*flat):7.3f} deg"
                if given.red_nir:
                    red, infrared = (int(n) - 1 for n in given.red_nir.split(","))
                    error = np.abs(ndvi(image, red, infrared) - ndvi(truth, red, infrared)).mean()
                    line += f"  NDVI {error:.5f}"
                print(line, flush=True)


if __name__ == "__main__":
    main()
