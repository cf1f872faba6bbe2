"""Test validation: the choice of windows, the scores, and the pictures."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rs_superres import zoo
from rs_superres.grid import Window
from rs_superres.image.radiometry import ValueRange
from rs_superres.image.statistics import psnr
from rs_superres.scene.image import upscale_image
from rs_superres.training import validation
from rs_superres.training.pictures import loss_curve, sheet
from rs_superres.training.scenes import find_scenes
from rs_superres.training.validation import (
    SMALLEST,
    Score,
    Truth,
    evaluate,
    restore,
    table,
    validation_windows,
    window_seconds,
)
from tests import rasters
from tests.rasters import RGB, textured
from tests.training.data import images


def truth(height: int = 64, width: int = 70, bands: int = 3, high: float = 255.0) -> Truth:
    dtype = "uint8" if high < 256 else "uint16"
    values = textured(1, bands, height, width, dtype=dtype, high=high)
    return Truth(path=Path("a.tif"), values=values, value_range=ValueRange(0, high))


@pytest.mark.parametrize(("scenes", "count"), [(1, 3), (5, 8), (8, 8), (16, 8), (17, 8), (40, 4)])
def test_every_scene_is_used_once_before_any_twice(tmp_path: Path, scenes: int, count: int) -> None:
    candidates, _ = find_scenes([images(tmp_path / "data", scenes, 40)], cache_bytes=0)
    windows = validation_windows(candidates, count)
    assert len(windows) == count
    times = [sum(w.path == s.path for w in windows) for s in candidates]
    assert max(times) - min(times) <= 1
    taken = [i for i, n in enumerate(times) if n]
    assert max(taken) >= scenes - 2 * max(1, scenes // count)  # to the end of the list
    for one, other in zip(windows, validation_windows(candidates, count), strict=True):
        np.testing.assert_array_equal(one.values, other.values)


def test_scenes_with_nodata_are_replaced_by_others(tmp_path: Path) -> None:
    """Every second scene has nodata, in step with the stride over the scenes."""
    for i in range(16):
        pixels = textured(i, 3, 40, 40).clip(1)
        pixels[:, 20, 20] = 0 if i % 2 == 0 else 9
        rasters.write(tmp_path / f"{i:02}.tif", pixels, nodata=0, colours=RGB)
    candidates, _ = find_scenes([tmp_path], cache_bytes=0)
    windows = validation_windows(candidates, 8)
    assert {w.path.stem for w in windows} <= {f"{i:02}" for i in range(1, 16, 2)}
    assert len(windows) == 8


def test_windows_lie_in_the_held_out_area(tmp_path: Path) -> None:
    image = np.broadcast_to(np.arange(200, dtype=np.uint8)[:, None], (3, 200, 40))
    rasters.write(tmp_path / "a.tif", np.ascontiguousarray(image), colours=RGB)
    [scene], _ = find_scenes([tmp_path], cache_bytes=0)
    held = replace(scene, area=Window(150, 0, 50, 40))
    windows = validation_windows([held], 3)
    assert len(windows) == 3
    assert min(int(w.values.min()) for w in windows) == 150


def test_no_suitable_window_is_no_error(tmp_path: Path) -> None:
    assert validation_windows([], 8) == []
    candidates, _ = find_scenes([images(tmp_path / "data", 2, SMALLEST - 1)], cache_bytes=0)
    assert validation_windows(candidates, 8) == []


def test_unreadable_scenes_are_skipped(tmp_path: Path) -> None:
    candidates, _ = find_scenes([images(tmp_path / "data", 2, 40)], cache_bytes=0)
    candidates[0].path.unlink()
    assert {w.path for w in validation_windows(candidates, 4)} == {candidates[1].path}


@pytest.mark.parametrize("bands", [1, 3])
def test_scores_use_the_pipeline_of_upscale(tiny: str, bands: int) -> None:
    model = zoo.load(tiny)
    window = truth(bands=bands, high=2000.0)
    [score] = evaluate([window, window], model, [2.0], default=True).scores
    trial = restore(window, model, 2.0, default=False)
    assert trial.low.shape == (bands, 32, 35)
    np.testing.assert_array_equal(trial.truth, window.values)
    enlarged = upscale_image(trial.low, (64, 70), model, steps=0, value_range=window.value_range)
    np.testing.assert_array_equal(trial.prior, enlarged)
    assert score.prior == pytest.approx(psnr(enlarged, window.values, 2000))
    assert score.bicubic == pytest.approx(psnr(trial.bicubic, window.values, 2000))
    assert score.default is None  # it is measured only at x4


def test_default_steps_are_scored_at_x4(tiny: str) -> None:
    model = zoo.load(tiny)
    [two, four] = evaluate([truth()], model, [2.0, 4.0], default=True).scores
    trial = restore(truth(), model, 4.0, default=True)
    assert two.default is None
    assert trial.default is not None
    assert four.default == pytest.approx(psnr(trial.default, trial.truth, 255))
    assert evaluate([truth()], model, [4.0], default=False).scores[0].default is None


def test_small_windows_are_not_scored_at_large_scales(tiny: str) -> None:
    model = zoo.load(tiny)
    windows = [truth(40, 40), truth(70, 70)]
    scores = evaluate(windows, model, [2.0, 4.0, 8.0], default=False).scores
    assert [s.scale for s in scores] == [2, 4]
    assert scores[1:] == evaluate([truth(70, 70)], model, [4.0], default=False).scores
    nothing = evaluate([], model, [2.0], default=False)
    assert (nothing.scores, nothing.windows, nothing.trials) == ([], 0, [])


def test_psnr_of_equal_images_is_limited(tiny: str) -> None:
    flat = Truth(
        path=Path("a.tif"), values=np.zeros((3, 40, 40), np.uint8), value_range=ValueRange(0, 255)
    )
    assert evaluate([flat], zoo.load(tiny), [2.0], default=False).scores[0].bicubic == 100


@pytest.mark.parametrize(("seconds", "count"), [(-1.0, 1), (4.5, 2), (6.5, 3), (1e9, 5)])
def test_scoring_ends_before_its_time_limit(
    tiny: str, monkeypatch: pytest.MonkeyPatch, seconds: float, count: int
) -> None:
    """Each look at the clock takes a second; the first window is always scored."""
    clock = itertools.count(0.0, 1.0)
    monkeypatch.setattr(validation, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    model = zoo.load(tiny)
    result = evaluate([truth()] * 5, model, [2.0], default=False, seconds=seconds)
    assert result.windows == count


def test_trials_to_show_are_at_x4(tiny: str) -> None:
    model = zoo.load(tiny)
    for scales in ([2.0, 4.0], [2.0]):
        result = evaluate([truth(), truth(70, 80), truth()], model, scales, default=True, keep=2)
        assert [t.low.shape for t in result.trials] == [(3, 16, 17), (3, 17, 20)]
        assert all(t.default is not None for t in result.trials)


def test_window_seconds(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock takes a second, so the prior takes one, and the default another."""
    clock = itertools.count(0.0, 1.0)
    monkeypatch.setattr(validation, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    model = zoo.load(tiny)
    assert window_seconds(truth(), model, 3, default=False) == 3
    assert window_seconds(truth(), model, 3, default=True) == 3


def test_table_has_aligned_columns() -> None:
    scores = [
        Score(scale=2.0, bicubic=30.0, prior=32.5),
        Score(scale=4.0, bicubic=25.0, prior=24.0, default=23.25),
    ]
    title, two, four = table(scores)
    assert title.split() == ["scale", "bicubic", "prior", "gain", "default"]
    assert two.split() == ["2", "30.00", "32.50", "+2.50", "-"]
    assert four.split() == ["4", "25.00", "24.00", "-1.00", "23.25"]
    assert len(two) == len(four)


# Pictures


@pytest.mark.parametrize("default", [True, False])
def test_sheet_shows_each_window_in_a_row(tiny: str, default: bool) -> None:
    trials = [
        restore(t, zoo.load(tiny), 4.0, default=default) for t in (truth(), truth(70, 300, 1))
    ]
    picture = np.asarray(sheet(trials))
    assert picture.shape == (20 + 2 * 198, 5 * 198 - 6, 3)
    shown = picture[20 : 20 + 64, 4 * 198 : 4 * 198 + 68]
    np.testing.assert_array_equal(shown, trials[0].truth.transpose(1, 2, 0))
    assert (picture[20:200, 3 * 198 : 3 * 198 + 70] != 255).any() is np.bool_(default)


def test_loss_curve_has_a_panel_for_each_phase(tmp_path: Path) -> None:
    lines = [{"phase": "prior", "step": i, "loss": 1 / i} for i in range(1, 50)]
    loss_curve([], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
    loss_curve([*lines, {"phase": "prior", "step": 50, "scale": 2.0}], tmp_path / "one.png")
    loss_curve([*lines, {"phase": "denoiser", "step": 1, "loss": 1}], tmp_path / "two.png")
    with rasters.opened(tmp_path / "one.png") as one, rasters.opened(tmp_path / "two.png") as two:
        assert two.width == 2 * one.width
