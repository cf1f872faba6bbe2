"""Names for array types, by what the values mean; the shape is documented where they are used."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.generic]
"""Digital numbers, in the dtype of the file."""

Floats = npt.NDArray[np.float32]
"""Inputs and outputs of networks, in single precision."""

Doubles = npt.NDArray[np.float64]
"""Values that are computed in double precision."""

Indices = npt.NDArray[np.int64]
"""Indices of pixels along an axis."""

Valid = npt.NDArray[np.bool_]
"""True where a pixel is valid, False at nodata and other holes."""
