"""Load models by name or folder, and read their configuration, card and checksum."""

from rs_superres.zoo.models import DEFAULT, Model, card, checksum, config_of, find, load, names

__all__ = ["DEFAULT", "Model", "card", "checksum", "config_of", "find", "load", "names"]
