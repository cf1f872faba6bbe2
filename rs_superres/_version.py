"""The version of rs-sr. This is its only definition: `pyproject.toml` reads it from here."""

__version__ = "0.1.0"
