"""The sensors that rs-sr knows, and the blur of their bands."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from rs_superres.config import from_table, read_toml
from rs_superres.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorBand:
    """A band of a sensor."""

    name: str
    """The name of the band in products, such as B8A."""
    mtf: float
    """Modulation transfer at the Nyquist frequency of the band's own pixels."""
    colour: str = ""
    """Its colour (red, green, blue or nir), if it is a band that composites are made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """A sensor, as ``sensors.toml`` describes it."""

    title: str
    """The name of the sensor, for people."""
    source: str
    """Where the numbers come from."""
    bands: tuple[SensorBand, ...]
    """Its bands whose blur is known."""
    others: tuple[str, ...] = ()
    """Names of its other bands."""
    telltale: tuple[tuple[str, ...], ...] = ()
    """Names that tell the sensor from others if all of a group are in a raster."""

    @property
    def rgb(self) -> tuple[str, ...]:
        """Names of its red, green and blue band."""
        names = {band.colour: band.name for band in self.bands}
        return names["red"], names["green"], names["blue"]

    def made(self, names: Collection[str]) -> bool:
        """Return whether a raster with bands of these names can only be this sensor's.

        Args:
            names: the names of the bands in the sensor's products, such as B8A.
        """
        known = {*self.others, *(band.name for band in self.bands)}
        return known.issuperset(names) and any(set(names).issuperset(g) for g in self.telltale)

    def mtf(self, name: str, colour: str) -> float:
        """Return the modulation transfer of a band of a raster at its Nyquist frequency.

        Args:
            name: the name of the sensor's band, such as B4; empty if unknown.
            colour: the band's colour; empty if unknown. The name says more.

        Returns:
            That of the sensor's band. If neither argument says which one it is, the mean of all.
        """
        found = [band for band in self.bands if band.name == name]
        found = found or [band for band in self.bands if band.colour and band.colour == colour]
        if len(found) == 1:
            return found[0].mtf
        return sum(band.mtf for band in self.bands) / len(self.bands)


def blur_between(mtf: float, scale: float) -> float:
    """Return the modulation transfer from a finer image of a sensor to its own.

    Let a sensor have the modulation transfer m at its Nyquist frequency. With pixels finer by the
    scale s it would be blurred too, by a Gaussian s times narrower. What remains between the two is
    a Gaussian with the transfer m^(1 - 1/s^2).

    Args:
        mtf: m, above 0 and below 1.
        scale: s, above 1.
    """
    between: float = mtf ** (1 - 1 / scale**2)
    return between


@cache
def sensors() -> dict[str, Sensor]:
    """Return the sensors by name."""
    path = Path(str(resources.files("rs_superres.models") / "sensors.toml"))
    tables = read_toml(path, "the table of sensors")
    return {name: from_table(Sensor, table, where=name) for name, table in tables.items()}


def sensor(name: str) -> Sensor:
    """Return the sensor of a name.

    Raises:
        InputError: there is no such sensor.
    """
    known = sensors()
    if name.lower() not in known:
        raise InputError(
            f"sensor={name}, expected one of {', '.join(known)}; for another one, give its blur "
            "with mtf="
        )
    return known[name.lower()]
