"""What arrays hold, by name; each says itself what its axes are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.generic]
"""Digital numbers of any dtype."""

Doubles = npt.NDArray[np.float64]
"""What is computed in double precision."""

Indices = npt.NDArray[np.int64]
"""Places along an axis."""
