"""Draw docs/images/sheet.jpg: twelve crops of the synthetic scene, downsampled and restored.

Run it from the root of a working copy: ``.venv/bin/python docs/sheet.py``.
"""

from __future__ import annotations

from pathlib import Path

from rs_superres import zoo
from rs_superres.demo.synthetic_scene import render_scene
from rs_superres.scene.image import EIGHT_BITS
from rs_superres.training.pictures import sheet
from rs_superres.training.validation import Truth, restore

SIDE, CROP, SCALE = 640, 128, 4.0
OUT = Path(__file__).parent / "images" / "sheet.jpg"


def main() -> None:
    """Cut crops from the synthetic scene, restore them with the default model, save the sheet."""
    image, model = render_scene(SIDE, samples=4), zoo.load(zoo.DEFAULT)
    corners = [(row, column) for row in range(0, 480, 160) for column in range(0, 640, 160)]
    trials = []
    for row, column in corners:
        values = image[:, row : row + CROP, column : column + CROP]
        truth = Truth(path=Path("scene"), values=values, value_range=EIGHT_BITS)
        trials.append(restore(truth, model, SCALE, default=True))
    sheet(trials, largest_side=CROP).save(OUT, quality=90)


if __name__ == "__main__":
    main()
