"""What ``rs-sr upscale --dry-run`` adds to the facts of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rs_superres.engine import Plan

MINUTE, HOUR, DAY = 60, 3600, 86400


def rehearsed(
    decided: Plan, *, lattice: Path | None, overwrite: bool, as_json: bool
) -> dict[str, Any]:
    """Measure what a run takes, and write its lattice where that is asked for.

    Returns:
        Facts by name: numbers for machines, words for people.
    """
    from rs_superres.forecast import forecast, write_lattice

    if lattice is not None and not write_lattice(decided, lattice, overwrite=overwrite):
        click.echo(
            f"rs-sr: {lattice} is in pixels of the output: the source has no place on a map",
            err=True,
        )
    found = forecast(decided)
    told: dict[str, Any] = {
        "cells_to_compute": found.cells_to_compute,
        "cells_to_compute_exact": found.exact,
        "estimated_seconds": round(found.seconds, 2),
        "cell_seconds": round(found.cell_seconds, 4),
        "cells_at_once": found.at_once,
        "estimated_memory_bytes": found.memory_bytes,
        "leftovers": str(decided.scratch) if decided.scratch.exists() else None,
        "leftover_cells": found.leftover_cells,
        "leftovers_resumed": found.resumes,
        "lattice": None if lattice is None else str(lattice),
    }
    return told if as_json else _in_words(told)


def _in_words(told: dict[str, Any]) -> dict[str, Any]:
    """The same for people."""
    count, sampled = told["cells_to_compute"], not told["cells_to_compute_exact"]
    words: dict[str, Any] = {
        "cells_to_compute": f"about {count}, from a sample" if sampled else count,
        "estimated_time": (
            f"about {duration(told['estimated_seconds'])}, at {told['cell_seconds']:.3g} s a cell "
            f"as measured here, {told['cells_at_once']} at once"
        ),
        "estimated_memory": f"about {told['estimated_memory_bytes'] / 1e9:.1f} GB",
        "lattice": told["lattice"],
    }
    if told["leftovers"] is not None:
        use = "the run goes on from them" if told["leftovers_resumed"] else "the run drops them"
        words["leftovers"] = f"{told['leftovers']}, {told['leftover_cells']} finished cells; {use}"
    return words


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, name in ((DAY, "days"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= 1.5 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
