"""The weather of an experiment file: where the sky comes from, and storms, fog and forced skies.

The events stand in the experiment's schedule, `faults`.  They close the sky to satellites, and ground
UAVs where the experiment says that weather matters to them.  The plan is not told of them.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from emulator.config.section import IsNumber, Length, Name, Section, Strikes, Timed
from emulator.physics.sky_light import DAY_SKY, FULL_MOON_SKY, NEW_MOON_SKY
from emulator.world.cloud_drift import FLOW_M_S
from emulator.world.cloud_process import CloudSettings

Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Sites = Annotated[list[str], Field(min_length=1)]
Radiance = Annotated[float, Field(ge=0, le=1_000)]


class Light(Section):
    """The light of a clear sky towards the zenith, in W / (m^2 sr um); see `physics.sky_light`."""

    glow: Radiance = Field(NEW_MOON_SKY, description="of a moonless night")
    site_glow: dict[Name, Annotated[Radiance, IsNumber]] = Field(
        default_factory=dict, description="of sites where the night is darker or brighter"
    )
    full_moon: Radiance = Field(
        FULL_MOON_SKY, description="comes on top under a full Moon at 45 degrees; 0: no Moon"
    )
    day: Radiance = Field(DAY_SKY, description="comes on top by day; 0: no Sun")


class Weather(Section):
    """The sky over the nodes: by chance, as each site's climate has it, or as it was recorded."""

    light: Light = Light()
    seasons: bool = Field(
        False,
        description="the odds of a clear sky by chance are those of the season and the time of day; "
        "false: of night and day, the same all year",
    )
    fronts: bool = Field(
        False,
        description="clouds by chance travel from west to east as between real stations; "
        "false: they drift at flow_m_s",
    )
    flow_m_s: float = Field(
        FLOW_M_S, ge=0, le=8, description="at which clouds by chance drift from west to east"
    )
    replay: str | None = Field(
        None,
        description="a weather file, relative to the experiment file; sites that it does not name "
        "keep to chance",
    )

    @model_validator(mode="after")
    def _one_flow(self) -> Weather:
        if self.fronts and self.flow_m_s != FLOW_M_S:
            raise ValueError("fronts have a flow of their own; leave out flow_m_s, or fronts")
        return self

    @property
    def clouds(self) -> CloudSettings:
        """How clouds by chance are made."""
        return CloudSettings(self.seasons, self.fronts, self.flow_m_s)


class StormEvent(Timed):
    """Cloud, rain and wind inside a circle, which may travel along a great circle."""

    strikes: ClassVar[Strikes] = Strikes.SATELLITE

    kind: Literal["storm"]
    lat_deg: Latitude
    lon_deg: Longitude
    radius_km: Length
    speed_km_h: float = Field(0.0, ge=0, le=500)
    course_deg: float = Field(0.0, ge=0, le=360, description="where to: 0 north, 90 east")
    wind_m_s: float = Field(
        25.0, ge=0, le=1_000, description="default: where Beaufort 10, a storm, begins"
    )


class FogEvent(Timed):
    """Fog over some sites, or inside a circle."""

    strikes: ClassVar[Strikes] = Strikes.SATELLITE

    kind: Literal["fog"]
    sites: Sites | None = None
    lat_deg: Latitude | None = None
    lon_deg: Longitude | None = None
    radius_km: Length | None = None
    visibility_km: float = Field(0.2, gt=0, lt=1, description="less than 1 km, or it is no fog")

    @model_validator(mode="after")
    def _somewhere(self) -> FogEvent:
        circle = (self.lat_deg, self.lon_deg, self.radius_km)
        given = [number is not None for number in circle]
        if any(given) if self.sites is not None else not all(given):
            raise ValueError("give either sites, or lat_deg, lon_deg and radius_km")
        return self


class CloudEvent(Timed):
    """A sky that is as said, in place of chance or recording; storms close it all the same."""

    strikes: ClassVar[Strikes] = Strikes.SATELLITE

    kind: Literal["cloud"]
    sky: Literal["clear", "overcast"]
    sites: Sites | None = Field(None, description="None: all")
