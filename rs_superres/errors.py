"""The errors that this library raises, all subclasses of :class:`SuperResError`.

Each message is one line that says what was given and what is accepted.
"""

from __future__ import annotations


class SuperResError(Exception):
    """Base class of all errors that this library raises; catch it to catch any of them."""


class InputError(SuperResError, ValueError):
    """Raised when an argument, or the content of an input file, cannot be used.

    Examples are a scale that is not above 1, a raster without a CRS where one is needed, and a run
    that needs more memory than there is. A different argument or another file helps.
    """


class RasterError(SuperResError, OSError):
    """Raised when a raster cannot be opened, read or written.

    Examples are a missing or damaged file, and a full disk while the result is written.
    """


class WriteError(SuperResError, OSError):
    """Raised when a file or folder other than a raster cannot be written.

    Examples are a preview picture, a report and a model folder.
    """


class ModelError(SuperResError, ValueError):
    """Raised when a model folder, a checkpoint or a training configuration cannot be used.

    Examples are a missing or damaged file, an unknown key in ``config.toml``, and weights that do
    not fit the configuration.
    """


class UnknownModelError(SuperResError, LookupError):
    """Raised when a model is neither the name of a known model nor a folder."""


class ClusterError(SuperResError, ConnectionError):
    """Raised when a dask cluster fails.

    Its scheduler cannot be reached, the connection to it is lost, or its workers cannot finish or
    deliver a cell.
    """


class MissingPackageError(SuperResError, ImportError):
    """Raised when an optional package is needed and not installed.

    The message says what needs it, and how to install it.
    """


class TrainingError(SuperResError, ArithmeticError):
    """Raised when training cannot continue because the loss or its gradient is NaN or infinite."""


class CardWarning(UserWarning):
    """Issued when the source's pixel size or the scale is outside the model's training range.

    The run continues, but less added detail is to be expected.
    """


class ColourWarning(UserWarning):
    """Issued when more than one band is marked as red, green or blue, so that none counts.

    Stacks of several colour images are an example. All bands are sharpened alone.
    """
