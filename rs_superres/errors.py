"""What can go wrong, as one family. Each message is one line: what was given, what is accepted."""

from __future__ import annotations


class SuperResError(Exception):
    """The root: everything that this library raises on purpose."""


class InputError(SuperResError, ValueError):
    """An argument, or the content of a file, that cannot be used."""


class RasterError(SuperResError, OSError):
    """A raster that cannot be read or written."""


class WriteError(SuperResError, OSError):
    """A file or folder that cannot be written and is no raster: a picture, a report, a model."""


class ModelError(SuperResError, ValueError):
    """A model folder or a checkpoint that cannot be used."""


class UnknownModelError(SuperResError, LookupError):
    """No model of that name, and no folder either."""


class ClusterError(SuperResError, ConnectionError):
    """A scheduler that cannot be reached, or was lost."""


class TrainingError(SuperResError, ArithmeticError):
    """A training run that cannot go on: the loss is no number any more."""


class CardWarning(UserWarning):
    """A source or a scale that lies outside what a model's card tells of."""
