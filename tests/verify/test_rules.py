"""The table of thresholds in docs/verify.md matches the code."""

from __future__ import annotations

import pytest

from rs_superres.verify import RULES
from tests.conftest import ROOT


@pytest.mark.parametrize("name", RULES)
def test_the_documented_rule_matches_the_code(name: str) -> None:
    rule = RULES[name]
    # The page is about the command line.
    remedy = rule.remedy.replace("bidx=", "`--bands`").replace("nearest=", "`--nearest`")
    row = f"| {name} | {rule.measured} | {rule.allowed:g} | {rule.reason} | "
    assert f"{row}{rule.failure} | {remedy} |\n" in (ROOT / "docs/verify.md").read_text()
