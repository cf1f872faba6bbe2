"""Load models by name or folder, and read their configuration, card and checksum."""

from rs_superres.zoo.models import (
    DEFAULT,
    Model,
    card,
    checksum,
    config_of,
    find,
    found_anywhere,
    is_shipped,
    load,
    name_of,
    names,
    search_path,
    shipped,
    version,
)
from rs_superres.zoo.sensors import Sensor, sensor, sensors

__all__ = [
    "DEFAULT",
    "Model",
    "Sensor",
    "card",
    "checksum",
    "config_of",
    "find",
    "found_anywhere",
    "is_shipped",
    "load",
    "name_of",
    "names",
    "search_path",
    "sensor",
    "sensors",
    "shipped",
    "version",
]
