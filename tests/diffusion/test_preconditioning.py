"""The preconditioning of Karras et al. (2022) has the properties it is derived from."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rs_superres.diffusion.preconditioning import Preconditioning, training_sigmas


@given(st.floats(1e-3, 100))
def test_preconditioning_identities(level: float) -> None:
    """Karras et al. 2022, appendix B.6: unit inputs, unit targets, and the smallest c_out."""
    sigma = torch.tensor(level, dtype=torch.float64)
    c = Preconditioning.at(sigma)
    one = torch.ones_like(sigma)
    torch.testing.assert_close(c.inner**2 * (1 + sigma**2), one)
    # The target of F is ((1 - skip) clean - skip noise) / out.
    torch.testing.assert_close((1 - c.skip) ** 2 + c.skip**2 * sigma**2, c.out**2)
    # The derivative of that sum with respect to skip is 0: skip is the best linear estimate.
    torch.testing.assert_close(c.skip * (1 + sigma**2), one)
    torch.testing.assert_close(c.noise.exp(), sigma)


def test_training_sigmas_are_log_normal() -> None:
    normal = torch.randn(20000, generator=torch.Generator().manual_seed(5))
    logs = training_sigmas(normal, mean=-0.5, deviation=0.8).log()
    assert logs.mean().item() == pytest.approx(-0.5, abs=0.02)
    assert logs.std().item() == pytest.approx(0.8, abs=0.02)
