"""The colours of difference pictures."""

from __future__ import annotations

import numpy as np

from rs_superres.evaluation.pictures import heat_map


def test_larger_differences_are_lighter() -> None:
    brightness = heat_map(np.linspace(0, 1, 20)[None]).sum(axis=2)[0]
    assert (np.diff(brightness.astype(int)) > 0).all()
    assert brightness[0] == 0
