"""Audit an upscaled raster against its source, whichever tool made it."""

from rs_superres.verify.audit import verify
from rs_superres.verify.findings import Audit, Finding
from rs_superres.verify.rules import RULES, Rule

__all__ = ["RULES", "Audit", "Finding", "Rule", "verify"]
