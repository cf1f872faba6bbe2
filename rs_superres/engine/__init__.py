"""Runs from files to a file: from options to a plan, and from a plan to a result on disk."""

from rs_superres.engine.planning import Plan, plan
from rs_superres.engine.report import Report
from rs_superres.engine.runner import run, upscale
from rs_superres.options import Options
from rs_superres.system.progress import Progress, ProgressOption

__all__ = ["Options", "Plan", "Progress", "ProgressOption", "Report", "plan", "run", "upscale"]
