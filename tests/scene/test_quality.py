"""Blur and noise of a source: given, known of a sensor, or estimated from samples of a scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from rs_superres import zoo
from rs_superres.image.radiometry import ValueRange
from rs_superres.nets.source import Estimator
from rs_superres.raster import Band
from rs_superres.scene.bands import BandGroup
from rs_superres.scene.quality import MOST_WINDOWS, QualityRule
from tests.rasters import textured

BANDS = (
    Band(dtype="uint16", description="B4"),
    Band(dtype="uint16", description="B8"),
)
GROUPS = (BandGroup((0,), ValueRange(0, 1000)), BandGroup((1,), ValueRange(0, 4000)))


class Recording(Estimator):
    """Estimates an MTF of e^-1 and the standard deviation of each window; records the windows."""

    def __init__(self) -> None:
        super().__init__(2)
        self.seen: list[Tensor] = []

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.append(image)
        level = (image.std() / 0.004).log1p() - 1
        return torch.stack((torch.tensor(0.0), level))[None], torch.zeros(1, 2)


def samples(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    values = textured(1, 2, 64, 64, dtype="uint16", high=900)
    return [(values + 10 * i, np.ones(values.shape, dtype=np.bool_)) for i in range(count)]


def test_what_the_caller_says_is_not_estimated() -> None:
    estimator = Recording()
    rule = QualityRule(mtf=0.3, noise=4, estimator=estimator)
    assert not rule.needs_samples
    groups = rule.apply(GROUPS, BANDS, [])
    assert [(g.mtf, g.noise, g.estimated) for g in groups] == [(0.3, 4, (False, False))] * 2
    assert not estimator.seen


def test_a_sensor_has_its_own_blur_for_each_band() -> None:
    rule = QualityRule(sensor=zoo.sensor("sentinel-2"), scale=2.0)
    groups = rule.apply(GROUPS, BANDS, [])
    assert [g.mtf for g in groups] == pytest.approx([0.233**0.75, 0.222**0.75], abs=0.01)
    assert [g.noise for g in groups] == [None, None]


def test_blur_and_noise_are_estimated_from_samples() -> None:
    estimator = Recording()
    rule = QualityRule(estimator=estimator)
    assert rule.needs_samples
    groups = rule.apply(GROUPS, BANDS, samples(3))
    assert len(estimator.seen) == 2 * 3
    assert all(image.shape == (1, 3, 64, 64) for image in estimator.seen)
    assert [g.mtf for g in groups] == [0.37, 0.37]  # two digits
    assert [g.estimated for g in groups] == [(True, True)] * 2
    # In digital numbers, so the value range does not matter.
    assert groups[0].noise == pytest.approx(samples(1)[0][0][0].std(), rel=0.05)
    partly = replace(rule, noise=7).apply(GROUPS, BANDS, samples(3))[0]
    assert (partly.mtf, partly.noise, partly.estimated) == (0.37, 7, (True, False))


def test_windows_with_holes_are_left_out() -> None:
    estimator = Recording()
    drawn = samples(3)
    drawn[0][1][0, 5, 5] = False
    QualityRule(estimator=estimator).apply(GROUPS, BANDS, drawn)
    assert len(estimator.seen) == 2 + 3
    small = [(values[:, :20], valid[:, :20]) for values, valid in drawn]
    groups = QualityRule(estimator=estimator).apply(GROUPS, BANDS, small)
    assert [(g.mtf, g.noise, g.estimated) for g in groups] == [(None, None, (False, False))] * 2


def test_a_large_scene_has_a_bounded_number_of_windows() -> None:
    estimator = Recording()
    QualityRule(estimator=estimator).apply(GROUPS[:1], BANDS, samples(200))
    assert MOST_WINDOWS / 2 < len(estimator.seen) <= MOST_WINDOWS
