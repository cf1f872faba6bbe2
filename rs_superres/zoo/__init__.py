"""Models by name or folder: their configuration, weights and card."""

from rs_superres.zoo.models import DEFAULT, Model, card, checksum, config_of, find, load, names

__all__ = ["DEFAULT", "Model", "card", "checksum", "config_of", "find", "load", "names"]
