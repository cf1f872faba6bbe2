"""Scores: on the same pipeline as the command's, against what was shrunk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rs_superres import engine, zoo
from rs_superres.degrade import bicubic
from rs_superres.errors import InputError, RasterError
from rs_superres.evaluate import enlarge, evaluate, main, pairs, read_images
from rs_superres.metrics import psnr
from tests import rasters
from tests.rasters import RGB, textured


def test_read_images(tmp_path: Path) -> None:
    for name in ("one", "two", "empty"):
        (tmp_path / name).mkdir()
    first, second = textured(1, 4, 9, 12), textured(2, 3, 5, 6)
    rasters.write(tmp_path / "one" / "b.tif", first)
    Image.fromarray(second.transpose(1, 2, 0)).save(tmp_path / "one" / "A.PNG")
    rasters.write(tmp_path / "two" / "c.tiff", second)
    (tmp_path / "one" / "notes.txt").write_text("not an image")
    found = read_images([tmp_path / "one", tmp_path / "two"])
    for image, wanted in zip(found, (second, first[:3], second), strict=True):
        np.testing.assert_array_equal(image, wanted)
    with pytest.raises(InputError, match=r"no images in .*empty, expected"):
        read_images([tmp_path / "empty"])
    rasters.write(tmp_path / "empty" / "d.tif", textured(1, 2, 5, 5))
    with pytest.raises(InputError, match="has 2 bands of uint8, expected 3 of uint8"):
        read_images([tmp_path / "empty"])
    (tmp_path / "empty" / "d.tif").write_bytes(b"no raster")
    with pytest.raises(RasterError, match="cannot open"):
        read_images([tmp_path / "empty"])


@pytest.mark.parametrize("steps", [0, 1])
def test_enlarging_in_memory_is_the_engine_s(tmp_path: Path, tiny: str, steps: int) -> None:
    image = textured(1, 3, 40, 36)
    source = rasters.write(tmp_path / "a.tif", image, colours=RGB)
    options = engine.Options(scale="2.5", model=tiny, steps=steps, seed=3)
    engine.upscale(source, tmp_path / "out.tif", options)
    ours = enlarge(image, (100, 90), zoo.load(tiny), steps=steps, seed=3)
    np.testing.assert_array_equal(ours, rasters.read(tmp_path / "out.tif"))


def test_pairs() -> None:
    images = [textured(i, 3, 41, 50) for i in range(2)]
    for (low, truth), image in zip(pairs(images, 3), images, strict=True):
        assert low.shape == (3, 13, 16)
        np.testing.assert_array_equal(truth, image[:, :39, :48])
        np.testing.assert_array_equal(low, bicubic(image[:, :39, :48], (13, 16)))


def test_scores_are_means_over_the_images(tiny: str) -> None:
    model = zoo.load(tiny)
    images = [textured(i, 3, 32, 32 + 8 * i) for i in range(3)]
    two, three = evaluate(model, images, [2, 3.5], steps=0)
    assert (two.scale, three.scale) == (2, 3.5)
    wanted, plain = [], []
    for image in images:
        low = bicubic(image, (16, image.shape[2] // 2))
        wanted.append(psnr(enlarge(low, image.shape[1:], model, steps=0), image))
        plain.append(psnr(bicubic(low, image.shape[1:]), image))
    assert two.model == pytest.approx(np.mean(wanted))
    assert two.bicubic == pytest.approx(np.mean(plain))
    assert two.gain == two.model - two.bicubic


def test_main(tmp_path: Path, tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    image = textured(1, 3, 32, 40)
    Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / "a.png")
    main(["--data", str(tmp_path), "--model", tiny, "--scales", "2,3.5"])
    title, *rows = capsys.readouterr().out.splitlines()
    assert title.split() == ["scale", "bicubic", "model", "gain", "(dB)"]
    for row, score in zip(rows, evaluate(zoo.load(tiny), [image], [2, 3.5], steps=0), strict=True):
        numbers = [float(n) for n in row.split()]
        assert numbers == pytest.approx(
            [score.scale, score.bicubic, score.model, score.gain], abs=1e-3
        )
