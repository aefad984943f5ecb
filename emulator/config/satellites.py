"""The satellite section of an experiment file: assumed services, or orbits to compute them from.

Orbits are a Walker pattern or published elements.  A file of elements is read once: the experiment that
`emulator.build.loading` returns holds the elements themselves, and what of the file was left out, so that
it can be written down without the file.
"""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from emulator.config.section import (
    Fraction,
    Parameters,
    Positive,
    PositiveSeconds,
    Rate,
    Seconds,
    Section,
)
from emulator.input_checks import ParameterError
from emulator.physics.parameters import with_parameters
from emulator.physics.pass_keys import (
    DECOY_DOWNLINK_DEVICES,
    PAIR_DOWNLINK_DEVICES,
    UNUSED,
    DecoyDownlink,
    PairDownlink,
)
from emulator.world import orbit_files
from emulator.world import orbits as orbit
from emulator.world.contacts import ContactRules
from emulator.world.orbits import OmmOrbit, PublishedOrbit


class Walker(Section):
    """A Walker delta pattern i: T/P/F of circular orbits."""

    satellites: int = Field(24, ge=1, le=10_000)
    planes: int = Field(6, ge=1, le=10_000)
    phasing: int = Field(1, ge=0, le=10_000)
    inclination_deg: float = Field(53.0, ge=0, le=180)
    altitude_km: float = Field(550.0, ge=200, le=2000)

    @model_validator(mode="after")
    def _even(self) -> Walker:
        if self.satellites % self.planes:
            raise ValueError(
                f"satellites: {self.satellites} do not fill {self.planes} planes evenly"
            )
        if self.phasing >= self.planes:
            raise ValueError(f"phasing: must be less than planes, not {self.phasing}")
        return self


class Message(Section):
    """An Orbit Mean-Elements Message (CCSDS 502.0): its keywords, in its units, in small letters."""

    norad_cat_id: int = Field(ge=0, le=999_999_999)
    epoch: datetime
    mean_motion: float
    eccentricity: float
    inclination: float
    ra_of_asc_node: float
    arg_of_pericenter: float
    mean_anomaly: float
    bstar: float
    mean_motion_dot: float = 0.0
    mean_motion_ddot: float = 0.0

    @field_validator("epoch")
    @classmethod
    def _in_utc(cls, epoch: datetime) -> datetime:
        return epoch.replace(tzinfo=UTC) if epoch.tzinfo is None else epoch.astimezone(UTC)

    def orbit(self, name: str) -> OmmOrbit:
        """Return the orbit.  Raises `OrbitError`."""
        return OmmOrbit(name, *(getattr(self, field) for field in Message.model_fields))

    @classmethod
    def of(cls, published: OmmOrbit) -> Message:
        """Return the message that says this."""
        names = (field.name for field in fields(published) if field.name != "name")
        values = (getattr(published, name) for name in names)
        return cls(**dict(zip(cls.model_fields, values, strict=False)))


class Elements(Section):
    """One satellite as published: a name, and two lines of 69 characters or a message."""

    name: str = Field(min_length=1)
    line1: str | None = None
    line2: str | None = None
    omm: Message | None = None

    @model_validator(mode="after")
    def _checked(self) -> Elements:
        self.orbit()
        return self

    def orbit(self) -> PublishedOrbit:
        """Return the orbit.  Raises `OrbitError`."""
        if self.omm is not None and self.line1 is None and self.line2 is None:
            return self.omm.orbit(self.name)
        if self.omm is None and self.line1 is not None and self.line2 is not None:
            return orbit.TleOrbit(self.name, self.line1, self.line2)
        raise orbit.OrbitError(self.name, "needs line1 and line2, or omm")

    @classmethod
    def of(cls, published: PublishedOrbit) -> Elements:
        """Return the elements of an orbit."""
        if isinstance(published, OmmOrbit):
            return cls(name=published.name, omm=Message.of(published))
        return cls(name=published.name, line1=published.line1, line2=published.line2)


class Mode(StrEnum):
    """What satellites are: they know every key, or send pairs to two stations at once and know none."""

    TRUSTED = "trusted"
    ENTANGLED = "entangled"


_DEVICES = {
    Mode.TRUSTED: tuple(DECOY_DOWNLINK_DEVICES),
    Mode.ENTANGLED: tuple(PAIR_DOWNLINK_DEVICES),
}


class ForecastOptions(Section):
    """How well the controller knows the sky to come; see `emulator.world.weather`.

    The cover of the stations in the cloud table correlates with itself by 0.58 after six hours, which is
    what decays with 11 hours.
    """

    skill: Fraction = Field(0.9, description="0: climate alone; 1: the present sky is known")
    memory_s: PositiveSeconds = Field(39_600.0, description="e-folding time of persistence")


class Orbits(Section):
    """Satellites computed from orbits, night and clouds; nodes need coordinates."""

    walker: Walker | None = Field(None, description="the pattern, if nothing else is given")
    tle: str | None = Field(
        None, description="a file of two-line elements or OMM, relative to the experiment file"
    )
    elements: tuple[Elements, ...] | None = Field(
        None, description="what a tle file holds, written out"
    )
    elements_from: str | None = Field(
        None, description="the file that they are from, their age, and what was left out of it"
    )
    epoch: datetime = Field(
        datetime(2026, 1, 1, tzinfo=UTC), description="emulated second 0, with a time zone"
    )
    min_elevation_deg: float = Field(20.0, ge=0, lt=90)
    max_sun_altitude_deg: float = Field(
        -12.0,
        ge=-90,
        le=90,
        description="with the Sun higher there are no contacts; 90: at any hour",
    )
    max_wait_s: PositiveSeconds = Field(
        600.0, description="how long an order waits for its passes at most"
    )
    mode: Mode = Field(Mode.TRUSTED, description="of the satellites")
    device: str | None = Field(None, description="None: micius-2017 if trusted, else micius-2020")
    parameters: Parameters = Field(
        default_factory=dict, description="replaces numbers of the device, its beams and receivers"
    )
    pair_rate_hz: Positive | None = Field(None, description="of the source, if not the device's")
    coincidence_window_s: Positive | None = Field(None, description="if not the device's")
    contacts_per_station: int | None = Field(
        1, ge=1, le=10_000, description="at a time; null: no limit"
    )
    contacts_per_satellite: int | None = Field(
        1, ge=1, le=10_000, description="at a time; null: no limit"
    )
    contact_s: PositiveSeconds | None = Field(
        None, description="the most of a pass; else all of it"
    )
    acquire_s: Seconds = Field(0.0, description="from one contact to the next")
    clouds: bool = Field(True, description="chance by the climate of each site, or none")

    forecast: ForecastOptions | None = Field(
        None, description="None: the controller knows the sky to come"
    )

    @model_validator(mode="before")
    @classmethod
    def _one_source(cls, given_fields: Any) -> Any:
        if not isinstance(given_fields, dict):
            return given_fields
        sources = ("walker", "tle", "elements")
        given = [name for name in sources if given_fields.get(name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of {' and '.join(given)}, not both")
        return given_fields if given else given_fields | {"walker": {}}

    @field_validator("epoch")
    @classmethod
    def _with_zone(cls, epoch: datetime) -> datetime:
        if epoch.tzinfo is None:
            raise ValueError(f"needs a time zone, like {epoch.isoformat()}Z")
        return epoch.astimezone(UTC)

    @model_validator(mode="after")
    def _device_of_the_mode(self) -> Orbits:
        if self.device not in (None, *_DEVICES[self.mode]):
            known = ", ".join(_DEVICES[self.mode])
            raise ValueError(f"device: {self.mode} satellites may be {known}, not {self.device}")
        if self.mode is Mode.TRUSTED and (self.pair_rate_hz or self.coincidence_window_s):
            raise ValueError("pair_rate_hz, coincidence_window_s: need mode: entangled")
        try:
            _ = self.decoy_station if self.mode is Mode.TRUSTED else self.pair_station
        except ParameterError as error:
            raise ValueError(f"parameters.{error}") from error
        return self

    @model_validator(mode="after")
    def _forecast_of_something(self) -> Orbits:
        if self.forecast is not None and not self.clouds:
            raise ValueError(
                "forecast: needs clouds: true; without them there is nothing to foresee"
            )
        return self

    @model_validator(mode="after")
    def _elements_of_the_day(self) -> Orbits:
        if self.elements is not None:
            self.constellation()
        return self

    def constellation(self) -> orbit.Constellation:
        """Return the satellites.  Raises `OrbitError`, as where a tle file has not been read."""
        if self.elements is not None:
            return orbit.Constellation(tuple(each.orbit() for each in self.elements), self.epoch)
        if self.walker is None:
            raise orbit.OrbitError("tle", f"{self.tle} has not been read")
        return orbit.walker(self.epoch, **self.walker.model_dump())

    def with_elements(self, text: str, file: str, end_s: float) -> Orbits:
        """Return the same with the elements of a text in place of a file, for a run until `end_s`.

        Raises `OrbitError`.
        """
        found = orbit_files.select(text, self.epoch, end_s)
        written = {
            "tle": None,
            "elements": tuple(map(Elements.of, found.orbits)),
            "elements_from": found.sentence(file, self.epoch),
        }
        return self.model_copy(update=written)

    @property
    def decoy_station(self) -> DecoyDownlink:
        """The devices of a trusted satellite and its stations."""
        station = DECOY_DOWNLINK_DEVICES[self.device or _DEVICES[Mode.TRUSTED][0]].setup
        return with_parameters(station, self.parameters, UNUSED)

    @property
    def pair_station(self) -> PairDownlink:
        """The devices of a source of pairs and its stations."""
        station = PAIR_DOWNLINK_DEVICES[self.device or _DEVICES[Mode.ENTANGLED][0]].setup
        named = {
            "pair_rate_hz": self.pair_rate_hz,
            "coincidence_window_s": self.coincidence_window_s,
        }
        given = {name: value for name, value in named.items() if value is not None}
        station = replace(station, bbm92=replace(station.bbm92, **given))
        return with_parameters(station, self.parameters, UNUSED)

    @property
    def contact_rules(self) -> ContactRules:
        """The rules of who tracks whom."""
        return ContactRules(
            self.contacts_per_station, self.contacts_per_satellite, self.contact_s, self.acquire_s
        )


class SatelliteOptions(Section):
    """What a satellite service offers: computed from `orbits`, or else assumed."""

    orbits: Orbits | None = None

    probability: Fraction = Field(1.0, description="of being usable for a pair in a period")
    sky: Literal["each-pair", "common"] = Field(
        "each-pair", description="usable or not by a draw for each pair, or by one for all"
    )
    skr_bps: Rate = 1_000.0
    qber: Fraction = 0.03
    setup_s: Seconds = Field(10.0, description="from an order to the first key")
