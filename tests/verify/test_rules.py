"""Every threshold is documented, with its reason, as it stands in the code."""

from __future__ import annotations

import pytest

from rs_superres.verify import RULES
from tests.conftest import ROOT


@pytest.mark.parametrize("name", RULES)
def test_the_document_says_what_the_code_says(name: str) -> None:
    rule = RULES[name]
    row = f"| {name} | {rule.measured} | {rule.allowed:g} | {rule.reason} | "
    assert f"{row}{rule.failure} | {rule.remedy} |\n" in (ROOT / "docs/verify.md").read_text()
