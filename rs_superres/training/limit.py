"""The time limit of a run, divided between training, calibration and scoring."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

SCORING_SHARE = 0.15
"""Share of the limit that scoring may take, unless a single window takes longer."""

CALIBRATION_SHARE = 0.1
"""Share of the limit that each calibration may take, unless the fewest crops take longer."""

FEWEST_CROPS = 4
"""Fewest crops at each scale that a calibration uses."""

GRACE_SECONDS, GRACE_SHARE = 30.0, 0.1
"""Time after the limit in which a run may still be scored: the longer of the two counts."""

WRITING_SECONDS = 3.0
"""Time kept for the model, the loss curve and the sheet of windows."""


@dataclass(slots=True, kw_only=True)
class TimeLimit:
    """The time limit of a run.

    Calibration and scoring are measured at the beginning; their time is kept aside, and training
    gets the rest. If they would take more than their shares of the limit, they use fewer crops and
    windows.
    """

    seconds: float = math.inf
    """The limit, seconds; infinite without one."""
    started: float = field(default_factory=time.monotonic)
    """When the run began, on the monotonic clock."""
    window_seconds: float = 0.0
    """Seconds that scoring a window at all scales takes; 0 until it is measured."""
    crop_seconds: float = 0.0
    """Seconds that calibration takes for a crop at every scale; 0 until it is measured."""

    @property
    def is_set(self) -> bool:
        """Whether the run has a limit."""
        return math.isfinite(self.seconds)

    def elapsed(self) -> float:
        """Return the seconds since the run began, with those before it was resumed."""
        return time.monotonic() - self.started

    def add_elapsed(self, seconds: float) -> None:
        """Count the time that a run took before it was resumed."""
        self.started -= seconds

    def remaining(self) -> float:
        """Return the seconds until the limit, at least 0; infinite without a limit."""
        return max(0.0, self.seconds - self.elapsed())

    def has_time_to_score(self) -> bool:
        """Return whether a window can be scored before the limit, or shortly after it."""
        grace = max(GRACE_SECONDS, GRACE_SHARE * self.seconds) - WRITING_SECONDS
        return self.window_seconds <= self.seconds - self.elapsed() + grace

    def calibration_crops(self, count: int, *, required: bool) -> int:
        """Return how many crops at each scale a calibration uses.

        Args:
            count: the number without a limit.
            required: whether the calibration cannot be left out.

        Returns:
            The number; 0 if there is no time for :data:`FEWEST_CROPS` and it is not required.
        """
        allowed = CALIBRATION_SHARE * self.seconds
        if count * self.crop_seconds <= allowed:
            return count
        crops = int(allowed / self.crop_seconds)
        if crops >= FEWEST_CROPS:
            return crops
        return FEWEST_CROPS if required else 0

    def scoring_seconds(self, count: int) -> float:
        """Return the time to keep aside for scoring on ``count`` windows at most, and for writing.

        It is enough for one window at least.
        """
        share = SCORING_SHARE * self.seconds
        scoring = max(self.window_seconds, min(count * self.window_seconds, share))
        return scoring + WRITING_SECONDS
