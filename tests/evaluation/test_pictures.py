"""Pictures of the report."""

from __future__ import annotations

import numpy as np

from rs_superres.evaluation.pictures import heated


def test_heat_rises() -> None:
    light = heated(np.linspace(0, 1, 20)[None]).sum(axis=2)[0]
    assert (np.diff(light.astype(int)) > 0).all()
    assert light[0] == 0
