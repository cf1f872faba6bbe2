"""Load models by name or folder, and read their configuration, card and checksum."""

from rs_superres.zoo.models import DEFAULT, Model, card, checksum, config_of, find, load, names
from rs_superres.zoo.sensors import Sensor, sensor, sensors

__all__ = [
    "DEFAULT",
    "Model",
    "Sensor",
    "card",
    "checksum",
    "config_of",
    "find",
    "load",
    "names",
    "sensor",
    "sensors",
]
