"""What an audit found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rs_superres.verify.rules import RULES, Rule

Verdict = Literal["pass", "fail", "not measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule's outcome."""

    name: str
    """Of the rule."""
    measured: float | None
    """None where nothing could be measured."""
    allowed: float
    """The most that passes here, noise included."""
    detail: str = ""
    """What was found, in words."""
    bands: Mapping[str, list[float]] = field(default_factory=dict)
    """Figures by band, where there are such."""

    @property
    def rule(self) -> Rule:
        """What was asked."""
        return RULES[self.name]

    @property
    def verdict(self) -> Verdict:
        """Whether it passes."""
        if self.measured is None:
            return "not measured"
        return "pass" if self.measured <= self.allowed else "fail"

    def facts(self) -> dict[str, Any]:
        """All of it by name, plain values that JSON takes."""
        rule = self.rule
        return {
            "check": self.name,
            "measured": _plain(self.measured),
            "allowed": _plain(self.allowed),
            "verdict": self.verdict,
            "what": rule.measured,
            "detail": self.detail,
            "bands": {k: [_plain(v) for v in values] for k, values in self.bands.items()},
            "reason": rule.reason,
            "failure": rule.failure,
            "remedy": rule.remedy,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """All of an audit."""

    out: str
    source: str
    size: tuple[int, int]
    """Width and height of the result."""
    scale: float | None
    """None where the grids do not fit."""
    findings: tuple[Finding, ...]

    @property
    def failed(self) -> tuple[Finding, ...]:
        """What exceeds its threshold."""
        return tuple(f for f in self.findings if f.verdict == "fail")

    def facts(self) -> dict[str, Any]:
        """All of it by name, plain values that JSON takes."""
        return {
            "out": self.out,
            "source": self.source,
            "size": list(self.size),
            "scale": self.scale,
            "passed": not self.failed,
            "checks": [f.facts() for f in self.findings],
        }


def _plain(value: float | None) -> float | None:
    """A number that JSON can hold, short; None for what is none."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")
