"""The outcome of an audit: one finding per check."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rs_superres.verify.rules import RULES, Rule

Verdict = Literal["pass", "fail", "not measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check."""

    name: str
    """The name of the rule in :data:`~rs_superres.verify.rules.RULES`."""
    measured: float | None
    """The measured value; None if the rasters hold nothing to measure."""
    allowed: float
    """The largest value that passes for these rasters, tolerances included."""
    detail: str = ""
    """Details for people, in words."""
    bands: Mapping[str, list[float]] = field(default_factory=dict)
    """Lists of values by band, keyed by what they are; empty for checks of the entire raster."""

    @property
    def rule(self) -> Rule:
        """The rule that was checked."""
        return RULES[self.name]

    @property
    def verdict(self) -> Verdict:
        """The comparison of ``measured`` with ``allowed``."""
        if self.measured is None:
            return "not measured"
        return "pass" if self.measured <= self.allowed else "fail"

    def facts(self) -> dict[str, Any]:
        """Return the finding and its rule as plain values for JSON."""
        rule = self.rule
        return {
            "check": self.name,
            "measured": _json_number(self.measured),
            "allowed": _json_number(self.allowed),
            "verdict": self.verdict,
            "what": rule.measured,
            "detail": self.detail,
            "bands": {k: [_json_number(v) for v in values] for k, values in self.bands.items()},
            "reason": rule.reason,
            "failure": rule.failure,
            "remedy": rule.remedy,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The findings of all checks on one result."""

    out: str
    """The path of the result."""
    source: str
    """The path of the source."""
    size: tuple[int, int]
    """Width and height of the result, pixels."""
    scale: float | None
    """The factor between source and output pixels; None if the grids do not fit."""
    findings: tuple[Finding, ...]
    """One finding per check, in the order of the rules."""

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The findings that exceed their thresholds."""
        return tuple(f for f in self.findings if f.verdict == "fail")

    def facts(self) -> dict[str, Any]:
        """Return the audit as plain values for JSON."""
        return {
            "out": self.out,
            "source": self.source,
            "size": list(self.size),
            "scale": self.scale,
            "passed": not self.failed,
            "checks": [f.facts() for f in self.findings],
        }


def _json_number(value: float | None) -> float | None:
    """Round to six digits; None for NaN and infinity, which JSON does not have."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")
