"""The ticks of a chart's axis."""

from __future__ import annotations

import pytest

from rs_superres.evaluation import charts


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.2, 8.1), (1e-5, 3e-5), (20, 4000)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    ticks = charts.ticks(low, high)
    assert 2 <= len(ticks) <= 6
    assert low <= ticks[0] < ticks[-1] <= high
