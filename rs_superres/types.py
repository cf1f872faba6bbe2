"""What arrays hold, by name; each says itself what its axes are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.generic]
"""Digital numbers of any dtype."""

Floats = npt.NDArray[np.float32]
"""What networks take and give."""

Doubles = npt.NDArray[np.float64]
"""What is computed in double precision."""

Indices = npt.NDArray[np.int64]
"""Places along an axis."""

Valid = npt.NDArray[np.bool_]
"""Whether each pixel is valid."""
